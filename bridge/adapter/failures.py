"""Why a request has no answer, and whether it may have arrived.

DoorError         there is no answer; says why, with a reason from the delivery's list
  NeverSent       the request certainly never reached the other side
  NoAnswer        it may have: it was on its way, and no whole answer came back
"""

from pyreqwest.exceptions import DetailedPyreqwestError, PyreqwestError

from bridge.adapter.answers import excerpt
from bridge.model.delivery import Reason

_CONNECTING = "client error (Connect)"


class DoorError(Exception):
    """There is no answer. `detail` never has a header's value, nor more of the URL than its origin."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class NeverSent(DoorError):  # noqa: N818 - it says what is known, not what kind of class it is
    """The request certainly did not reach the other side: a name not found, a connection refused, a bad URL."""


class NoAnswer(DoorError):  # noqa: N818
    """The request may have been received: a time-out or a broken connection after it was on its way."""


def told_apart(error: PyreqwestError, origin: str) -> DoorError:
    """Never sent, or sent and no answer? The classes of errors do not say (0.15 calls a time-out while the answer is
    awaited a ConnectTimeoutError), but the chain of causes does: only a failed connection has `_CONNECTING` in it.
    """
    reason: Reason = "timeout" if isinstance(error, TimeoutError) else "network"
    why = innermost(error)
    if _CONNECTING in _causes(error):
        return NeverSent(reason, f"{origin}: cannot connect: {why}")
    return NoAnswer(reason, f"{origin}: no whole answer: {why}")


def _causes(error: PyreqwestError) -> list[str]:
    details = error.details if isinstance(error, DetailedPyreqwestError) else None
    return [cause["message"] for cause in (details and details["causes"]) or ()]


def innermost(error: PyreqwestError) -> str:
    """The innermost cause. Never the outermost: it quotes the whole URL."""
    causes = [cause for cause in _causes(error) if " for url " not in cause]
    return excerpt((causes[-1] if causes else type(error).__name__).encode(errors="replace"), 200)
