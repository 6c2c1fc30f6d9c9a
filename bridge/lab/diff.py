"""Diff: a failed expectation as a person reads it: what happened, what was wanted, what came, and what nearly came."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import ndiff
from typing import Literal

import msgspec
from msgspec import Struct

from bridge.lab.near import silences
from bridge.lab.play import Failure, Heard
from bridge.line.decide import Behaviour
from bridge.line.render import Rendered
from bridge.model.broadcast import Asked
from bridge.model.event import Event

NEAR = 3
"""Rules that did not fire of which is told why."""

Mark = Literal["-", "+", " ", "?"]
_MARKS: Mapping[str, Mark] = {"-": "-", "+": "+", " ": " "}
"""Those of `ndiff`, but for the lines that say where within a line the difference is."""


class Line(Struct, frozen=True, kw_only=True):
    """`-` was wanted, `+` came, `?` is why something else did not, and the rest happened. `who` did or said it."""

    mark: Mark
    who: str
    text: str


def diff(failure: Failure, behaviour: Behaviour) -> list[Line]:
    """What happened since the last `expect`, with what came of it, beside what this one wants."""
    lines = [line for heard in failure.heard for line in _heard(heard)]
    lines += _wanted(failure)
    last = next((heard for heard in reversed(failure.heard) if heard.facts is not None), None)
    if last is not None and last.facts is not None:
        near = [one for one in silences(behaviour, last.facts, last.verdict.trace) if one.distance < 2]
        lines += [Line(mark="?", who=one.rule.name, text=one.why) for one in near[:NEAR]]
    return lines


def _heard(heard: Heard) -> Iterator[Line]:
    event = heard.verdict.event
    if event.kind != "timer":
        yield Line(mark=" ", who=event.sender, text=what_happened(event))
    for step in heard.verdict.trace:
        if event.kind == "timer" and not step.get("fired"):
            yield Line(mark="?", who=str(step.get("rule", "")), text=said_of(step))
    for rendered in heard.verdict.rendered:
        yield Line(mark="+", who=rendered.rule, text=what_came(rendered))
    for asked in heard.verdict.asked:
        yield Line(mark="+", who=asked.rule or "", text=what_starts(asked))


def _wanted(failure: Failure) -> Iterator[Line]:
    expect = failure.expect
    if isinstance(expect, str):
        yield Line(mark="-", who="expected", text=expect)
        return
    for key, value in expect.items():
        exact = value.get("is") if isinstance(value, Mapping) else None
        messages = failure.came.messages(sent=key == "send")
        if isinstance(exact, str) and len(messages) == 1 and "\n" in exact:
            yield Line(mark="-", who=f"expected {key}", text="line by line:")
            for line in ndiff(exact.splitlines(), messages[0].reply.text.splitlines()):
                if (mark := _MARKS.get(line[:1])) is not None:
                    yield Line(mark=mark, who="", text=line[2:])
            continue
        for one in value if isinstance(value, list) else (value,):
            yield Line(mark="-", who=f"expected {key}", text=_yaml(one))


def what_happened(event: Event) -> str:
    """An event in a few words: 'visited https://...', or what was written."""
    about = event.text if event.text is not None else event.url if event.kind == "visited" else event.state
    if event.kind == "attachment" and event.attachment is not None:
        about = event.attachment.name
    if event.kind == "message":
        return about or ""
    return event.kind if about is None else f"{event.kind} {about}"


def what_came(rendered: Rendered) -> str:
    """What a rule says or does, in a few words."""
    if rendered.fault is not None:
        return f"failed: {rendered.fault[1]}"
    if rendered.command is not None:
        return f"{rendered.command.operation} {_yaml(rendered.command.arguments)}, by {rendered.account}"
    reply = rendered.reply
    more = [f"choices: {', '.join(reply.quick_replies)}"] if reply.quick_replies else []
    more += [f"file: {file.url}" for file in reply.attachments]
    more += ["a note that the contact does not see"] if reply.private else []
    more += [f"held back: {rendered.held}"] if rendered.held else []
    return reply.text + "".join(f"\n({one})" for one in more)


def what_starts(asked: Asked) -> str:
    """'starts broadcast new-prices with {said: "/tell hello"}'."""
    return f"starts broadcast {asked.broadcast}" + (f" with {_yaml(asked.variables)}" if asked.variables else "")


def said_of(step: Mapping[str, object]) -> str:
    """What one step of a trace says of its rule: 'its follow-up is cancelled', 'limited: 1 per conversation, ever'."""
    if step.get("cancelled"):
        return "its follow-up is cancelled"
    said = ", ".join(f"{key}: {value}" for key, value in step.items() if key not in ("rule", "after", "no_more"))
    if "no_more" in step:
        said = f"not done: {step['no_more']}"
    return f"its follow-up is {said}" if "after" in step else said


def _yaml(value: object) -> str:
    """A value in one line, as it may be written in a file."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_yaml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return msgspec.json.encode(value).decode()
