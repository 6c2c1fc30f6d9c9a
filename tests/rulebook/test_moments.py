"""`time` and `calendar` in conditions, also where clocks change; and the moment of an example."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.model.wording import Condition
from tests.rulebook.books import facts, made, problems, sound

CALENDARS = """
calendars:
  office: {timezone: Europe/Kyiv, hours: {mon-fri: "09:00-18:00"}, closed: [2026-03-30]}
  night: {timezone: UTC, hours: {mon-sun: "22:00-06:00"}}
"""


def condition(when: str) -> Condition:
    """The condition of a rule in one file; the calendars are in another."""
    return sound(f"rules: [{{name: x, on: message, stop: true, when: {when}}}]", CALENDARS).rules[0].when


def at(moment: str) -> Any:
    return replace(facts(), now=datetime.fromisoformat(moment).astimezone(UTC))


def told(when: str, moment: str) -> str | None:
    """Why not; that it agrees with whether it holds is checked on the way."""
    asked = condition(when)
    reason = asked.why_not(at(moment))
    assert asked.holds(at(moment), {}) == (reason is None)
    return reason


@pytest.mark.parametrize(
    ("when", "moment", "reason"),
    [
        ("{calendar: {open: office}}", "2026-03-27T09:00+02:00", None),
        ("{calendar: {open: office}}", "2026-03-27T18:00+02:00", "calendar: office is closed at 2026-03-27 16:00 UTC"),
        ("{calendar: {closed: office}}", "2026-03-27T18:00+02:00", None),
        ("{calendar: {closed: office}}", "2026-03-27T17:59+02:00", "calendar: office is open at 2026-03-27 15:59 UTC"),
        ("{calendar: {open: office}}", "2026-03-30T12:00+03:00", "calendar: office is closed at 2026-03-30 09:00 UTC"),
        ("{calendar: {open: office, closed: night}}", "2026-03-27T12:00+02:00", None),
        ("{calendar: {open: night, closed: office}}", "2026-03-27T23:00Z", None),
        ("{not: {calendar: {open: office}}}", "2026-03-28T12:00+02:00", None),
        ("{time: 09:00-12:00}", "2026-03-27T09:00Z", None),
        ("{time: 09:00-12:00}", "2026-03-27T12:00Z", "time: 12:00 in UTC is not 09:00-12:00"),
        ("{time: 22:00-06:00}", "2026-03-27T05:59Z", None),
        ("{time: 22:00-06:00}", "2026-03-27T06:00Z", "time: 06:00 in UTC is not 22:00-06:00"),
        ("{time: [08:00-09:00, 22:00-24:00]}", "2026-03-27T23:59Z", None),
        ("{time: [08:00-09:00, 22:00-24:00]}", "2026-03-27T00:00Z",
         "time: 00:00 in UTC is not 08:00-09:00 or 22:00-24:00"),
        ("{time: {at_least: 09:00, below: 17:00}}", "2026-03-27T16:59Z", None),
        ("{time: {at_least: 09:00, below: 17:00}}", "2026-03-27T17:00Z", "time: 17:00 in UTC is not 00:00-17:00"),
        ("{time: {above: 09:00}}", "2026-03-27T09:00Z", "time: 09:00 in UTC is not 09:01-24:00"),
        ("{time: {at_most: 09:00}}", "2026-03-27T09:00:59Z", None),
        ("{time: {is: 12:00-13:00, calendar: office}}", "2026-03-27T10:30Z", None),
        ("{time: {is: 12:00-13:00, calendar: office}}", "2026-07-27T10:30Z",
         "time: 13:30 in Europe/Kyiv is not 12:00-13:00"),
    ],
)  # fmt: skip
def test_what_is_asked_of_the_moment(when: str, moment: str, reason: str | None) -> None:
    assert told(when, moment) == reason


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("{calendar: {open: ofice}}", '1:68: there is no calendar "ofice" (did you mean "office"?)'),
        ("{calendar: {closed: shop}}", '1:70: there is no calendar "shop"; known: office, night'),
        ("{time: {is: 12:00-13:00, calendar: nite}}", '1:85: there is no calendar "nite" (did you mean "night"?)'),
        ("{calendar: office}", '1:61: "calendar" must be written {open: office} or {closed: office}'),
        ("{calendar: {}}", '"calendar" needs "open" or "closed" and the name of a calendar'),
        ("{calendar: {opened: office}}", 'unknown key "opened" (did you mean "open"?)'),
        ("{calender: {open: office}}", '1:51: unknown field "calender" (did you mean "calendar"?)'),
        ("{time: noon}", '1:57: "noon" is no span of hours: write for example "09:00-17:30"'),
        ("{time: {at_least: 9}}", '1:68: "at_least" must be written like "09:00", not 9'),
        ("{time: {at_least: '25:00'}}", '"25:00" is no time of day'),
        ("{time: {calendar: office}}", '"time" needs a span such as "22:00-06:00", or above, below'),
        ("{time: {contains: a}}", 'unknown key "contains"; known: is, in, above, below, at_least, at_most, calendar'),
    ],
)
def test_mistakes_about_the_moment(when: str, message: str) -> None:
    found = problems(f"rules: [{{name: x, on: message, stop: true, when: {when}}}]", CALENDARS)
    assert len(found) == 1, found
    assert message in found[0]


def test_a_calendar_with_a_mistake_is_reported_once_and_not_missed() -> None:
    found = problems(
        "rules: [{name: x, on: message, stop: true, when: {calendar: {open: office}}}]",
        "calendars: {office: {hours: {mon: 9-17}}}",
    )
    assert [line.partition(": ")[2] for line in found] == [
        '"9-17" is no span of hours: write for example "09:00-17:30"'
    ]


def test_where_no_file_has_calendars_it_says_where_they_go() -> None:
    (found,) = problems("rules: [{name: x, on: message, stop: true, when: {calendar: {open: office}}}]")
    assert found.endswith('there is no calendar "office"; put it below "calendars:"')


CHANGES = [
    ("Europe/Berlin", "2026-03-29T01:00Z"), ("Europe/Berlin", "2026-10-25T01:00Z"),
    ("Europe/Kyiv", "2026-03-29T01:00Z"), ("Europe/Kyiv", "2026-10-25T01:00Z"),
    ("America/New_York", "2026-03-08T07:00Z"), ("America/New_York", "2026-11-01T06:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00Z"), ("Australia/Lord_Howe", "2026-10-03T15:30Z"),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_when_clocks_change_the_time_of_day_is_what_the_clock_on_the_wall_shows(zone: str, change: str) -> None:
    calendar = f"calendars: {{here: {{timezone: {zone}, hours: {{mon-sun: 00:00-24:00}}}}}}"
    rule = "rules: [{name: x, on: message, stop: true, when: {time: {is: 01:00-02:30, calendar: here}}}]"
    asked = sound(rule, calendar).rules[0].when
    middle = datetime.fromisoformat(change)
    moments = [middle + timedelta(minutes=15 * step) for step in range(-24, 25)]
    shown = [moment.astimezone(ZoneInfo(zone)).strftime("%H:%M") for moment in moments]
    held = [asked.holds(replace(facts(), now=moment), {}) for moment in moments]
    assert held == ["01:00" <= clock < "02:30" for clock in shown]
    assert len({moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in moments}) == 2


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - the zone is given below
    st.integers(0, 1439),
    st.integers(1, 1440),
)
def test_a_span_has_every_minute_once(moment: datetime, start: int, length: int) -> None:
    end = (start + length) % 1440
    span = f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    if length == 1440:
        span = "00:00-24:00"
    minute = moment.hour * 60 + moment.minute
    inside = condition(f"{{time: {span}}}").holds(replace(facts(), now=moment.replace(tzinfo=UTC)), {})
    assert inside == (length == 1440 or (minute - start) % 1440 < length)


def test_an_example_says_when_it_happens() -> None:
    rule = "{name: x, on: message, stop: true, examples: [{message: a, at: AT, expect: nothing}]}"
    rulebook = sound(f"rules: [{rule.replace('AT', '2026-03-27T10:00+02:00')}]")
    assert rulebook.rules[0].examples[0].given["at"] == datetime(2026, 3, 27, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "message"),
    [
        ("tomorrow", '"tomorrow" is no moment: write for example "2026-03-27T10:00+02:00"'),
        ("2026-03-27T10:00", '"2026-03-27T10:00" does not say in which time zone: end it with "+02:00" or with "Z"'),
        ("'9999-12-31T23:59-12:00'", "is not between 1970 and 2199"),
        ("0001-01-01T00:00+14:00", "is not between 1970 and 2199"),
        ("5", '"at" must be written like "2026-03-27T10:00+02:00", not 5'),
    ],
)
def test_mistakes_in_the_moment_of_an_example(moment: str, message: str) -> None:
    rule = f"{{name: x, on: message, stop: true, examples: [{{message: a, at: {moment}, expect: nothing}}]}}"
    rulebook, (found,) = made(f"rules: [{rule}]")
    assert rulebook is None
    assert message in found
