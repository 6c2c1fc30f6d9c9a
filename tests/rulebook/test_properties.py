"""Whatever the rules and the events are: conditions, the index and a second, naive reading of the rules agree."""

import json
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.line.match import match
from bridge.model.event import Attachment, Contact
from bridge.model.facts import Facts
from bridge.model.rule import Rulebook
from bridge.rulebook.calendars import DAYS
from bridge.rulebook.imply import disjoint, implies, never_holds
from bridge.rulebook.lint import lint
from tests.rulebook import naive
from tests.rulebook.books import facts, mixed, sound, with_copies
from tests.rulebook.test_index import GLOB, PATTERN, URL_PARTS, WORD, a_url, matching

T = TypeVar("T")

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Europe/Kyiv", "UTC")
YEARS = (datetime(2025, 12, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC))

WORDS = (
    ("price", "PRICE", "pricelist"), ("Straße", "STRASSE", "ſtraße"), ("İstanbul", "i\u0307stanbul", "ISTANBUL"),
    ("ﬁn", "FIN"), ("\u212ab", "kb"), ("цена", "ЦЕНА", "ціна"), ("ΣΟΦΟΣ", "σοφος", "σοφός"), ("日本", "日本語", "価格"),
    ("👍", "👍🏽", "👨\u200d👩", "👨"), ("e\u0301te\u0301", "\u00e9t\u00e9", "ÉTÉ", "ete"), ("क\u0940मत", "क", "मत"),
    ("a\u0300\u0323", "a\u0323\u0300", "a"), ("ａ１", "a1", "_a", "a"), ("\u01f0", "J\u030c", "j"),
    ("ΐ", "Ι\u0308\u0301"),
    ("5", "5.0", "+5", "٥"), ("?", "!!", "a?"), ("\u00a0a", "\u2003", "a b"),
)  # fmt: skip
"""Words of many scripts: of each line several are the same once they are folded, or only look so."""

FEW = st.shared(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(lambda some: [*chain(*some)]), key="words")
"""Rules and events of one try share a few words: of many they would hardly ever have the same."""
WHICH = st.integers(0, 59)
"""The number of one of a few: a strategy that is made anew for each few would take most of the time of these tests."""


def one_of_the(few: st.SearchStrategy[list[T]]) -> st.SearchStrategy[T]:
    return st.builds(lambda some, which: some[which % len(some)], few, WHICH)


def a_text(words: list[str], which: list[int]) -> str:
    parts = (*words, *words, " ", " ", "  ", "\n", "-", "_", ".")
    return "".join(parts[number % len(parts)] for number in which)


PIECE = one_of_the(FEW.map(lambda words: [word for word in words if word.strip()]))
TEXT = st.builds(a_text, FEW, st.lists(WHICH, max_size=6))
PHRASE = st.lists(PIECE, min_size=1, max_size=2).map(" ".join)
PIECES = st.one_of(PHRASE, st.lists(PHRASE, min_size=1, max_size=3))
NUMBERS = st.shared(st.lists(st.sampled_from([-1, 0, 0.5, 1, 2, 5, 5.0, 2**60]), min_size=1, max_size=2), key="numbers")
NUMBER = one_of_the(NUMBERS)
COUNTS = st.shared(st.lists(st.integers(0, 4), min_size=1, max_size=2), key="counts")
COUNT = one_of_the(COUNTS)
DURATION = st.sampled_from(["0", "30s", "1m", "90 min", "24h"])
SIZE = st.one_of(st.integers(0, 2), st.sampled_from(["1 KiB", "1 MiB"]))
BOUND = st.sampled_from(["above", "below", "at_least", "at_most"])
DAY = 24 * 60
MINUTE = st.integers(0, DAY - 1)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


CLOCK = MINUTE.map(clock)
SPAN = st.builds(
    lambda start, minutes: f"{clock(start)}-{clock((start + minutes) % DAY)}", MINUTE, st.integers(1, DAY - 1)
)


def compared(amount: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        amount, st.lists(amount, min_size=1, max_size=2), st.dictionaries(BOUND, amount, min_size=1, max_size=2)
    )


