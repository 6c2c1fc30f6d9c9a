"""What is fuzzed: each target takes a case, and raises where the bridge does what it never may.

It may refuse a case with a BridgeError, a Refused or an outcome. Any other exception is a finding, and so is a call
that goes where no account leads.
"""

import json
import random
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
import orjson
from msgspec.structs import replace
from pydantic import ValidationError

from bridge.adapter.protocol import HttpAnswer, HttpCall, SignedCall, Steps
from bridge.errors import BridgeError, Place, Refused
from bridge.lab.check import check
from bridge.lab.rehearsal import Rehearsal
from bridge.line.accounts import Accounts, Known
from bridge.line.decide import Behaviour, Verdict
from bridge.line.render import Rendered, Renderer
from bridge.model.event import KINDS, Attachment, Contact, Event, whole
from bridge.model.facts import variables
from bridge.rulebook.load import build
from bridge.rulebook.yaml import read
from bridge.templating import Templates
from tests.fuzz.accounts import HOSTILE, OPTIONS, PRICE, RULES, every_account
from tests.fuzz.mutate import bent, mutated
from tests.platforms.recordings import Recording, as_bytes, recordings, request_of, walk
from tests.values import NOON, a_delivery, an_event

ROOT = Path(__file__).parents[2]
HERE = Place(file="rules/a.yaml", line=9, column=14)
UTC = ZoneInfo("UTC")
_ORIGINS = frozenset(
    {
        "https://chat.example.com", "https://company.omnidesk.com", "https://api.helpcrunch.com",
        "https://company.example", "https://api.chayns.net", "https://app.groupalarm.com", "https://crm.example",
        "https://api.example.com",
    }
)  # fmt: skip
"""Where the calls of the accounts in `accounts.py` may go."""


Case = Callable[[random.Random], str]


