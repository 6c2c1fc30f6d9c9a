"""Quantities as people write them: "90 days", "10m", "1 MiB", "120/min"."""

import re
from dataclasses import dataclass
from datetime import timedelta

_SECONDS = {
    "ms": 0.001,
    "s": 1, "sec": 1, "second": 1,
    "m": 60, "min": 60, "minute": 60,
    "h": 3600, "hour": 3600,
    "d": 86400, "day": 86400,
    "w": 604800, "week": 604800,
}  # fmt: skip
_BYTES = {"b": 1, "kb": 1000, "kib": 1024, "mb": 1000**2, "mib": 1024**2, "gb": 1000**3, "gib": 1024**3}
_AMOUNT = re.compile(r"\s*([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([a-zA-Z]+)\s*")
_RATE = re.compile(r"\s*([0-9]{1,9})\s*/\s*([a-zA-Z]+)\s*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """At most `times` in `per`."""

    times: int
    per: timedelta


def _unit(word: str, units: dict[str, float] | dict[str, int]) -> float | None:
    word = word.lower()
    return units.get(word, units.get(word.removesuffix("s")) if len(word) > 2 else None)


def parse_duration(text: str) -> timedelta:
    """'90 days', '24h', '1.5 hours', '500ms' or '0'. Raises ValueError for anything else."""
    if text.strip() == "0":
        return timedelta(0)
    found = _AMOUNT.fullmatch(text)
    seconds = _unit(found[2], _SECONDS) if found else None
    if found is None or seconds is None:
        raise ValueError(f'"{text}" is not a duration: write a number and ms, s, m, h, d or w, for example "10m"')
    try:
        return timedelta(seconds=float(found[1]) * seconds)
    except OverflowError:
        raise ValueError(f'"{text}" is too long a duration') from None


def parse_size(text: str) -> int:
    """'1 MiB', '500 kB' or '20 B', in bytes. Raises ValueError for anything else."""
    found = _AMOUNT.fullmatch(text)
    size = _unit(found[2], _BYTES) if found else None
    if found is None or size is None:
        raise ValueError(f'"{text}" is not a size: write a number and B, kB, KiB, MB, MiB or GiB, for example "1 MiB"')
    return round(float(found[1]) * size)


def parse_rate(text: str) -> Rate:
    """'120/min' or '5/s'. Raises ValueError for anything else."""
    found = _RATE.fullmatch(text)
    seconds = _unit(found[2], _SECONDS) if found else None
    if found is None or seconds is None or found[1].strip("0") == "":
        raise ValueError(f'"{text}" is not a rate: write a number above 0, a slash and a unit, for example "120/min"')
    return Rate(times=int(found[1]), per=timedelta(seconds=seconds))


def say_duration(duration: timedelta) -> str:
    """A duration as a person reads it: '2h 5m', '10s', '0.25s'."""
    seconds = duration.total_seconds()
    if seconds < 10:
        return f"{seconds:g}s"
    rest, words = round(seconds), []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count}{unit}")
    return " ".join(words[:2])


def say_count(number: int, one: str, many: str = "") -> str:
    """'1 line', '4,812 lines'; `many` is for a plural that has more to it than an s: '2 deliveries'."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