TEXT_MATCHER = st.one_of(
    PIECES,
    st.dictionaries(st.sampled_from(["words", "contains", "starts_with", "ends_with"]), PIECES, min_size=1, max_size=2),
    st.fixed_dictionaries(
        {"matches": st.one_of(PATTERN, st.sampled_from(["(?i)straße", "(a+)+$", "\\pM", "^$", "цена|(?i)É"]))}
    ),
    st.fixed_dictionaries({"exists": st.booleans()}, optional={"contains": PIECE}),
)
HOST = st.lists(WORD, min_size=1, max_size=3).map(".".join)
URL_MATCHER = st.one_of(
    st.dictionaries(st.just("path"), st.lists(GLOB, min_size=1, max_size=2), min_size=1),
    st.dictionaries(st.just("host"), st.lists(HOST, min_size=1, max_size=2), min_size=1),
    st.fixed_dictionaries({"query": st.dictionaries(st.sampled_from("xy"), PIECES, min_size=1)}),
)
ANY_MATCHER = st.one_of(TEXT_MATCHER, compared(NUMBER), st.booleans())
TIME = st.one_of(
    SPAN,
    st.lists(SPAN, min_size=1, max_size=2),
    st.fixed_dictionaries({}, optional={"is": SPAN, **dict.fromkeys(("above", "below", "at_least", "at_most"), CLOCK)})
    .filter(bool).flatmap(lambda asked: st.sampled_from([asked, {**asked, "calendar": "office"}])),
)  # fmt: skip
LINE = st.one_of(
    st.tuples(st.sampled_from(["text", "contact.name", "attachment.name", "channel"]), TEXT_MATCHER),
    st.tuples(st.sampled_from(["memory.a", "contact.x", "contact.memory.a", "event.raw.c.0"]), ANY_MATCHER),
    st.tuples(st.just("url"), URL_MATCHER),
    st.tuples(st.just("conversation.messages"), compared(COUNT)),
    st.tuples(st.sampled_from(["conversation.age", "conversation.idle"]), compared(DURATION)),
    st.tuples(st.just("attachment.size"), compared(SIZE)),
    st.tuples(st.just("conversation.human_active"), st.booleans()),
    st.tuples(st.just("kind"), st.sampled_from(["message", "visited", ["message", "ended"]])),
    st.tuples(
        st.just("calendar"),
        st.dictionaries(st.sampled_from(["open", "closed"]), st.sampled_from(["office", "night"]), min_size=1),
    ),
    st.tuples(st.just("time"), TIME),
)
PLAIN = st.lists(LINE, min_size=1, max_size=3).map(dict)
WHEN: st.SearchStrategy[dict[str, Any]] = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
        inner.map(lambda part: {"not": part}),
        st.tuples(PLAIN, inner).map(lambda two: {**two[0], "any": [two[1], {"not": two[0]}]}),
    ),
    max_leaves=4,
)
RULE = st.fixed_dictionaries(
    {"on": st.just(["message", "visited"]), "when": st.one_of(LINE.map(lambda line: dict([line])), WHEN)},
    optional={"priority": st.integers(-1, 1), "stop": st.booleans()},
)
VALUE = st.one_of(TEXT, PIECE, NUMBER, st.booleans(), st.none(), st.lists(PIECE, max_size=2))


CLOSED_DAYS = st.sampled_from(["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"])
CALENDAR = st.fixed_dictionaries(
    {
        "timezone": st.sampled_from(ZONES),
        "hours": st.dictionaries(st.sampled_from(DAYS), st.lists(SPAN, min_size=1, max_size=2), min_size=1, max_size=5),
        "closed": st.lists(CLOSED_DAYS, max_size=2, unique=True),
    }
)
"""Weekly hours in one of the zones, spans over midnight among them, closed on some days about the clock changes."""
CALENDARS = st.fixed_dictionaries({"office": CALENDAR, "night": CALENDAR})
MOMENT = st.datetimes(YEARS[0].replace(tzinfo=None), YEARS[1].replace(tzinfo=None), timezones=st.just(UTC))
BYTES = st.sampled_from([None, 0, 2, 1024, 2**20])
AGO = st.sampled_from([timedelta(seconds=seconds) for seconds in (0, 29, 30, 60, 5_400, 86_400, 86_401)])
ABOUT_NOW = st.builds(
    facts,
    kind=st.sampled_from(["message", "visited"]),
    text=st.one_of(st.none(), TEXT),
    channel=st.one_of(st.none(), PIECE),
    url=st.one_of(
        st.none(),
        st.builds(a_url, URL_PARTS, URL_PARTS, st.lists(st.tuples(st.sampled_from("xy"), PIECE), max_size=2)),
        TEXT,
    ),
    contact=st.builds(Contact, name=st.one_of(st.none(), TEXT), extra=st.fixed_dictionaries({"x": VALUE})),
    memory=st.fixed_dictionaries({"a": VALUE}),
    contact_memory=st.fixed_dictionaries({"a": VALUE}),
    raw=st.fixed_dictionaries({"c": st.lists(VALUE, min_size=1, max_size=1)}),
    attachment=st.one_of(st.none(), st.builds(Attachment, name=TEXT, size=BYTES)),
    conversation=st.fixed_dictionaries({"messages": COUNT, "idle": AGO}),
)


