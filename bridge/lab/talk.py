"""Talk: a chat with the rules, a line at a time. Nothing is sent, nothing is kept; time goes on when it is told to."""

import mimetypes
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import msgspec

from bridge.clock import from_ms
from bridge.errors import BridgeError, did_you_mean
from bridge.lab.diff import Line, said_of, what_came, what_happened, what_starts
from bridge.lab.events import MADE_UP, contact_of, first_account, made_up, platform_of
from bridge.lab.heard import fired_in
from bridge.lab.near import Silence, silences
from bridge.lab.rehearsal import Rehearsal
from bridge.line.decide import Behaviour, Verdict
from bridge.model.conversation import BURST, Scope, Timer, known
from bridge.model.event import NOBODY, Contact
from bridge.model.facts import Facts
from bridge.model.quantity import parse_duration, parse_size, say_count, say_duration

NEAR = 3
"""Rules that did not fire of which is told why, unless somebody asks for all."""
_LONGEST_WAIT = timedelta(days=366)

COMMANDS: Mapping[str, str] = {
    "/visit URL": "the contact opens a page",
    "/type": "the contact types (/type stopped: and stops)",
    "/file NAME [SIZE]": "the contact sends a file: /file plan.pdf 6 MiB",
    "/end": "the chat ends",
    "/agent TEXT": "an agent writes",
    "/wait DURATION": "time goes on: /wait 10m",
    "/at MOMENT": "time goes on until then: /at 2026-03-27T18:00",
    "/why [RULE]": "why the rules did not fire the last time",
    "/memory": "what is remembered",
    "/contact KEY=VALUE": "what is known of the contact: /contact name=Ada email=ada@shop.example",
    "/account NAME": "go on in a conversation of another account",
    "/new": "go on in a new conversation with somebody else",
    "/reload": "read the rules and templates again",
    "/help": "this",
    "/quit": "leave; so does the end of the input",
}


class WrongLineError(BridgeError):
    """What was typed cannot be done; the message says why."""


