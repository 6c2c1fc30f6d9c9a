"""What `broadcasts:` and `audiences:` may say, what becomes of it, and what is said of mistakes."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bridge.errors import Place, Problem
from bridge.model.broadcast import (
    At,
    Audience,
    Broadcast,
    ByHand,
    ChaynsAudience,
    ClockChange,
    Cron,
    CustomerFilter,
    Every,
    FileAudience,
    HelpCrunchAudience,
    MetAudience,
    QuietHours,
    Schedule,
)
from bridge.model.quantity import Rate
from bridge.model.wording import Wording
from bridge.rulebook.broadcasts import AudienceForm, BroadcastForm, RuleFileForm, build_audience, build_broadcast
from bridge.rulebook.forms import Form
from bridge.rulebook.schedules import parse_cron, parse_local, parse_quiet
from bridge.rulebook.when import Compiling
from bridge.rulebook.wording import validate
from bridge.rulebook.yaml import Node, read
from tests.rulebook.books import expression

KYIV = ZoneInfo("Europe/Kyiv")


def node_of(text: str) -> Node:
    node = read(text.encode(), "rules/b.yaml")
    assert node is not None
    return node


def compiling(problems: list[Problem]) -> Compiling:
    return Compiling(expression=expression, calendars={}, zone=KYIV, problems=problems)


def made(form: type[Form], text: str) -> tuple[Any, list[Problem]]:
    """The broadcast or audience that the text says, and what was found."""
    node = node_of(text)
    checked, problems = validate(form, node)
    if isinstance(checked, BroadcastForm):
        return build_broadcast(checked, node, {"customers"}, compiling(problems)), problems
    if isinstance(checked, AudienceForm):
        return build_audience(checked, node, compiling(problems)), problems
    return None, problems


def broadcast(text: str) -> Broadcast:
    found, problems = made(BroadcastForm, "name: offer\nvia: shop\naudience: customers\n" + text)
    assert not problems
    assert isinstance(found, Broadcast)
    return found


def wrong(text: str) -> list[str]:
    """What is said of a broadcast that is right but for these lines, the first of which is line 4."""
    whole = "name: offer\nvia: shop\naudience: customers\n" + text
    return [str(p).removeprefix("rules/b.yaml:") for p in made(BroadcastForm, whole)[1]]


def audience(text: str) -> Audience:
    found, problems = made(AudienceForm, text)
    assert not problems
    return found  # type: ignore[no-any-return]  # it is one, or the assertion above has failed


def no_audience(text: str) -> list[str]:
    return [str(problem).removeprefix("rules/b.yaml:") for problem in made(AudienceForm, text)[1]]


def test_a_whole_broadcast() -> None:
    text = """
