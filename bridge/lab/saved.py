"""Saved: a recorded conversation as a test, so that what it came to stays so."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from bridge.clock import to_ms
from bridge.lab.stand_ins import StandIns
from bridge.model.conversation import known
from bridge.model.event import NOBODY, Attachment, Contact, Event
from bridge.model.facts import CONTACT_FIELDS
from bridge.store.recorded import Chosen, Records, Told

_LONGEST_TEXT = 20_000
_LONGEST_NAME = 500
_LONGEST_WAIT = 366 * 86_400_000
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_STATES = ("started", "stopped", "expanded", "minimized")

Line = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A recorded event, its number, when it was taken in, and what followed from it."""

    number: int
    event: Event
    at: datetime
    answers: tuple[Told, ...]


def entries_of(records: Records, account: str, conversation: str, most: int) -> list[Entry]:
    """The first `most` events of a conversation that are kept, the oldest first."""
    pasts = (past for chunk in records.chunks(Chosen(account=account, conversation=conversation)) for past in chunk)
    return [
        Entry(
            number=past.number,
            event=past.event,
            at=past.at,
            answers=tuple(records.told(past.number, past.number).get(past.number, ())),
        )
        for past in islice(pasts, most)
    ]


def as_test(entries: Sequence[Entry], zone: ZoneInfo, name: str, stand_ins: StandIns | None) -> str:
    """The text of a test file: what happened as steps with waits between, what was answered as expectations.

    Without `stand_ins` it holds what people wrote as it is. `entries` must not be empty.
    """
    first = entries[0]
    contact = _contact(first.event.contact, stand_ins)
    lines = [
        "# yaml-language-server: $schema=tests.schema.json",
        "# Made of a recorded conversation. Look it through: take out what the test is not about.",
        "tests:",
        f"  - name: {_yaml(name)}",
        f"    at: {first.at.astimezone(zone).isoformat(timespec='milliseconds')}",
        f"    account: {_yaml(first.event.account)}",
    ]
    if contact:
        lines.append(f"    contact: {_yaml(contact)}")
    if any(one.delivery.command and one.delivery.command.keep for entry in entries for one in entry.answers):
        lines.append("    # What operations found is not recorded: say it with answers: {platform.operation: {...}}")
    lines.append("    steps:")
    steps = _Steps(entries, stand_ins).steps()
    lines += [f"      - {_line(step)}" for step in steps]
    return "\n".join(lines) + "\n"