class Finding(AssertionError):  # noqa: N818 - it is what the fuzzer looks for
    """The bridge did what it never may."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """`attempt` tries a case; `case` makes one."""

    name: str
    attempt: Callable[[str], None]
    case: Case


def _samples(*patterns: str) -> list[str]:
    return [path.read_text(encoding="utf-8") for pattern in patterns for path in sorted(ROOT.glob(pattern))]


def _fenced(path: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (ROOT / path).read_text(encoding="utf-8"), re.DOTALL)


def rule_cases() -> Case:
    """Rule files bent as text, which most often is no YAML any more, and rules bent as data."""
    texts = [RULES, *_samples("rules/*.yaml"), *_fenced("rules/README.md")]
    files = [node.value for text in texts if (node := read(text.encode(), "a.yaml")) is not None]
    held = [one for one in files if isinstance(one, dict)]
    whole_ones = [rule for one in held for rule in one.get("rules", ())]
    # Examples of rules that stand among others than their own most often fail, and nothing further would be tried.
    rules = [{key: rule[key] for key in rule if key != "examples"} for rule in whole_ones] * 3 + whole_ones
    calendars = {name: hours for one in held for name, hours in one.get("calendars", {}).items()}

    def case(draw: random.Random) -> str:
        if draw.random() < 0.3:
            return mutated(draw, texts)
        few = {"calendars": calendars, "rules": draw.sample(rules, draw.choice((1, 1, 2, 3)))}
        return json.dumps(bent(draw, few, draw.choice((1, 1, 1, 4))), ensure_ascii=False)

    return case


def template_samples() -> list[str]:
    return [
        *_samples("templates/*.j2"),
        PRICE,
        "{% macro m(a=1) %}{{ a }}{% endmacro %}{{ m(text) }}",
        "{% for x in messages %}{{ loop.index }} {{ x | title }}{% else %}-{% endfor %}",
        "{% set a = text.split(' ') | sort %}{{ a | join(', ', attribute='b') }}{{ now | date('%d.%m.%Y') }}",
        "{{ text[1:3] ~ (contact.name | default('x') | truncate(5)) if text is defined else -1.5 ** 2 }}",
    ]


class Book:
    """A folder of rules and templates on disk, written anew for each case."""

    def __init__(self, folder: Path) -> None:
        self.rules, self.templates = folder / "rules", folder / "templates"
        self.accounts = every_account()
        self.rules.mkdir()
        self.templates.mkdir()
        for path in (ROOT / "templates").glob("*.j2"):
            (self.templates / path.name).write_bytes(path.read_bytes())

    def rules_case(self, case: str) -> None:
        """A rule file: checked whole; where it is sound, events go through it."""
        (self.rules / "a.yaml").write_bytes(case.encode("utf-8", "surrogatepass"))
        checked = check(
            rules=self.rules, templates=self.templates, timezone=UTC, accounts=self.accounts, examples_at=NOON
        )
        for problem in checked.problems:
            msgspec.json.encode(str(problem))
        if checked.rulebook is None or checked.errors:
            return
        renderer = Renderer(checked.templates, self.accounts)
        behaviour = Behaviour(rulebook=checked.rulebook, renderer=renderer, accounts=self.accounts)
        for text in ("How much is it, price?", HOSTILE[len(case) % len(HOSTILE)]):
            rehearse(behaviour, [said(text), replace(said(text), kind="visited", url="/pricing/a", key="2")])

    def template_case(self, case: str) -> None:
        """A template, as a file of either kind and as the text of a rule; files are UTF-8, or they are refused."""
        for number, ending in enumerate((".md.j2", ".txt.j2", "")):
            text = HOSTILE[(len(case) + number) % len(HOSTILE)].encode("utf-8", "replace").decode()
            names = {**variables(rehearsal_facts(said(text))), "messages": [text, "b"], "url": "https://a.example/b"}
            try:
                if ending:
                    (self.templates / f"x{ending}").write_bytes(case.encode("utf-8", "surrogatepass"))
                    template = Templates.load(self.templates).file(f"x{ending}", HERE)
                else:
                    template = Templates().inline(case.encode("utf-8", "replace").decode(), HERE)
                made = template.render(names)
            except BridgeError:
                continue
            finally:
                (self.templates / f"x{ending or '.txt.j2'}").unlink(missing_ok=True)
            if len(made.encode()) > 4 * 65_536:
                raise Finding(f"a text of {len(made)} characters")


def rehearsal_facts(event: Event) -> Any:
    return Rehearsal(_wide(every_account()), NOON).facts(event)


def said(text: str, account: str = "site") -> Event:
    """A message of a visitor who writes the same into every field that they can.

    Adapters give text that UTF-8 can say; what they make of other bytes is the webhooks' target.
    """
    text = text.encode("utf-8", "replace").decode()
    return an_event(
        account=account, platform=OPTIONS[account]["platform"], text=text, url=text, channel=text, state=text,
        contact=Contact(id=text, name=text, email=text, phone=text, language=text[:40], extra={"x": text}),
        attachment=Attachment(name=text, type=text, url=text), raw={"a": [{"b": text}], text: text},
        conversation=f"{text[:50]}-c", key=f"{text[:50]}-k",
    )  # fmt: skip


def _wide(accounts: Accounts) -> Behaviour:
    templates = Templates()
    files = {"rules/a.yaml": RULES.replace("template: price.md.j2", "text: '{{ text }}'").encode()}
    rulebook, problems = build(files, compile_expression=templates.expression)
    assert rulebook is not None, problems
    return Behaviour(rulebook=rulebook, renderer=Renderer(templates, accounts), accounts=accounts)


class Line:
    """The whole line over one rulebook that puts what a visitor writes everywhere."""

    def __init__(self) -> None:
        self.accounts = every_account()
        self.behaviour = _wide(self.accounts)
        self._recorded = {str(one): one for one in recordings("inbound")}
        self._behaviours: dict[str, Behaviour] = {}

    def event_case(self, case: str) -> None:
        """A text that a visitor writes everywhere, in events of several kinds, on every account."""
        number = sum(case.encode("utf-8", "surrogatepass")[:64])
        for account in OPTIONS:
            message = said(case, account)
            rehearse(self.behaviour, [message, whole(replace(message, kind=KINDS[number % len(KINDS)], key="2"))])

    def webhook(self, draw: random.Random) -> str:
        """A recorded request with its body or its headers bent, as text: the recording's name, and what came."""
        name, recording = draw.choice(list(self._recorded.items()))
        recorded, times = recording.read(), draw.choice((1, 1, 1, 4))
        part = draw.choice(("body", "body", "body", "headers", "query"))
        if part != "body":
            bent_part = dict(bent(draw, recorded.get(part, {}), times))
            recorded[part] = {one: value for one, value in bent_part.items() if isinstance(value, str)}
        elif "body" in recorded and draw.random() < 0.8:
            with suppress(ValueError, TypeError):
                recorded["body"] = json.dumps(bent(draw, json.loads(recorded["body"]), times))
        else:
            body = mutated(draw, [as_bytes(recorded).decode("latin-1")])
            recorded["body_base64"] = b64encode(body.encode("utf-8", "surrogatepass")).decode()
        return f"{name}\n{json.dumps(recorded)}"

    def webhook_case(self, case: str) -> None:
        """A recorded request, bent: refused, or its events go through the line."""
        name, _, text = case.partition("\n")
        recording = self._recorded[name]
        # Headers that are not UTF-8 reach us with lone surrogates, which a recording may have as \\udc80.
        recorded = json.loads(text)
        request, as_it_came = request_of(recorded), request_of({**recording.read(), "headers": recorded["headers"]})
        known = self._behaviour(recording)
        account = known.accounts.get(recording.account().name)
        assert account is not None
        try:
            # Where the body is bent its signature is not right any more, and it is parsed none the less.
            account.adapter.verify(as_it_came, account.account)
            events = account.adapter.parse(request, account.account).events
        except Refused as refused:
            account.adapter.refuse(refused.status, refused.message).body.decode()
        else:
            rehearse(known, [whole(event) for event in events][:5])

    def _behaviour(self, recording: Recording) -> Behaviour:
        if str(recording) not in self._behaviours:
            accounts = every_account(own=recording.account())
            self._behaviours[str(recording)] = replace_accounts(self.behaviour, accounts)
        return self._behaviours[str(recording)]


