"""Opening hours: days, spans over midnight, clock changes, closed dates, holidays."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.rule import Calendar
from bridge.rulebook.calendars import parse_dates, parse_days, parse_span
from tests.rulebook.books import problems, sound


def calendar(text: str) -> Calendar:
    return sound(f"calendars: {{office: {{{text}}}}}").calendars["office"]


OFFICE = calendar(
    'timezone: Europe/Berlin, hours: {mon-thu: "09:00-17:00", fri: ["09:00-12:00", "13:00-15:30"]}, '
    "closed: [2026-03-31, 2026-12-28..2027-01-02], holidays: {country: DE, region: BE}"
)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-03-27T08:59", False),
        ("2026-03-27T09:00", True),
        ("2026-03-27T11:59", True),
        ("2026-03-27T12:00", False),
        ("2026-03-27T13:00", True),
        ("2026-03-27T15:30", False),
        ("2026-03-28T10:00", False),
        ("2026-03-30T16:59", True),
        ("2026-03-30T17:00", False),
        ("2026-03-31T10:00", False),
        ("2026-04-03T10:00", False),  # Good Friday
        ("2027-03-08T10:00", False),  # a holiday in Berlin only
        ("2026-12-30T10:00", False),
        ("2027-01-04T10:00", True),
    ],
)
def test_hours_in_their_own_time_zone(moment: str, is_open: bool) -> None:
    local = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo("Europe/Berlin"))
    assert OFFICE.is_open(local) is is_open
    assert OFFICE.is_open(local.astimezone(UTC)) is is_open
    assert OFFICE.is_open(local.astimezone(ZoneInfo("Asia/Tokyo"))) is is_open


def test_the_hours_move_with_the_clock() -> None:
    assert not OFFICE.is_open(datetime(2026, 3, 26, 7, 30, tzinfo=UTC))  # 08:30 in winter
    assert OFFICE.is_open(datetime(2026, 3, 30, 7, 30, tzinfo=UTC))  # 09:30 in summer


def test_a_span_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    night = calendar('timezone: UTC, hours: {fri: "22:00-06:00"}, closed: [2026-04-03]')
    assert night.is_open(datetime(2026, 3, 27, 23, 0, tzinfo=UTC))
    assert night.is_open(datetime(2026, 3, 28, 5, 59, tzinfo=UTC))
    assert not night.is_open(datetime(2026, 3, 28, 6, 0, tzinfo=UTC))
    assert not night.is_open(datetime(2026, 3, 27, 5, 0, tzinfo=UTC))
    assert not night.is_open(datetime(2026, 4, 4, 1, 0, tzinfo=UTC))


@given(
    st.integers(0, 50 * 366 * 24 * 60).map(
        lambda minutes: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    st.sampled_from(["UTC", "Asia/Kathmandu", "America/St_Johns"]),
)
def test_a_whole_week_is_always_open(moment: datetime, zone: str) -> None:
    always = calendar(f'timezone: {zone}, hours: {{mon-sun: "00:00-24:00"}}')
    assert always.is_open(moment)


def test_a_calendar_without_a_zone_has_the_default_one() -> None:
    assert calendar('hours: {mon-sun: "12:00-12:01"}').is_open(datetime(2026, 7, 1, 12, 0, tzinfo=UTC))


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        OFFICE.is_open(datetime(2026, 3, 27))  # noqa: DTZ001 - that it is naive is the point


def test_days_spans_and_dates() -> None:
    assert parse_days("Mon-fri") == (0, 1, 2, 3, 4)
    assert parse_days("sat, sun") == (5, 6)
    assert parse_days("sat-mon") == (5, 6, 0)
    assert parse_span("9:00 - 24:00") == (540, 1440)
    assert parse_span("22:30-06:00") == (1350, 1800)
    assert parse_dates("2026-12-31..2027-01-01") == (date(2026, 12, 31), date(2027, 1, 1))
    assert parse_dates("2026-12-24") == (date(2026, 12, 24), date(2026, 12, 24))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('hours: {mon-fry: "09:00-17:00"}', '"fry" is no day of the week: one of mon, tue, wed, thu, fri, sat, sun'),
        ("hours: {mon: 9-17}", '"9-17" is no span of hours: write for example "09:00-17:30"'),
        ("hours: {mon: 900}", '"mon" must be written like "09:00-17:30", not 900'),
        ('hours: {mon: "09:00-25:00"}', '"09:00-25:00" is not within a day'),
        ('hours: {mon: "09:60-10:00"}', '"09:60-10:00" is not within a day'),
        ('hours: {mon: "24:00-10:00"}', '"24:00-10:00" is not within a day'),
        ('hours: {mon: "09:00-09:00"}', '"09:00-09:00" has no length; a whole day is "00:00-24:00"'),
        ('hours: {mon-wed: "09:00-10:00", tue: "11:00-12:00"}', '"hours" names a day twice, the second time in "tue"'),
        ('hours: {mon: "09:00-10:00"}, closed: [2026-02-30]', '"2026-02-30" is no date: write year-month-day'),
        ('hours: {mon: "09:00-10:00"}, closed: [2026-02-03..2026-02-01]', "the second date is before the first"),
        ('hours: {mon: "09:00-10:00"}, closed: [0001-01-01..9999-12-31]', "more than ten years after it"),
        (
            'hours: {mon: "09:00-10:00"}, closed: [20260203]',
            '"closed" must be written like "2026-12-24", not 20260203',
        ),
        ('hours: {mon: "09:00-10:00"}, holidays: XX', 'no holidays are known for the country "XX"'),
        ('hours: {mon: "09:00-10:00"}, holidays: {country: DE, region: XX}', '"DE" has no region "XX"; known: BB, BE'),
        ('hours: {mon: "09:00-10:00"}, timezone: Europe/Kyjiv', 'no time zone (did you mean "Europe/Kyiv"?)'),
        ('hours: {mon: "09:00-10:00"}, timezone: ../../etc/passwd', "is no time zone"),
        ('hours: {mon: "09:00-10:00"}, timezone: Europe', "is no time zone"),
        ("timezone: UTC", '"office" needs "hours"'),
        ('hour: {mon: "09:00-10:00"}, hours: {}', 'unknown key "hour" (did you mean "hours"?)'),
    ],
)
def test_mistakes_in_calendars(text: str, message: str) -> None:
    found = problems(f"calendars: {{office: {{{text}}}}}")
    assert len(found) == 1
    assert message in found[0]


def test_a_calendar_is_named_once() -> None:
    text = 'calendars: {office: {hours: {mon: "09:00-10:00"}}}'
    assert problems(text, text) == [
        'rules/b.yaml:1:13: another calendar is named "office" already, at rules/a.yaml:1:13: rename one'
    ]
