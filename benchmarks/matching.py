"""How long matching takes: candidates and conditions together, on messages that were never seen before."""

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from bridge.errors import Place
from bridge.model.conversation import Memory, begin
from bridge.model.event import Event
from bridge.model.facts import Facts
from bridge.model.rule import Rulebook
from bridge.rulebook.load import build

SIZES = (10, 100, 1_000, 10_000)
EVENTS = 2_000
NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
SCRIPTS = ("abcdefghijklmnopqrstuvwxyz", "абвгдежзийклмнопрстуфхцчшщъыьэюя", "αβγδεζηθικλμνξοπρστυφχψω")

Draw = random.Random
WhenOf = Callable[[Draw, int], str]


def word(draw: Draw, script: str | None = None) -> str:
    letters = script or draw.choice(SCRIPTS)
    return "".join(draw.choices(letters, k=draw.randint(4, 9)))


def words_rule(draw: Draw, number: int) -> str:
    script = draw.choice(SCRIPTS)
    return f'text: {{words: [{word(draw, script)}, {word(draw, script)}, "{word(draw, script)} {word(draw, script)}"]}}'


def piece_rule(draw: Draw, number: int) -> str:
    return f'text: {{contains: "{word(draw)} {word(draw)[:4]}"}}'


def pattern_rule(draw: Draw, number: int) -> str:
    return rf"text: {{matches: '(?i){word(draw, SCRIPTS[0])}\s*#?(?P<number>\d{{3,8}})'}}"


def address_rule(draw: Draw, number: int) -> str:
    return f"url: {{path: /{word(draw, SCRIPTS[0])}/**}}"


def number_rule(draw: Draw, number: int) -> str:
    """A number, a bound, or what lies between two; the message is the first of its conversation."""
    asked = (f"{number + 1}", f"{{above: {number + 1}}}", f"{{at_least: {number}, at_most: {number + 2}}}")
    return f"conversation.messages: {asked[number % 3]}"


def memory_rule(draw: Draw, number: int) -> str:
    return f"memory.plan: plan-{number}"


def mixed_rule(draw: Draw, number: int) -> str:
    kinds = (words_rule, words_rule, words_rule, piece_rule, pattern_rule, address_rule, number_rule, memory_rule)
    return kinds[number % len(kinds)](draw, number)


RULES: Mapping[str, WhenOf] = {
    "words (3 scripts)": words_rule,
    "contains": piece_rule,
    "matches": pattern_rule,
    "url path": address_rule,
    "number": number_rule,
    "memory": memory_rule,
    "all of these": mixed_rule,
}


def no_expression(source: str, place: Place) -> Callable[[Mapping[str, object]], object]:
    return lambda names: False


def rulebook(size: int, when: WhenOf) -> Rulebook:
    draw = Draw(size)
    rules = "".join(
        f"- name: rule {number}\n  on: message\n  when: {{{when(draw, number)}}}\n  do: [reply: {{text: Hello}}]\n"
        for number in range(size)
    )
    files = {
        f"rules/{part}.yaml": f"rules:\n{text}".encode() for part, text in enumerate(_parts(rules, "- name: ", 2_000))
    }
    made, problems = build(files, compile_expression=no_expression)
    if made is None:
        raise SystemExit("\n".join(map(str, problems)))
    return made


def _parts(text: str, start: str, count: int) -> Iterator[str]:
    items = [start + item for item in text.split(start) if item]
    for begin_at in range(0, len(items), count):
        yield "".join(items[begin_at : begin_at + count])


def events(count: int) -> list[Facts]:
    """Messages of ten words; one in three ends in a number, each has an address and a memory."""
    draw = Draw(4711)
    made = []
    for number in range(count):
        script = draw.choice(SCRIPTS)
        text = " ".join(word(draw, script) for _ in range(10)) + (f" {number:05}" if number % 3 == 0 else "?")
        event = Event(
            account="site",
            platform="webchat",
            kind="message",
            sender="contact",
            conversation=f"c{number}",
            key=f"{number}",
            at=NOON,
            text=text,
            url=f"https://shop.example/{word(draw, SCRIPTS[0])}/{number}?utm_source=mail",
        )
        memory = Memory(facts={"plan": f"plan-{draw.randint(0, 20_000)}"})
        conversation = begin(event).after(event)
        made.append(Facts(event=event, conversation=conversation, now=NOON, memories={"conversation": memory}))
    return made


def measure(book: Rulebook, asked: list[Facts]) -> list[float]:
    """Microseconds for each event. What stays for ever is not looked through for garbage, as in the server."""
    gc.collect()
    gc.freeze()
    times = []
    for facts in asked:
        start = time.perf_counter()
        for rule in book.index.candidates(facts):
            rule.when.holds(facts, {})
        times.append((time.perf_counter() - start) * 1e6)
    gc.unfreeze()
    return sorted(times)


def median_at(size: int, name: str = "all of these") -> float:
    """The median microseconds for an event among so many rules of a kind."""
    return statistics.median(measure(rulebook(size, RULES[name]), events(EVENTS)))


def main() -> None:
    print(f"{'rules':<20}{'count':>8}{'load ms':>10}{'median µs':>11}{'mean µs':>9}{'p99 µs':>9}")
    for name, when in RULES.items():
        for size in SIZES:
            start = time.perf_counter()
            book = rulebook(size, when)
            loaded = (time.perf_counter() - start) * 1e3
            times = measure(book, events(EVENTS))
            middle, mean, late = statistics.median(times), statistics.fmean(times), times[len(times) * 99 // 100]
            print(f"{name:<20}{size:>8,}{loaded:>10.0f}{middle:>11.1f}{mean:>9.1f}{late:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