name: monday-offer
schedule: {cron: "0  9 * * mon", timezone: Europe/Berlin}
clock_change: {gap: skip, overlap: both}
not_after: 2h
via: shop
audience: customers
to: {email: E-mail}
template: offer.md.j2
rate: 60/min
quiet_hours: "21:00-08:00"
skip_if: "true"
on_unknown: resend
pause_if_failed: 12.5%
"""
    found, problems = made(BroadcastForm, text)
    assert problems == []
    assert isinstance(found, Broadcast)
    assert found == Broadcast(
        name="monday-offer",
        place=Place(file="rules/b.yaml", line=2, column=1),
        schedule=Cron(text="0 9 * * mon", zone=ZoneInfo("Europe/Berlin")),
        schedule_place=Place(file="rules/b.yaml", line=3, column=11),
        clock_change=ClockChange(gap="skip", overlap="both"),
        not_after=timedelta(hours=2),
        via="shop",
        audience="customers",
        to={"email": "E-mail"},
        wording=Wording(place=Place(file="rules/b.yaml", line=9, column=11), template="offer.md.j2"),
        rate=Rate(times=60, per=timedelta(minutes=1)),
        quiet_hours=QuietHours(start=time(21), end=time(8)),
        skip_if=found.skip_if,
        on_unknown="resend",
        pause_if_failed=0.125,
    )
    assert found.skip_if is not None
    assert (found.skip_if.text, found.skip_if.place.line) == ("true", 12)
    assert found.skip_if.holds({}) is True


def test_what_a_broadcast_does_not_say() -> None:
    found = broadcast("text: Hello {{ name }}\n")
    assert found.schedule == ByHand()
    assert (found.clock_change, found.not_after) == (ClockChange(gap="shift", overlap="first"), timedelta(hours=1))
    assert (found.rate, found.quiet_hours, found.skip_if, found.to) == (None, None, None, {})
    assert (found.on_unknown, found.pause_if_failed) == ("hold", 0.2)
    assert found.wording.text == "Hello {{ name }}"


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ('cron: "*/5 9-17 1,15 jan-dec mon-fri"', Cron(text="*/5 9-17 1,15 jan-dec mon-fri", zone=KYIV)),
        ("at: 2026-12-01T09:00", At(local=datetime.fromisoformat("2026-12-01T09:00"), zone=KYIV)),
        (
            "at: 2026-12-01 09:00, timezone: UTC",
            At(local=datetime.fromisoformat("2026-12-01T09:00"), zone=ZoneInfo("UTC")),
        ),
        (
            "every: 2h",
            Every(interval=timedelta(hours=2), anchor=datetime(2000, 12, 31, 22, tzinfo=UTC), zone=KYIV),
        ),
        (
            "every: 1w, from: 2026-07-01T09:00",
            Every(interval=timedelta(weeks=1), anchor=datetime(2026, 7, 1, 6, tzinfo=UTC), zone=KYIV),
        ),
    ],
)
def test_schedules(text: str, schedule: Schedule) -> None:
    assert broadcast(f"text: Hello\nschedule: {{{text}}}\n").schedule == schedule


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", '4:11: "schedule" needs one of cron, at, every; a broadcast started by hand has no schedule at all'),
        ('{cron: "0 9 * * *", every: 2h}', '4:11: "schedule" needs one of cron, at, every, not cron and every'),
        ('{cron: "0 9 * * *", from: 2026-01-01T09:00}', '4:11: "from" goes with every'),
        (
            "{cron: daily}",
            '4:18: "daily" is no cron schedule: it has five parts (minute, hour, day of the month, month, day of the '
            'week), for example "0 9 * * mon" for Mondays at 09:00',
        ),
        ('{cron: "0 25 * * *"}', '4:18: "25" is no hour of a cron schedule: 0-23'),
        ('{cron: "0 9 32 * *"}', '4:18: "32" is no day of the month of a cron schedule: 1-31, or L for the last'),
        ('{cron: "0 9 * 13 *"}', '4:18: "13" is no month of a cron schedule: 1-12 or jan-dec'),
        (
            '{cron: "0 9 * * fri-mon"}',
            '4:18: "fri-mon" is no day of the week of a cron schedule: mon, tue, wed, thu, fri, sat, sun, or 0-7 with '
            "Sunday 0 and 7; a range ends after it begins",
        ),
        ("{cron: 9}", '4:18: "cron" must be written like "0 9 * * mon", not 9'),
        ("{at: tomorrow}", '4:16: "tomorrow" is no local time: write for example "2026-12-01T09:00"'),
        (
            "{at: 2026-12-01T09:00Z}",
            '4:16: "2026-12-01T09:00Z" is no local time: write for example "2026-12-01T09:00" (the time zone has a key '
            "of its own: timezone)",
        ),
        ("{at: 2026-02-30T09:00}", '4:16: "2026-02-30T09:00" is no time: day is out of range for month'),
        ("{at: 1066-10-14T09:00}", '4:16: "1066-10-14T09:00" is not between 2000 and 2200'),
        ("{every: 10s}", '4:19: "every" must be at least 1m'),
        ("{every: 9000d}", '4:19: "every" must be at most 366 days'),
        (
            "{every: 2h, timezone: Europe/Kyev}",
            '4:33: "Europe/Kyev" is no time zone (did you mean "Europe/Kyiv"?)',
        ),
        ("{every: 2h, timezone: ../etc}", '4:33: "../etc" is no time zone, for example Europe/Kyiv'),
        ("{evry: 2h}", '4:12: unknown key "evry" (did you mean "every"?)'),
    ],
)
def test_what_is_said_of_schedules(text: str, problem: str) -> None:
    assert wrong(f"schedule: {text}\ntext: Hello\n") == [problem]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("text: a\ntemplate: b.md.j2\n", 'needs either "text" or "template", not both'),
        ("not_after: 2h\n", 'needs either "text" or "template"'),
        ("text: a\nquiet_hours: 21-8\n", '5:14: "21-8" are no quiet hours: write for example "21:00-08:00"'),
        ('text: a\nquiet_hours: "21:00-25:00"\n', '5:14: "21:00-25:00" is not within a day: from 00:00 to 24:00'),
        (
            'text: a\nquiet_hours: "00:00-24:00"\n',
            '5:14: "00:00-24:00" leaves no time at which a message may be sent, or all of it: leave it out',
        ),
        (
            "text: a\nrate: fast\n",
            '5:7: "fast" is not a rate: write a number above 0, a slash and a unit, for example "120/min"',
        ),
        (
            "text: a\npause_if_failed: 0%\n",
            '5:18: "0%" is no share: write a number above 0 and at most 100, and %, for example "20%"',
        ),
        ("text: a\nnot_after: 1s\n", '5:12: "not_after" must be at least 1m'),
        ("text: a\nskip_if: bad\n", "5:10: not an expression"),
        ("text: a\non_unknown: again\n", '5:13: "on_unknown" must be one of resend, hold; not "again"'),
        (
            "text: a\nclock_change: {gap: jump}\n",
            '5:21: "gap" must be one of shift, skip; not "jump"',
        ),
        ("text: a\nto: {}\n", '5:5: "to" must not be empty'),
    ],
)
def test_what_is_said_of_broadcasts(text: str, problem: str) -> None:
    (said,) = wrong(text)
    assert said.endswith(problem)


def test_an_audience_that_is_not_there() -> None:
    _, problems = made(BroadcastForm, "name: offer\nvia: shop\naudience: customer\ntext: Hello\n")
    assert [str(problem) for problem in problems] == [
        'rules/b.yaml:3:11: there is no audience "customer" (did you mean "customers"?)'
    ]
    _, problems = made(BroadcastForm, "name: offer\nvia: shop\naudience: staff\ntext: Hello\n")
    assert problems[0].message == 'there is no audience "staff"; put it below "audiences:"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file: audiences/customers.csv", FileAudience(path="audiences/customers.csv")),
        ("file: a.tsv", FileAudience(path="a.tsv", separator="\t")),
        ("file: a.ndjson", FileAudience(path="a.ndjson", format="jsonl")),
        (
            'file: export.txt\nformat: csv\nseparator: ";"\nkey: [Number]\nlanguage: Sprache\ntimezone: Zone\n'
            "bad_lines: stop",
            FileAudience(
                path="export.txt",
                separator=";",
                key=("Number",),
                language="Sprache",
                timezone="Zone",
                bad_lines="stop",
            ),
        ),
        (
            'helpcrunch: {account: shop, filter: [{field: customers.city, operator: "=", value: Berlin}]}',
            HelpCrunchAudience(
                account="shop", filter=(CustomerFilter(field="customers.city", operator="=", value="Berlin"),)
            ),
        ),
        ("chayns: {account: club, uac_groups: [3, 5]}", ChaynsAudience(account="club", uac_groups=(3, 5))),
        (
            "chayns: {account: club, uac_groups: 3, each: true}",
            ChaynsAudience(account="club", uac_groups=(3,), each=True),
        ),
        ("met: {account: shop}", MetAudience(accounts=frozenset({"shop"}))),
        ("met: {}", MetAudience()),
    ],
)
def test_audiences(text: str, expected: Audience) -> None:
    assert audience(text) == expected


def test_those_whom_the_bridge_has_met_and_a_condition_holds_for() -> None:
    found = audience('met: {when: {contact.language: uk, not: {contact.email: {ends_with: "@acme.example"}}}}')
    assert isinstance(found, MetAudience)
    assert found.when is not None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("key: email", "needs one of file, helpcrunch, chayns, met"),
        ("file: a.csv\nmet: {}", "needs one of file, helpcrunch, chayns, met, not file and met"),
        ("met: {}\nkey: email\nbad_lines: stop", '"key", "bad_lines" goes with file, and this audience is none'),
        ("file: a.xlsx", '"a.xlsx" ends in none of .csv, .tsv, .jsonl, .ndjson: say format: csv, or jsonl'),
        ('file: a.jsonl\nseparator: ";"', '"separator" is for CSV, and this file is JSON Lines'),
        ("file: a.csv\nbad_lines: ignore", '2:12: "bad_lines" must be one of skip, stop; not "ignore"'),
        ("chayns: {account: club, uac_groups: []}", '1:37: "uac_groups" must not be empty'),
        ("chayns: {account: club, uac_groups: [0]}", '1:38: "uac_groups" must be at least 1, not 0'),
        (
            "helpcrunch: {account: shop, filter: [{field: customers.city, operator: is, value: Berlin}]}",
            '1:72: "operator" must be one of =, !=, >, <, >=, <=, ~, !~; not "is"',
        ),
        ("met: {when: {contcat.email: x}}", '1:14: unknown field "contcat.email" (did you mean "contact.email"?)'),
    ],
)
def test_what_is_said_of_audiences(text: str, problem: str) -> None:
    assert any(said.endswith(problem) for said in no_audience(text)), no_audience(text)


def test_a_file_with_broadcasts_is_checked_whole() -> None:
    text = """
