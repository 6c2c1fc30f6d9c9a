"""Replies, commands and outcomes, as a person is told them."""

from collections.abc import Iterator, Mapping

import msgspec

from bridge.model.delivery import Command, Outcome, Reply, Sent, Unknown
from bridge.model.event import Address, Attachment, Event
from bridge.model.quantity import say_count

MOST = 200
"""Characters of one value that are shown; a picture's bytes may be among them."""


def say_address(to: Address) -> str:
    return ", ".join(f"{key} {say_value(value)}" for key, value in to.items())


def say_value(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= MOST else f"{text[: MOST - 1]}…"


def say_reply(reply: Reply) -> Iterator[tuple[str, str]]:
    """What is in a reply: ("text", ...), ("files", ...), each only where there is such a thing."""
    if reply.text:
        yield "text", reply.text
    if reply.private:
        yield "private", "a note that the contact does not see"
    if reply.attachments:
        yield "files", "\n".join(map(_file, reply.attachments))
    if reply.quick_replies:
        yield "choices", "\n".join(reply.quick_replies)


def say_command(command: Command) -> Iterator[tuple[str, str]]:
    """What a platform is asked to do, and what becomes of its answer."""
    arguments = ", ".join(f"{name} {say_value(value)}" for name, value in command.arguments.items())
    yield "does", command.operation + (f": {arguments}" if arguments else "")
    if command.keep:
        kept = (f"{name} = {path or 'the whole answer'}" for name, path in command.keep.items())
        yield "keeps", f"{', '.join(kept)} (in the memory of {command.conversation})"
    if command.then is not None:
        yield "then", f"what rule {command.then.rule} says after it, at {command.then.action}"


def say_event(event: Event) -> Iterator[tuple[str, str]]:
    yield "event", f"{event.kind} by the {event.sender} in conversation {event.conversation}"
    for name in ("state", "url", "text"):
        if value := getattr(event, name):
            yield name, value
    if event.attachment is not None:
        yield "file", _file(event.attachment)


def say_outcome(outcome: Outcome) -> str:
    """'sent, reference 695', 'failed (auth): 401: the key is wrong'."""
    if isinstance(outcome, Sent):
        return "sent" + (f", reference {outcome.reference}" if outcome.reference else "")
    if isinstance(outcome, Unknown):
        return f"unknown ({outcome.reason}): {outcome.detail}; it may have arrived, so look before you try again"
    return f"failed ({outcome.reason}): {outcome.detail}"


def outcome_as_json(outcome: Outcome) -> Mapping[str, object]:
    if isinstance(outcome, Sent):
        return {"outcome": "sent", "reference": outcome.reference, "found": outcome.found}
    name = "unknown" if isinstance(outcome, Unknown) else "failed"
    return {"outcome": name, "reason": outcome.reason, "detail": outcome.detail}


def _file(file: Attachment) -> str:
    details = (file.type, None if file.size is None else say_count(file.size, "byte"), file.url)
    return " ".join([file.name, *(detail for detail in details if detail)])
