"""Why a request has no answer, and whether it may have arrived.

DoorError         there is no answer; says why, with a reason from the delivery's list
  NeverSent       the request certainly never reached the other side
  NoAnswer        it may have: it was on its way, and no whole answer came back
"""

import os
import ssl

from bridge.adapter.answers import excerpt
from bridge.model.delivery import Reason


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


def never_connected(error: Exception, origin: str) -> NeverSent:
    """What went wrong while a connection was made: nothing has been sent by then."""
    return NeverSent(_reason(error), f"{origin}: cannot connect: {in_words(error)}")


def broken_off(error: Exception, origin: str) -> NoAnswer:
    """What went wrong after a request was on its way."""
    return NoAnswer(_reason(error), f"{origin}: no whole answer: {in_words(error)}")


def _reason(error: Exception) -> Reason:
    return "timeout" if isinstance(error, TimeoutError) else "network"


def in_words(error: Exception) -> str:
    """In the words of the system or the TLS library, without the numbers and places in their code that they add."""
    if isinstance(error, ssl.SSLCertVerificationError):
        words = f"the certificate is not trusted: {error.verify_message or error.reason}"
    elif isinstance(error, ssl.SSLError):
        words = (error.reason or "TLS failed").lower().replace("_", " ")
    elif isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        words = os.strerror(error.errno)
    elif isinstance(error, OSError):
        words = error.strerror or str(error)
    else:
        words = str(error)
    return excerpt(words or type(error).__name__, 200)