audiences:
  customers: {file: customers.csv, kye: email}
broadcasts:
  - {name: offer, via: shop, text: Hello}
rules:
  - {name: hello, on: message, stop: true}
"""
    _, problems = validate(RuleFileForm, node_of(text))
    assert sorted(str(problem) for problem in problems) == [
        'rules/b.yaml:3:36: unknown key "kye" (did you mean "key"?)',
        'rules/b.yaml:5:5: "broadcasts" needs "audience"',
    ]
    sound, problems = validate(RuleFileForm, node_of(text.replace("kye", "key").replace("text", "audience: all, text")))
    assert problems == []
    assert sound is not None


def test_editors_are_told_how_everything_is_written() -> None:
    schema = RuleFileForm.model_json_schema()
    schedule, broadcast_ = schema["$defs"]["ScheduleForm"], schema["$defs"]["BroadcastForm"]
    takes = Draft202012Validator({"$ref": "#/$defs/ScheduleForm", "$defs": schema["$defs"]}).is_valid
    assert takes({"every": "2h"})
    assert takes({"cron": "0 9 * * *"})
    assert not takes({"cron": "0 9 * * *", "every": "2h"})
    assert not takes({"at": "2026-12-01T09:00", "every": "2h"})
    assert not takes({})
    assert set(schedule["properties"]) == {"cron", "at", "every", "from", "timezone"}
    assert broadcast_["properties"]["rate"]["anyOf"][0]["type"] == "string"


@given(
    text=st.one_of(st.text(), st.from_regex(r"([0-9*/,\-lLwW#a-z]{1,6} ){4}[0-9*/,\-lLwW#a-z]{1,6}", fullmatch=True))
)
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    for parse in (parse_cron, parse_local, parse_quiet):
        try:
            parse(text)
        except ValueError as error:
            said = str(error)
        else:
            continue
        assert said
