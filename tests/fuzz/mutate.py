"""Mutations: a sample that is sound, bent until it is something that nobody had in mind."""

import copy
import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Mutate = Callable[[random.Random, str], str]

TOKENS = (
    "{{ text }}", "{{ contact.name }}", "{{ match.number }}", "{{ event.raw }}", "{{ messages | join }}", "{{", "}}",
    "{% for x in range(9999) %}", "{% endfor %}", "{% if text %}", "{% endif %}", "{% raw %}", "{#",
    "{{ 'a' * 10**9 }}",
    "{{ ''.__class__ }}", "{{ text | date }}", "{{ 1 / 0 }}", "{{ [1][9] }}", "{{ -1 * '' }}", "{{ '%s' % text }}",
    "(a+)+$", "(?P<n>a)|b", "(.*a){20}", "[", "(", "\\", "a{1000}", "(?i)", "\\pL", "(?=a)", "\\1", "^$", "|",
    "?", "*",
    "- ", ": ", "\n", "\n  ", "\t", "[]", "{}", "null", "true", "false", "on", "0", "-1", "1e400", "0x7f",
    "9" * 30, ".5",
    "&a", "*a", "!!python/name:os.system", "<<", "---", "...", "|", ">", "'", '"', "#", "%", "@", "`",
    "\\u0000", "\0",
    "rules:", "calendars:", "name:", "on:", "message", "when:", "do:", "reply:", "text:", "template:",
    "one_of:", "to:",
    "via:", "after:", "unless:", "remember:", "forget:", "call:", "url:", "headers:", "body:", "then:",
    "limit:", "burst:",
    "stop:", "priority:", "examples:", "expect:", "if:", "any:", "all:", "not:", "calendar:", "open:",
    "time:", "scope:",
    "helpcrunch.assign:", "groupalarm.create_room:", "edna.client:", "omnidesk.forward:", "chayns.push:",
    "broadcasts:",
    "audiences:", "10m", "0s", "99999999999 weeks", "1 MiB", "09:00-17:00", "24:00-24:00", "2026-03-29",
    "Europe/Kyiv",
    "mon-sun", "memory.x", "event.raw.a.0.b", "contact.email", "conversation.messages", "time", "kind", "url", "/**",
    "ß", "ſ", "İ", "\u0130\u0307", "é", "e\u0301", "Ц", "ς", "क\u0940", "日本", "👨‍👩‍👧", "\u202e", "\u200d",
    "\ufeff", "\x85",
    "\ud800", "\udc80", "\uffff", "\U0010ffff", "\r", "\r\nSet-Cookie: a=b", "../../etc/passwd", "http://[::1]/",
    "https://a.example@127.0.0.1/", "javascript:alert(1)", "[url=https://evil.example]a[/url]", "<script>",
    "'; --", "%0d%0a",
)  # fmt: skip
"""What rules, templates, addresses and attacks are made of."""

LONG = ("a", "é", "\u0301\u0327", "{{", "[", "- ", "a: ", "(", "{% if 1 %}", "a b ", "&", "/", "\\")
"""What is repeated many times over."""

_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_TIMES = (2, 10, 60, 1_000, 20_000)


def mutated(draw: random.Random, samples: Sequence[str], most: int = 6) -> str:
    """One of the samples after one or two mutations, or `most`."""
    text = draw.choice(samples)
    for _ in range(draw.choice((1, 1, 2, most))):
        text = draw.choice(_ALL)(draw, text)
    if draw.random() < 0.05:
        text = _spliced(text, draw.choice(samples), draw)
    return text[:300_000]


def _at(draw: random.Random, text: str) -> int:
    return draw.randint(0, len(text))


def _span(draw: random.Random, text: str, most: int) -> tuple[int, int]:
    start = _at(draw, text)
    return start, min(len(text), start + draw.randint(1, most))


def _insert(draw: random.Random, text: str) -> str:
    at = _at(draw, text)
    return text[:at] + draw.choice(TOKENS) + text[at:]


