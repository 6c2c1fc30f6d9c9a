"""Beforehand: what an adapter refuses for good before any call is made. Adapters do no I/O, so they can be asked."""

from datetime import datetime

from bridge.adapter.protocol import Pages, Steps
from bridge.line.accounts import Known
from bridge.model.delivery import Failed, Reply, unstored
from bridge.model.event import Address


def refusal(steps: Steps | Pages) -> Failed | None:
    """The failure for good that is the very first thing to come of some steps; None where something else is."""
    try:
        next(steps)
    except StopIteration as end:
        outcome = end.value
        return outcome if isinstance(outcome, Failed) and outcome.permanent else None
    finally:
        steps.close()
    return None


def refusal_of_message(reply: Reply, to: Address, known: Known, at: datetime) -> Failed | None:
    """Why this can never be sent there by this account; None where it can, or only the platform can tell."""
    return refusal(known.adapter.send(unstored(to, known.account.name, at, reply=reply), known.account))