def replace_accounts(behaviour: Behaviour, accounts: Accounts) -> Behaviour:
    return Behaviour(rulebook=behaviour.rulebook, renderer=Renderer(Templates(), accounts), accounts=accounts)


def rehearse(behaviour: Behaviour, events: Sequence[Event]) -> None:
    """Events through the line, and all that becomes of them for a day; every delivery is walked to its outcome."""
    rehearsal = Rehearsal(behaviour, NOON, {"edna.client": {"client": 1}, "webhook.call": {"status": 200, "body": "x"}})
    verdicts: list[Verdict] = []
    for event in events:
        msgspec.json.encode(event)
        verdicts += rehearsal.hear(event)
    verdicts += rehearsal.turn_to(NOON + timedelta(days=1))
    for verdict in verdicts:
        msgspec.json.encode(verdict.trace)
        msgspec.json.encode(rehearsal.conversation(verdict.event.account, verdict.event.conversation))
        for one in verdict.rendered:
            known = behaviour.accounts.get(one.account)
            msgspec.json.encode(one)
            if known is not None and one.fault is None:
                deliver(one, known)


def deliver(one: Rendered, known: Known) -> None:
    """Walk what is rendered to its outcome, as the line would, against a platform that answers everything with {}."""
    delivery = a_delivery(account=one.account, lane=one.lane, to=one.to, reply=one.reply, command=one.command)
    steps: Steps
    if one.command is None:
        steps = known.adapter.send(delivery, known.account)
    else:
        operation = known.adapter.operations[one.command.operation.partition(".")[2]]
        try:
            arguments = operation.arguments.model_validate_json(orjson.dumps(dict(one.command.arguments)))
        except (ValidationError, TypeError):
            return
        steps = operation.begin(arguments, delivery, known.account)
    answer = HttpAnswer(status=200, body=b'{"id": 1, "data": [], "token": "t", "customers": [], "content": []}')
    calls, _ = walk(steps, lambda number: answer)
    for call in calls:
        if isinstance(call, HttpCall):
            judge(call)


def judge(call: HttpCall) -> None:
    """Raises Finding for a call that goes elsewhere than to the account's own platform, or that says more than one."""
    headers = {**call.headers, **(call.sign(NOON) if isinstance(call, SignedCall) else {})}
    parts = urlsplit(call.url)
    if f"{parts.scheme}://{parts.netloc}" not in _ORIGINS:
        raise Finding(f"a call to {call.url[:200]!r}")
    upwards = ".." in re.sub("%2e", ".", parts.path, flags=re.IGNORECASE).split("/")
    if upwards or not re.fullmatch("[!-~]+", call.url):
        raise Finding(f"an address that is none: {call.url[:200]!r}")
    for name, value in headers.items():
        if not re.fullmatch("[!-~]+", name) or not re.fullmatch("[ -~\x80-\xff]*", value):
            raise Finding(f"a header that is none: {name!r}: {value[:100]!r}")
    if call.body is not None and len(call.body) > 8 * 1024 * 1024:
        raise Finding(f"a body of {len(call.body)} bytes")


def targets(folder: Path) -> list[Target]:
    """All of them; `folder` is an empty one that they may write into."""
    book, line = Book(folder), Line()
    return [
        Target(name="rules", attempt=book.rules_case, case=rule_cases()),
        Target(name="template", attempt=book.template_case, case=partial(mutated, samples=template_samples())),
        Target(name="event", attempt=line.event_case, case=partial(mutated, samples=HOSTILE)),
        Target(name="webhook", attempt=line.webhook_case, case=line.webhook),
    ]
