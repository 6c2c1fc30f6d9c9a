"""Examples: a rule's author says what should happen; here it is tried, with nothing sent and nothing kept."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

import re2
from msgspec.structs import replace

from bridge.errors import Problem
from bridge.line.accounts import Accounts
from bridge.line.match import match
from bridge.line.render import Rendered, Renderer
from bridge.model.conversation import Memory, Scope, begin
from bridge.model.event import KINDS, Attachment, Contact, Event, Kind, Sender
from bridge.model.facts import CONTACT_FIELDS, Facts
from bridge.model.rule import Example, Rulebook

_STATES: Mapping[str, Kind] = {"typing": "typing", "widget": "widget"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """What an event came to: the rules that fired, their replies, and the facts afterwards."""

    rules: tuple[str, ...]
    replies: tuple[Rendered, ...]
    after: Facts


def run_examples(rulebook: Rulebook, renderer: Renderer, accounts: Accounts, now: datetime) -> Iterator[Problem]:
    """Try every example of every rule; gives a problem for each that does not come out as it says."""
    for rule in rulebook.rules:
        account = next(iter(sorted(rule.accounts)), None) or next((known.account.name for known in accounts), "example")
        for example in rule.examples:
            facts = _facts(example, account, _platform(accounts, account), now)
            tried = try_event(rulebook, renderer, facts)
            for wrong in _differences(example, tried):
                yield Problem(place=example.place, message=f'example of "{rule.name}": {wrong}')


def try_event(rulebook: Rulebook, renderer: Renderer, facts: Facts) -> Tried:
    """What the rulebook would do about an event, on the facts as they are."""
    matched = match(rulebook, facts)
    replies: list[Rendered] = []
    after = facts
    for one in matched.matches:
        rendered, after = renderer.render(one, after)
        replies.extend(rendered)
    return Tried(rules=tuple(one.rule.name for one in matched.matches), replies=tuple(replies), after=after)


def _platform(accounts: Accounts, name: str) -> str:
    known = accounts.get(name)
    return known.adapter.name if known else "example"


def _facts(example: Example, account: str, platform: str, now: datetime) -> Facts:
    given: dict[str, Any] = dict(example.given)
    event = _event(given, str(given.get("account") or account), platform, now)
    memory = Memory(facts=given.get("memory") or {})
    memories: dict[Scope, Memory] = {"conversation": memory}
    return Facts(event=event, conversation=begin(event).after(event), now=now, memories=memories)


def _event(given: Mapping[str, Any], account: str, platform: str, now: datetime) -> Event:
    event = Event(
        account=account,
        platform=platform,
        kind="message",
        sender="contact",
        conversation="example",
        key="example",
        at=now,
        address={"example": "example"},
        contact=_contact(given.get("contact") or {}),
        url=given.get("url"),
    )
    if isinstance(whole := given.get("event"), Mapping):
        return _whole(event, whole)
    kind: Kind = next((kind for kind in KINDS if kind in given), "message")
    value = given.get(kind)
    if kind in _STATES:
        return replace(event, kind=kind, state=value)
    if kind == "visited":
        return replace(event, kind=kind, url=value)
    if kind == "attachment" and isinstance(value, Mapping):
        return replace(event, kind=kind, attachment=Attachment(**value))
    return replace(event, kind=kind, text=value if isinstance(value, str) else None)


def _whole(event: Event, whole: Mapping[str, Any]) -> Event:
    fields = dict(whole)
    if isinstance(fields.get("attachment"), Mapping):
        fields["attachment"] = Attachment(**fields["attachment"])
    if isinstance(fields.get("contact"), Mapping):
        fields["contact"] = _contact(fields["contact"])
    sender = fields.get("sender", "contact")
    fields["sender"] = sender if sender in get_args(Sender) else "contact"
    return replace(event, **fields)


def _contact(fields: Mapping[str, Any]) -> Contact:
    known = {name: fields[name] for name in CONTACT_FIELDS if name in fields}
    return Contact(**known, extra={name: value for name, value in fields.items() if name not in known})


def _differences(example: Example, tried: Tried) -> Iterator[str]:
    for reply in tried.replies:
        if reply.fault:
            yield reply.fault[1]
    said = [reply.reply.text for reply in tried.replies if not reply.fault]
    if example.expect == "nothing":
        if said:
            yield f"expected nothing, but {', '.join(tried.rules)} replied {_short(said[0])}"
        return
    if isinstance(wanted := example.expect.get("reply"), Mapping):
        if not said:
            yield f"expected a reply, but no rule replied (fired: {', '.join(tried.rules) or 'none'})"
        elif not any(_says(reply, wanted) for reply in tried.replies if not reply.fault):
            yield f"expected a reply that {_worded(wanted)}; the reply was {_short(said[0])}"
    if isinstance(facts := example.expect.get("remember"), Mapping):
        memory = tried.after.memory()
        for name, value in facts.items():
            if memory.get(name) != value:
                yield f"expected to remember {name} = {value!r}, but it is {memory.get(name)!r}"


def _says(reply: Rendered, wanted: Mapping[str, Any]) -> bool:
    text, folded = reply.reply.text, reply.reply.text.casefold()
    tests: Mapping[str, Callable[[str], bool]] = {
        "is": lambda value: folded == value.casefold(),
        "contains": lambda value: value.casefold() in folded,
        "starts_with": lambda value: folded.startswith(value.casefold()),
        "ends_with": lambda value: folded.endswith(value.casefold()),
        "matches": lambda value: re2.search(value, text) is not None,
        "via": lambda value: reply.account == value,
    }
    return all(tests[name](value) for name, value in wanted.items())


def _worded(wanted: Mapping[str, Any]) -> str:
    words = {"via": "goes via", "starts_with": "starts with", "ends_with": "ends with"}
    return " and ".join(f"{words.get(name, name)} {value!r}" for name, value in wanted.items())


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