def at(about: Facts, now: datetime, age: timedelta, human: bool) -> Facts:
    moments = {"opened_at": now - age, "last_at": now, "agent_at": now if human else None}
    return replace(about, now=now, conversation=replace(about.conversation, **moments))


ABOUT = st.builds(at, ABOUT_NOW, MOMENT, AGO, st.booleans())


def book(rules: list[dict[str, Any]], calendars: dict[str, Any]) -> Rulebook:
    do = {"do": [{"remember": {"a": 1}}]}
    named = [{"name": f"rule {number}", **do, **rule} for number, rule in enumerate(rules)]
    return sound(json.dumps({"rules": named, "calendars": calendars}, ensure_ascii=False))


AROUND = ("{}", "a {}", "{} a", "a{}", "{}a", "{}\u0301", "_{}", "-{}-", "{}\n{}", " {} ")


@pytest.mark.parametrize("words", WORDS, ids=ascii)
def test_a_word_is_found_where_the_naive_reading_finds_it_whatever_stands_around_it(words: tuple[str, ...]) -> None:
    matchers = ("is", "words", "contains", "starts_with", "ends_with")
    whens = [{"text": {matcher: word}} for matcher in matchers for word in words if word.strip()]
    rules = book([{"on": "message", "when": when} for when in whens], {})
    for text in {around.format(*[word] * 2) for around in AROUND for word in words}:
        about = facts(text=text)
        found = [rule.name for rule in rules.index.candidates(about) if rule.when.holds(about, {})]
        assert found == [f"rule {number}" for number, when in enumerate(whens) if naive.holds(when, about)], ascii(text)


@settings(max_examples=200, deadline=None)
@given(WHEN, CALENDARS, st.lists(ABOUT, min_size=1, max_size=3).map(mixed))
def test_a_condition_holds_where_the_naive_reading_of_it_holds(
    when: dict[str, Any], calendars: dict[str, Any], asked: list[Facts]
) -> None:
    condition = book([{"on": "message", "when": when}], calendars).rules[0].when
    for about in asked:
        assert condition.holds(about, {}) == naive.holds(when, about, calendars)
        assert (condition.why_not(about) is None) == condition.holds(about, {})


@settings(max_examples=120, deadline=None)
@given(st.lists(RULE, min_size=1, max_size=8), CALENDARS, st.lists(ABOUT, min_size=1, max_size=3).map(mixed))
def test_the_index_and_a_naive_evaluation_of_the_same_rulebook_agree(
    rules: list[dict[str, Any]], calendars: dict[str, Any], asked: list[Facts]
) -> None:
    rulebook = book(rules, calendars)
    whens = {f"rule {number}": rule["when"] for number, rule in enumerate(rules)}
    for about in asked:
        found = [rule.name for rule in rulebook.index.candidates(about) if rule.when.holds(about, {})]
        assert found == [rule.name for rule in matching(rulebook, about)]
        own = [rule for rule in rulebook.rules if about.event.kind in rule.on and about.event.sender in rule.senders]
        assert found == [rule.name for rule in own if naive.holds(whens[rule.name], about, calendars)]


@settings(max_examples=100, deadline=None)
@given(
    with_copies(st.lists(RULE, min_size=1, max_size=4), WHEN),
    CALENDARS,
    st.lists(ABOUT, min_size=2, max_size=3).map(mixed),
)
def test_what_check_says_of_rules_with_times_and_calendars_is_never_wrong(
    rules: list[dict[str, Any]], calendars: dict[str, Any], asked: list[Facts]
) -> None:
    rulebook = book(rules, calendars)
    told = {problem.message.split('"')[1] for problem in lint(rulebook.rules) if " never " in problem.message}
    for about in asked:
        assert not told & {one.rule.name for one in match(rulebook, about).matches}