class _Steps:
    """The steps of a test in the making."""

    def __init__(self, entries: Sequence[Entry], stand_ins: StandIns | None) -> None:
        self._entries = entries
        self._stand_ins = stand_ins
        self._ours = {one.reference for entry in entries for one in entry.answers if one.reference is not None}
        self._now = entries[0].at
        self._contact = entries[0].event.contact
        self._came: list[Told] = []
        self._asked = False
        self._expects = False
        # What comes after operations; in a test they are done at once.
        self._then: set[tuple[str, str]] = set()

    def steps(self) -> Iterator[Line]:
        for entry in self._entries:
            event = entry.event
            if event.reference is not None and event.reference in self._ours:
                continue
            if event.kind != "timer" or (event.raw.get("rule"), event.raw.get("action")) not in self._then:
                yield from self._expected()
                yield from self._waited(entry.at)
            if event.kind != "timer":
                yield self._step(event)
                self._asked = self._asked or (event.kind == "message" and event.sender == "contact")
            self._came += [one for one in entry.answers if _was_meant(one)]
            commands = (one.delivery.command for one in entry.answers)
            self._then |= {(one.then.rule, one.then.action) for one in commands if one is not None and one.then}
            self._asked = self._asked or bool(self._came)
        self._asked = self._asked or not self._expects
        yield from self._expected()

    def _expected(self) -> Iterator[Line]:
        """What came since the last time, if anything was asked."""
        if not self._asked:
            return
        messages = [self._message(one) for one in self._came if one.delivery.command is None]
        commands: dict[str, object] = {
            one.delivery.command.operation: {} for one in self._came if one.delivery.command is not None
        }
        if not self._came:
            yield {"expect": "nothing"}
        else:
            expected: dict[str, object] = {"reply": messages or "nothing"}
            yield {"expect": expected | ({"operation": commands} if commands else {})}
        self._came, self._asked, self._expects = [], False, True

    def _message(self, one: Told) -> Line:
        text = self._text(one.delivery.reply.text)
        event_account = self._entries[0].event.account
        via = {} if one.delivery.account == event_account else {"via": one.delivery.account}
        if not text.strip() or len(text) > _LONGEST_TEXT:
            return {"rule": one.delivery.rule, **via}
        return {"is": text, **via}

    def _waited(self, until: datetime) -> Iterator[Line]:
        left = max(to_ms(until) - to_ms(self._now), 0)
        self._now = max(self._now, until)
        while left:
            part = min(left, _LONGEST_WAIT)
            left -= part
            yield {
                "wait": f"{part // 60_000}m"
                if part % 60_000 == 0
                else f"{part / 1000:.3f}".rstrip("0").rstrip(".") + "s"
            }

    def _step(self, event: Event) -> Line:
        beside: dict[str, object] = {}
        now_known = known(self._contact, event.contact)
        if now_known != self._contact:
            self._contact = now_known
            beside["contact"] = _contact(now_known, self._stand_ins)
        if event.kind != "visited" and (url := self._url(event)):
            beside["url"] = url
        return {**self._happening(event), **beside}

    def _happening(self, event: Event) -> Line:
        text = self._text(event.text or "")[:_LONGEST_TEXT]
        match event.kind, event.sender:
            case "message", "contact" | "agent" | "bot" if text.strip():
                return {{"contact": "message"}.get(event.sender, event.sender): text}
            case "visited", "contact" if url := self._url(event):
                return {"visited": url}
            case "typing", "contact" if event.state in ("started", "stopped"):
                return {"typing": event.state}
            case "ended", "contact":
                return {"ended": True}
        attached = self._attached(event.attachment)
        if (event.kind, event.sender) == ("attachment", "contact") and attached:
            return {"attachment": attached}
        fields = {
            "kind": event.kind,
            "sender": event.sender,
            "text": None if event.text is None else text,
            "url": event.url and self._text(event.url),
            "state": event.state if event.state in _STATES else None,
            "attachment": attached or None,
        }
        return {"event": {key: value for key, value in fields.items() if value is not None}}

    def _url(self, event: Event) -> str:
        """The page, if there is one."""
        url = self._text(event.url or "")[:_LONGEST_NAME]
        return url if url.strip() else ""

    def _attached(self, file: Attachment | None) -> dict[str, object]:
        if file is None or not file.name.strip():
            return {}
        written: dict[str, object] = {"name": self._text(file.name)[:_LONGEST_NAME]}
        if file.type and file.type.strip():
            written["type"] = file.type[:_LONGEST_NAME]
        return written if file.size is None else {**written, "size": file.size}

    def _text(self, text: str) -> str:
        return text if self._stand_ins is None else self._stand_ins.text(text)


def contacts_in(entries: Iterable[Entry]) -> Iterator[Contact]:
    return (entry.event.contact for entry in entries)


def _was_meant(one: Told) -> bool:
    """Whether the rules meant it to be said or done: it was not held back, and it was no fault of theirs."""
    unmade = one.state == "dead" and one.delivery.attempts == 0 and one.reason in ("template", "invalid")
    return one.state != "cancelled" and not unmade


def _contact(contact: Contact, stand_ins: StandIns | None) -> dict[str, object]:
    """What is written of a contact."""
    shown = contact if stand_ins is None or contact == NOBODY else stand_ins.contact(contact)
    fields = ((name, (getattr(shown, name) or "")[:_LONGEST_NAME]) for name in CONTACT_FIELDS)
    own: dict[str, object] = {name: value for name, value in fields if value.strip()}
    return own | {name: value for name, value in shown.extra.items() if isinstance(value, str | int | float | bool)}


def _yaml(value: object) -> str:
    """A value in one line of YAML. Texts are written as in JSON, which YAML reads just so."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)}: {_yaml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    written = json.dumps(value, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: _escape(found[0]), written)


def _line(step: Line) -> str:
    """A step; with one key it needs no brackets, and a duration no quotes."""
    if "wait" in step:
        return f"wait: {step['wait']}"
    return _yaml(step)[1:-1] if len(step) == 1 else _yaml(step)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[a-z][a-z0-9_.]*", key) else _yaml(key)


def _escape(character: str) -> str:
    """Half a character, as some senders' JSON has, is no text in any file."""
    return "\\ufffd" if "\ud800" <= character <= "\udfff" else f"\\u{ord(character):04x}"