class Talk:
    """`load` reads the rules; it raises BridgeError where they cannot be used. `start` is when it begins."""

    def __init__(self, load: Callable[[], Behaviour], start: datetime, zone: ZoneInfo, account: str | None) -> None:
        self._load = load
        self._zone = zone
        self.rehearsal = Rehearsal(load(), start)
        accounts = self.rehearsal.behaviour.accounts
        self.account = account or first_account(accounts)
        self._contact: Contact = NOBODY
        self._conversations = 1
        self._events = 0
        self._last: tuple[Facts, Verdict] | None = None
        self._does: Mapping[str, Callable[[str], Iterator[Line]]] = {
            "visit": self._visit,
            "type": self._type,
            "file": self._file,
            "end": lambda _: self._happens({"ended": True}),
            "agent": lambda text: self._happens({"agent": _needed(text, "/agent TEXT")}),
            "wait": self._wait,
            "at": self._at,
            "why": self._why,
            "memory": self._memory,
            "contact": self._about_contact,
            "account": self._change_account,
            "new": self._new,
            "reload": self._reload,
            "help": lambda _: (_note(what, command) for command, what in COMMANDS.items()),
        }

    @property
    def now(self) -> datetime:
        """The moment it is in the chat, where the settings say."""
        return self.rehearsal.now.astimezone(self._zone)

    def hear(self, line: str) -> list[Line] | None:
        """What comes of a line that was typed; None where it was the last. Raises WrongLineError."""
        # Half a character is none that anybody writes, or that could be shown.
        line = line.encode(errors="replace").decode().strip()
        if not line.startswith("/") or line.startswith("//"):
            return list(self._happens({"message": line.removeprefix("/") if line else ""})) if line else []
        word, _, rest = line[1:].partition(" ")
        if word in ("quit", "exit"):
            return None
        do = self._does.get(word)
        if do is None:
            hint = did_you_mean(word, [*self._does, "quit"]) or "; /help lists them"
            raise WrongLineError(f"/{word}: no such command{hint}. A message that begins with / is written with //")
        return list(do(rest.strip()))

    @property
    def _conversation(self) -> str:
        return MADE_UP if self._conversations == 1 else f"{MADE_UP}-{self._conversations}"

    def _happens(self, given: Mapping[str, object]) -> Iterator[Line]:
        self._events += 1
        accounts = self.rehearsal.behaviour.accounts
        event = made_up(
            given,
            account=self.account,
            platform=platform_of(self.account, accounts),
            at=self.rehearsal.now,
            key=str(self._events),
            conversation=self._conversation,
            contact=self._contact,
        )
        facts = self.rehearsal.facts(event)
        before = self._timers()
        first, *later = self.rehearsal.hear(event)
        self._last = facts, first
        lines = [line for verdict in (first, *later) for line in self._came(verdict)]
        lines += [*self._armed(before), *map(_silent, islice(self._near(), NEAR))]
        yield from lines or [_note(f"nothing comes of it: no rule is for {event.kind} by the {event.sender}")]

    def _near(self) -> Iterator[Silence]:
        """The rules that did not fire about the last event, without those that are for other events."""
        if self._last is not None:
            facts, verdict = self._last
            found = silences(self.rehearsal.behaviour, facts, verdict.trace)
            yield from (one for one in found if one.distance < 2)

    def _came(self, verdict: Verdict) -> Iterator[Line]:
        said = {one.rule for one in verdict.rendered} | {one.rule for one in verdict.asked}
        for rule in fired_in(verdict):
            if rule not in said:
                yield Line(mark="+", who=rule, text="fired, and says nothing")
        for one in verdict.rendered:
            yield Line(mark="+", who=one.rule, text=what_came(one))
        for asked in verdict.asked:
            yield Line(mark="+", who=asked.rule or "", text=what_starts(asked))
        for step in verdict.trace:
            unheard = verdict.event.kind == "timer" and not step.keys() & {"fired", "stopped"}
            if unheard or step.get("cancelled"):
                yield Line(mark="?", who=str(step.get("rule", "")), text=said_of(step))

    def _timers(self) -> tuple[Timer, ...]:
        conversation = self.rehearsal.conversation(self.account, self._conversation)
        return () if conversation is None else conversation.timers

    def _armed(self, before: Sequence[Timer]) -> Iterator[Line]:
        for timer in self._timers():
            if timer not in before and timer.rule != BURST:
                wait = say_duration(from_ms(timer.due) - self.rehearsal.now)
                unless = f", unless {' or '.join(timer.unless)}" if timer.unless else ""
                yield Line(mark=" ", who=timer.rule, text=f"goes on in {wait}{unless}")

    def _turn(self, moment: datetime) -> Iterator[Line]:
        for verdict in self.rehearsal.turn_to(moment):
            lines = list(self._came(verdict))
            if lines:
                yield _note(f"{verdict.event.at.astimezone(self._zone):%Y-%m-%d %H:%M:%S}")
                yield from lines
        yield _note(f"it is {self.now:%A %Y-%m-%d %H:%M:%S %Z}")

    def _wait(self, text: str) -> Iterator[Line]:
        try:
            wait = parse_duration(_needed(text, "/wait 10m"))
        except ValueError as error:
            raise WrongLineError(f"/wait: {error}") from None
        if wait > _LONGEST_WAIT:
            raise WrongLineError("/wait: at most 366 days")
        return self._turn(self.rehearsal.now + wait)

    def _at(self, text: str) -> Iterator[Line]:
        try:
            moment = datetime.fromisoformat(_needed(text, "/at 2026-03-27T18:00"))
        except ValueError:
            raise WrongLineError(f'/at: "{text}" is no moment; write for example /at 2026-03-27T18:00') from None
        now = self.rehearsal.now
        # Far years have no time in every zone.
        near = abs(moment.year - now.year) <= 2
        then = (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).astimezone(UTC) if near else None
        if then is None or not now <= then <= now + _LONGEST_WAIT:
            raise WrongLineError(f"/at: a moment within a year from {self.now:%Y-%m-%dT%H:%M}; time does not run back")
        return self._turn(then)

    def _visit(self, url: str) -> Iterator[Line]:
        return self._happens({"visited": _needed(url, "/visit https://shop.example/prices")})

    def _type(self, state: str) -> Iterator[Line]:
        if state not in ("", "started", "stopped"):
            raise WrongLineError("/type: write started or stopped, or nothing")
        return self._happens({"typing": state or "started"})

    def _file(self, text: str) -> Iterator[Line]:
        name, _, size = _needed(text, "/file plan.pdf 6 MiB").partition(" ")
        try:
            bytes_ = parse_size(size) if size.strip() else None
        except ValueError as error:
            raise WrongLineError(f"/file: {error}") from None
        file = {"name": name, "type": mimetypes.guess_type(name)[0], "size": bytes_}
        return self._happens({"attachment": file})

    def _why(self, name: str) -> Iterator[Line]:
        if self._last is None:
            raise WrongLineError("/why: nothing has happened yet")
        facts, verdict = self._last
        yield _note(f"about: {facts.event.sender}: {what_happened(facts.event)}")
        if not name:
            yield from map(_silent, self._near())
            return
        behaviour = self.rehearsal.behaviour
        rule = behaviour.rule(name)
        if rule is None:
            raise WrongLineError(
                f'there is no rule "{name}"{did_you_mean(name, [one.name for one in behaviour.rulebook.rules])}'
            )
        if name in fired_in(verdict):
            yield Line(mark="+", who=name, text=f"fired ({rule.place})")
            return
        found = silences(behaviour, facts, verdict.trace)
        yield from (Line(mark="?", who=name, text=f"{one.why} ({rule.place})") for one in found if one.rule is rule)

    def _memory(self, _: str) -> Iterator[Line]:
        conversation = self.rehearsal.conversation(self.account, self._conversation)
        if self._last is None or conversation is None:
            raise WrongLineError("/memory: nothing has happened yet in this conversation")
        facts = self.rehearsal.page.facts_later(self._last[0].event, f"{self.account}/{self._conversation}")
        scopes: tuple[Scope, ...] = ("conversation", "contact", "account")
        for scope in scopes:
            for name, value in facts.memory(scope).items():
                yield Line(mark=" ", who=f"{name} ({scope})", text=_value(value))
        messages = say_count(conversation.messages, "message")
        yield _note(f"{messages}, {len(conversation.timers)} waiting", "conversation")

    def _about_contact(self, text: str) -> Iterator[Line]:
        try:
            given = dict(part.split("=", 1) for part in shlex.split(text))
        except ValueError:
            raise WrongLineError('/contact: write KEY=VALUE, with quotes around blanks: name="Ada Lovelace"') from None
        if any(not name.isidentifier() for name in given):
            raise WrongLineError("/contact: a key is a word, such as name, email, phone, language, id")
        self._contact = known(self._contact, contact_of(given))
        yield _note(_value(msgspec.to_builtins(self._contact)), "contact")

    def _change_account(self, name: str) -> Iterator[Line]:
        accounts = self.rehearsal.behaviour.accounts
        names = [one.account.name for one in accounts]
        if accounts.get(name) is None:
            raise WrongLineError(f"/account: there is {', '.join(names) or 'none'}{did_you_mean(name, names)}")
        self.account = name
        yield _note(f"now in account {name}, on {platform_of(name, accounts)}")

    def _new(self, _: str) -> Iterator[Line]:
        self._conversations += 1
        self._contact = NOBODY
        yield _note("now in a new conversation, with somebody of whom nothing is known")

    def _reload(self, _: str) -> Iterator[Line]:
        self.rehearsal.behaviour = self._load()
        rules = say_count(len(self.rehearsal.behaviour.rulebook.rules), "rule")
        yield _note(f"{rules}; what was remembered stays")


def _needed(text: str, usage: str) -> str:
    if not text:
        raise WrongLineError(f"write for example {usage}")
    return text


def _note(text: str, who: str = "") -> Line:
    return Line(mark=" ", who=who, text=text)


def _silent(one: Silence) -> Line:
    return Line(mark="?", who=one.rule.name, text=one.why)


def _value(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
