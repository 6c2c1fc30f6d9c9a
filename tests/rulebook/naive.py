"""A second reading of `when`, as plain and slow as can be, to hold the compiled conditions and the index against.

It reads the rule as it is written, knows no index, no folded text and no time zone but by asking `zoneinfo` each time.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from unicodedata import category, normalize
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import re2

from bridge.model.facts import Facts
from bridge.model.quantity import parse_duration, parse_size
from bridge.rulebook.urls import parse_url

NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def holds(when: Mapping[str, Any], about: Facts, calendars: Mapping[str, Any] = {}) -> bool:
    """Whether what is written holds; expressions (`if`) are not read."""
    for key, asked in when.items():
        match key:
            case "all":
                yes = all(holds(part, about, calendars) for part in asked)
            case "any":
                yes = any(holds(part, about, calendars) for part in asked)
            case "not":
                yes = not holds(asked, about, calendars)
            case "time":
                yes = _time(asked, about, calendars)
            case "calendar":
                yes = all(_is_open(calendars[name], about) == (state == "open") for state, name in asked.items())
            case _:
                yes = _field(key, asked, about)
        if not yes:
            return False
    return True


def _field(name: str, asked: Any, about: Facts) -> bool:
    value = _value(name, about)
    if not isinstance(asked, dict):
        asked = {"in": asked} if isinstance(asked, list) else {"is": asked}
    if "exists" in asked:
        return (value is not None) == asked["exists"] and _field(
            name, {k: v for k, v in asked.items() if k != "exists"}, about
        )
    return not asked or (
        value is not None and all(_matches(word, wanted, value, name) for word, wanted in asked.items())
    )


def _value(name: str, about: Facts) -> Any:
    event, conversation = about.event, about.conversation
    first, *path = name.split(".")
    if first == "conversation":
        return getattr(conversation, path[0])
    if first == "attachment":
        return None if event.attachment is None else getattr(event.attachment, path[0])
    if first == "contact" and path[0] != "memory":
        own = getattr(conversation.contact, path[0], None)
        return own if own is not None else conversation.contact.extra.get(path[0])
    if first in ("text", "url", "state", "kind", "sender", "account", "channel", "platform"):
        return getattr(event, first)
    if first == "contact":
        value: Any = about.memory("contact")
        path = path[1:]
    elif first == "event":
        value, path = event.raw, path[1:]
    else:
        value = about.memory("conversation")
    for part in path:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _matches(word: str, wanted: Any, value: Any, name: str) -> bool:
    several: Sequence[Any] = wanted if isinstance(wanted, list) else [wanted]
    if word in ("is", "in"):
        return any(_same(one, value, name) for one in several)
    if word in ("above", "below", "at_least", "at_most"):
        amount, bound = _number(value), _wanted(wanted, name)
        if amount is None:
            return False
        compared: Mapping[str, bool] = {"above": amount > bound, "below": amount < bound, "at_least": amount >= bound,
                                        "at_most": amount <= bound}  # fmt: skip
        return compared[word]
    if not isinstance(value, str):
        return False
    if word == "matches":
        return re2.search(wanted, value.encode("utf-8", "replace")) is not None
    if word == "words":
        return any(_has_word(said(one), said(value)) for one in several)
    if word in ("path", "host", "query"):
        return _in_url(word, wanted, value)
    pieces = [re.sub(r"\s+", " ", fold(one)) for one in several]
    text = said(value)
    if word == "contains":
        return any(piece in text for piece in pieces)
    return any(text.startswith(piece) if word == "starts_with" else text.endswith(piece) for piece in pieces)


def _same(one: Any, value: Any, name: str) -> bool:
    one = _wanted(one, name)
    if isinstance(one, str):
        return isinstance(value, str) and said(one) == said(value)
    if isinstance(one, bool) or isinstance(value, bool):
        return one is value
    number = _number(value)
    return number is not None and number == one


def _wanted(value: Any, name: str) -> Any:
    """A duration or a size as the field counts it."""
    if isinstance(value, str) and name in ("conversation.age", "conversation.idle"):
        return parse_duration(value)
    return parse_size(value) if isinstance(value, str) and name == "attachment.size" else value


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float | timedelta):
        return value
    if isinstance(value, str) and len(value) < 40 and NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return None


def fold(text: str) -> str:
    return normalize("NFC", normalize("NFC", text).casefold())


def said(text: str) -> str:
    return " ".join(fold(text).split())


def _has_word(phrase: str, text: str) -> bool:
    for start in range(len(text) - len(phrase) + 1):
        end = start + len(phrase)
        around = text[max(0, start - 1) : start] + text[end : end + 1]
        if text[start:end] == phrase and not any(
            one.isalnum() or one == "_" or category(one)[0] == "M" for one in around
        ):
            return True
    return False


def _in_url(word: str, wanted: Any, value: str) -> bool:
    url = parse_url(value)
    if url is None:
        return False
    if word == "query":
        asked = {name: one if isinstance(one, list) else [one] for name, one in wanted.items()}
        return all(set(map(said, values)) & set(url.query.get(name, ())) for name, values in asked.items())
    globs = wanted if isinstance(wanted, list) else [wanted]
    if word == "host":
        return bool(url.host) and any(_like(fold(glob).rstrip("."), url.host) for glob in globs)
    return any(_path([one for one in glob.split("/") if one], list(url.segments)) for glob in globs)


def _path(glob: list[str], segments: list[str]) -> bool:
    if not glob:
        return not segments
    if glob[0] == "**":
        return any(_path(glob[1:], segments[skip:]) for skip in range(len(segments) + 1))
    return (
        bool(segments)
        and _like(fold(unquote(glob[0])).replace("/", "%2f"), segments[0])
        and _path(glob[1:], segments[1:])
    )


def _like(glob: str, text: str) -> bool:
    """Whether the text is the glob with something, or nothing, for each star."""
    if not glob:
        return not text
    if glob[0] == "*":
        return any(_like(glob[1:], text[skip:]) for skip in range(len(text) + 1))
    return text[:1] == glob[0] and _like(glob[1:], text[1:])


def _time(asked: Any, about: Facts, calendars: Mapping[str, Any]) -> bool:
    asked = {"in": asked} if isinstance(asked, list) else {"is": asked} if isinstance(asked, str) else dict(asked)
    zone = ZoneInfo(calendars[asked.pop("calendar")]["timezone"] if "calendar" in asked else "UTC")
    clock = about.now.astimezone(zone).strftime("%H:%M")
    tests: Mapping[str, Callable[[Any], bool]] = {
        "is": lambda span: _in_span(clock, span), "in": lambda spans: any(_in_span(clock, one) for one in spans),
        "above": lambda at: clock > at, "below": lambda at: clock < at,
        "at_least": lambda at: clock >= at, "at_most": lambda at: clock <= at,
    }  # fmt: skip
    return all(tests[word](wanted) for word, wanted in asked.items())


def _in_span(clock: str, span: str) -> bool:
    start, end = span.split("-")
    return start <= clock < end if start < end else clock >= start or clock < end


def _is_open(calendar: Mapping[str, Any], about: Facts) -> bool:
    """Opening hours minute by minute: a span that ends before it begins goes on into the next day."""
    local = about.now.astimezone(ZoneInfo(calendar["timezone"]))
    clock = local.strftime("%H:%M")
    for back in (0, 1):
        day = local.date() - timedelta(days=back)
        if day.isoformat() in calendar.get("closed", ()):
            continue
        for span in calendar["hours"].get(DAYS[day.weekday()], ()):
            start, end = span.split("-")
            over = end <= start
            if back == 0 and (start <= clock and (over or clock < end)):
                return True
            if back == 1 and over and clock < end:
                return True
    return False