@settings(max_examples=120, deadline=None)
@given(WHEN, WHEN, CALENDARS, st.lists(ABOUT, min_size=2, max_size=3).map(mixed))
def test_what_follows_from_conditions_with_times_and_calendars_always_holds(
    one: dict[str, Any], other: dict[str, Any], calendars: dict[str, Any], asked: list[Facts]
) -> None:
    whens = ({"all": [one, other]}, {"any": [other, one]}, one, other, {"not": one}, {"not": other})
    rules = book([{"on": "message", "when": when} for when in whens], calendars).rules
    both, either, first, second, not_first, not_second = (rule.when for rule in rules)
    for a, b in ((both, second), (first, either), (first, second), (not_first, not_second)):
        follows, apart, never = implies(a, b), disjoint(a, b), never_holds(a)
        for about in asked:
            if a.holds(about, {}):
                assert not never
                assert not follows or b.holds(about, {})
                assert not apart or not b.holds(about, {})


OFFICE = {"office": {"timezone": "Europe/Kyiv", "hours": {"mon-fri": ["09:00-17:00"]}, "closed": []}}
CLOSED = {"calendar": {"closed": "office"}}
OPEN = {"calendar": {"open": "office"}}
NIGHT = {"time": "22:00-06:00"}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (CLOSED, {**CLOSED, "text": "a"}, "is never reached"),
        (NIGHT, {"time": "23:00-05:00"}, "is never reached"),
        (NIGHT, {"time": ["22:00-24:00", "00:00-03:00"], "text": {"words": "a"}}, "is never reached"),
        ({"text": "a"}, {"calendar": {"open": "office", "closed": "office"}}, "contradict one another"),
        ({"text": "a"}, {"time": {"at_least": "22:00", "below": "06:00"}}, "contradict one another"),
        (CLOSED, OPEN, None),
        (OPEN, {"time": "09:00-17:00"}, None),
        (NIGHT, {"time": "21:59-23:00"}, None),
        (NIGHT, {"time": {"is": "22:00-06:00", "calendar": "office"}}, None),
    ],
)
def test_what_is_told_of_rules_that_ask_for_the_moment(
    first: dict[str, Any], second: dict[str, Any], said: str | None
) -> None:
    rules: list[dict[str, Any]] = [
        {"on": "message", "stop": True, "when": first},
        {"on": "message", "when": second, "do": REPLY},
    ]
    told = [problem.message for problem in lint(book(rules, OFFICE).rules)]
    assert len(told) == (said is not None)
    assert said is None or said in told[0]


REPLY = [{"reply": {"text": "a"}}]


def test_two_that_ask_for_different_moments_do_not_answer_twice() -> None:
    rules = [{"on": "message", "when": when, "do": REPLY} for when in (OPEN, {"time": "09:00-17:00"}, CLOSED)]
    assert not list(lint(book(rules, OFFICE).rules))
    [told] = lint(book([rules[0], rules[0]], OFFICE).rules)
    assert "both have the same conditions" in told.message


CHANGES = {
    "Europe/Berlin": ("2026-03-29T01:00Z", "2026-10-25T01:00Z"),
    "Europe/Kyiv": ("2026-03-29T01:00Z", "2026-10-25T01:00Z"),
    "America/New_York": ("2026-03-08T07:00Z", "2026-11-01T06:00Z"),
    "Australia/Lord_Howe": ("2026-04-04T15:00Z", "2026-10-03T15:30Z"),
}


@pytest.mark.parametrize(("zone", "change"), [(zone, change) for zone, both in CHANGES.items() for change in both])
@settings(max_examples=25, deadline=None)
@given(hours=st.dictionaries(st.sampled_from(DAYS), st.lists(SPAN, min_size=1, max_size=2), min_size=3), span=SPAN)
def test_every_minute_about_a_change_of_clocks_is_what_the_clock_on_the_wall_shows(
    zone: str, change: str, hours: dict[str, Any], span: str
) -> None:
    calendars = {"office": {"timezone": zone, "hours": hours, "closed": []}}
    whens = [{"calendar": {"open": "office"}}, {"time": {"is": span, "calendar": "office"}}]
    opening, time = (rule.when for rule in book([{"on": "message", "when": when} for when in whens], calendars).rules)
    middle, about = datetime.fromisoformat(change), facts()
    offsets = set()
    for minute in range(-30 * 60, 30 * 60, 7):
        now = replace(about, now=middle + timedelta(minutes=minute))
        offsets.add(now.now.astimezone(ZoneInfo(zone)).utcoffset())
        assert opening.holds(now, {}) == naive.holds(whens[0], now, calendars)
        assert time.holds(now, {}) == naive.holds(whens[1], now, calendars)
    assert len(offsets) == 2
