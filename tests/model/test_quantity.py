from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.quantity import Rate, parse_duration, parse_rate, parse_size, say_count, say_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        (" 0 ", 0),
        ("500ms", 0.5),
        ("1.5 hours", 5400),
        ("10m", 600),
        ("10 min", 600),
        ("2 minutes", 120),
        ("1 Hour", 3600),
        ("90 days", 90 * 86400),
        ("2w", 14 * 86400),
        ("0.000001s", 0.000001),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "10", "m", "-1m", "1 month", "1m 5s", "1..5s", "1e3s", "١m", "1,5h", "10 m s", "s" * 9]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=f'"{text}" is not a duration: write a number and ms'):
        parse_duration(text)


def test_a_duration_longer_than_python_knows() -> None:
    with pytest.raises(ValueError, match='"999999999999w" is too long a duration'):
        parse_duration("999999999999w")


@pytest.mark.parametrize(
    ("text", "size"),
    [("1 MiB", 1048576), ("500 kB", 500_000), ("20 B", 20), ("1.5KiB", 1536), ("2 GB", 2 * 10**9), ("0.5 gib", 2**29)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "1", "MiB", "-1 B", "1 TB", "1 M", "1 Mi B"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=f'"{text}" is not a size: write a number and B, kB'):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "times", "seconds"),
    [("120/min", 120, 60), ("5/s", 5, 1), ("1 / hour", 1, 3600), ("10/days", 10, 86400), ("007/m", 7, 60)],
)
def test_rates(text: str, times: int, seconds: int) -> None:
    assert parse_rate(text) == Rate(times=times, per=timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "text", ["", "0/s", "000/s", "5", "5/", "/s", "5/5s", "-5/s", "1.5/s", "5/s/s", "1234567890/s"]
)
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match=f'"{text}" is not a rate: write a number above 0'):
        parse_rate(text)


@given(st.text(max_size=40) | st.from_regex(r"\s?[0-9.]{0,20}\s?[a-zA-Z/]{0,8}\s?", fullmatch=True))
def test_any_text_is_a_quantity_or_a_value_error_that_shows_it(text: str) -> None:
    for parse in (parse_duration, parse_size, parse_rate):
        try:
            parse(text)
        except ValueError as error:
            message = str(error)
        else:
            message = f'"{text}" was read'
        assert message.startswith(f'"{text}" ')


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (0.25, "0.25s"),
        (9.5, "9.5s"),
        (10, "10s"),
        (59.6, "1m"),
        (61, "1m 1s"),
        (7500, "2h 5m"),
        (7501, "2h 5m"),
        (90 * 86400, "90d"),
        (86400 + 60, "1d 1m"),
    ],
)
def test_a_duration_as_a_person_reads_it(seconds: float, words: str) -> None:
    assert say_duration(timedelta(seconds=seconds)) == words


@given(st.integers(10, 10**9))
def test_what_is_said_can_be_read_again(seconds: int) -> None:
    words = say_duration(timedelta(seconds=seconds)).split(" ")
    read = sum((parse_duration(word) for word in words), timedelta(0)).total_seconds()
    assert 0 <= seconds - read < parse_duration("1" + words[-1][-1]).total_seconds()


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (0, ("line",), "0 lines"),
        (1, ("line",), "1 line"),
        (4812, ("line",), "4,812 lines"),
        (1, ("delivery", "deliveries"), "1 delivery"),
        (2, ("delivery", "deliveries"), "2 deliveries"),
    ],
)
def test_a_count_is_said_in_the_singular_or_the_plural(number: int, words: tuple[str, ...], said: str) -> None:
    assert say_count(number, *words) == said