def _replace_word(draw: random.Random, text: str) -> str:
    """A word or a sign becomes another, of the text itself or of the list."""
    words = list(_WORD.finditer(text))
    if not words:
        return draw.choice(TOKENS)
    gone = draw.choice(words)
    new = draw.choice(TOKENS) if draw.random() < 0.6 else draw.choice(words)[0]
    return text[: gone.start()] + new + text[gone.end() :]


def _delete(draw: random.Random, text: str) -> str:
    start, end = _span(draw, text, 40)
    return text[:start] + text[end:]


def _double(draw: random.Random, text: str) -> str:
    start, end = _span(draw, text, 200)
    return text[:end] + text[start:end] * draw.choice((1, 2, 30)) + text[end:]


def _repeat(draw: random.Random, text: str) -> str:
    at = _at(draw, text)
    return text[:at] + draw.choice(LONG) * draw.choice(_TIMES) + text[at:]


def _swap_lines(draw: random.Random, text: str) -> str:
    lines = text.split("\n")
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return "\n".join(lines)


def _indent(draw: random.Random, text: str) -> str:
    lines = text.split("\n")
    one = draw.randrange(len(lines))
    lines[one] = "  " + lines[one] if draw.random() < 0.5 else lines[one].removeprefix("  ")
    return "\n".join(lines)


def _flip(draw: random.Random, text: str) -> str:
    if not text:
        return "\x00"
    at = draw.randrange(len(text))
    return text[:at] + chr(ord(text[at]) ^ (1 << draw.randrange(7))) + text[at + 1 :]


def _spliced(one: str, other: str, draw: random.Random) -> str:
    return one[: _at(draw, one)] + other[_at(draw, other) :]


_ALL: tuple[Mutate, ...] = (
    _insert, _insert, _replace_word, _replace_word, _replace_word, _delete, _double, _repeat, _swap_lines,
    _indent, _flip,
)  # fmt: skip


VALUES: tuple[object, ...] = (
    None, True, False, 0, -1, 1.5, 2**63, 10**40, "", " ", [], {}, [[]],
    [None], {"a": 1}, {"": {}}, "9" * 400, "a" * 20_000,
)  # fmt: skip
Holder = dict[str, Any] | list[Any]


def bent(draw: random.Random, value: Holder, times: int) -> Holder:
    """Plain data with some of its parts taken away, put elsewhere, or made into something else."""
    value = copy.deepcopy(value)
    for _ in range(times):
        parts = list(_parts(value))
        if not parts:
            return value
        holder, key = draw.choice(parts)
        _bend(draw, holder, key, parts)
    return value


def _parts(value: object) -> Iterator[tuple[Any, Any]]:
    """Where everything stands that is in a value: in what, and by which key or number."""
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, dict | list):
            for key, inner in holder.items() if isinstance(holder, dict) else enumerate(holder):
                yield holder, key
                waiting.append(inner)


def _bend(draw: random.Random, holder: Any, key: Any, parts: Sequence[tuple[Any, Any]]) -> None:
    old = holder[key]
    other, other_key = draw.choice(parts)
    way = draw.randrange(8)
    if way == 0:
        del holder[key]
    elif way == 1:
        holder[key] = copy.deepcopy(other[other_key])
    elif way == 2 and isinstance(holder, dict):
        holder[draw.choice(TOKENS).strip(": ") if draw.random() < 0.5 else str(other_key)] = holder.pop(key)
    elif way == 3 and isinstance(holder, list):
        holder.extend(copy.deepcopy(old) for _ in range(draw.choice((1, 3, 100))))
    elif way == 4:
        for _ in range(draw.choice((1, 2, 30, 100))):
            old = [old] if draw.random() < 0.5 else {str(key): old}
        holder[key] = old
    elif way == 5:
        holder[key] = copy.deepcopy(draw.choice(VALUES))
    elif isinstance(old, str):
        holder[key] = draw.choice(_ALL)(draw, old)
    else:
        holder[key] = draw.choice(TOKENS)
