"""What a platform would say to an action before any call is made: adapters refuse by themselves what cannot be sent.

Adapters do no I/O, so they can be asked: if the very first thing that comes of an action is a failure for good, it
fails at every event.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from bridge.adapter.protocol import Operation
from bridge.line.accounts import Known
from bridge.line.beforehand import refusal, refusal_of_message
from bridge.model.broadcast import Audience
from bridge.model.delivery import Command, Failed, Reply, unstored
from bridge.model.event import Address
from bridge.model.rule import OperationAction

_WHENEVER = datetime(2000, 1, 1, tzinfo=UTC)


def is_plain(value: object) -> bool:
    """Whether there is no template in it, so that it is the same at every event."""
    match value:
        case str():
            return "{{" not in value and "{%" not in value and "{#" not in value
        case Mapping():
            return all(is_plain(inner) for inner in value.values())
        case list() | tuple():
            return all(is_plain(inner) for inner in value)
    return True


def refusal_of_reply(to: Address, known: Known) -> str | None:
    """Why nothing can ever be sent there by this account; None where it can, or nobody knows yet."""
    if not is_plain(to):
        return None
    return _why(refusal_of_message(Reply(text="x"), to, known, _WHENEVER))


def refusal_of_operation(action: OperationAction, operation: Operation[Any], to: Address, known: Known) -> str | None:
    """Why this can never be done by this account; None where it can, or nobody knows yet."""
    if operation.of_event is not None or not is_plain(to) or not is_plain(action.arguments):
        return None
    try:
        arguments = operation.arguments.model_validate(dict(action.arguments))
    except ValidationError:
        # What is wrong with arguments is said elsewhere.
        return None
    delivery = unstored(
        to, known.account.name, _WHENEVER, command=Command(operation=action.operation, arguments=action.arguments)
    )
    return _why(refusal(operation.begin(arguments, delivery, known.account)))


def refusal_of_audience(audience: Audience, known: Known) -> str | None:
    """Why this account's platform can never be asked for these people; None where it can."""
    people = known.adapter.audience
    if people is None:
        return f"{known.adapter.name} has no list of people"
    return _why(refusal(people.page(audience, known.account, None)))


def _why(failed: Failed | None) -> str | None:
    return None if failed is None else failed.detail
