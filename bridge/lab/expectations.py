"""Expectations: what an example or a test says must come, held against what came."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from bridge.line.render import Rendered
from bridge.model.broadcast import Asked
from bridge.model.conversation import Scope
from bridge.model.quantity import say_count
from bridge.rulebook.patterns import compile_pattern

_SHOWN = 80
"""Characters of a message that are shown in a sentence."""
_WORDS = {
    "starts_with": "starts with",
    "ends_with": "ends with",
    "via": "goes via",
    "to": "is for",
    "rule": "is said by",
    "quick_replies": "offers",
    "attachments": "has the files",
    "private": "is private =",
}

Expected = Mapping[str, Any]


class Said(Struct, frozen=True, kw_only=True):
    """A message or a command that came; `sent` says that it is for somebody whom the rule names."""

    rendered: Rendered
    sent: bool = False


class Came(Struct, frozen=True, kw_only=True):
    """What came of what happened: what was said and started, which rules fired, and what is remembered now."""

    said: Sequence[Said]
    started: Sequence[Asked]
    fired: Sequence[str]
    memory: Callable[[Scope], Mapping[str, object]]

    @property
    def faults(self) -> Iterator[str]:
        """Actions that came to nothing, which nobody ever expects."""
        return (one.rendered.fault[1] for one in self.said if one.rendered.fault is not None)

    def messages(self, *, sent: bool = False) -> list[Rendered]:
        """What was said and not held back; with `sent` only what is for somebody whom the rule names."""
        spoken = (one for one in self.said if one.sent or not sent)
        return [r for r in (one.rendered for one in spoken) if r.command is None and not r.fault and not r.held]

    def commands(self) -> list[Rendered]:
        return [r for r in (one.rendered for one in self.said) if r.command is not None and not r.fault]


def differences(expect: str | Expected, came: Came) -> Iterator[str]:
    """A sentence for each thing that came otherwise than expected; `expect` is "nothing", or as in the rule files."""
    yield from came.faults
    if isinstance(expect, str):
        yield from _nothing(came, "nothing", came.messages())
        yield from _broadcasts(expect, came)
        return
    for key, sent in (("reply", False), ("send", True)):
        if key in expect:
            yield from _messages(expect[key], came, key, came.messages(sent=sent))
    if "operation" in expect:
        yield from _operations(expect["operation"], came)
    if "broadcast" in expect:
        yield from _broadcasts(expect["broadcast"], came)
    if "rule" in expect:
        yield from _rules(expect["rule"], came)
    memory = came.memory(expect.get("scope", "conversation"))
    for name, value in expect.get("remember", {}).items():
        if not _same(memory.get(name), value):
            yield f"expected to remember {name} = {_value(value)}, but it is {_value(memory.get(name))}"
    for name in expect.get("forget", ()):
        if name in memory:
            yield f"expected nothing to be remembered as {name}, but it is {_value(memory[name])}"


def _messages(wanted: object, came: Came, key: str, messages: list[Rendered]) -> Iterator[str]:
    if isinstance(wanted, str):
        yield from _nothing(came, "no message to somebody else" if key == "send" else "no reply", messages)
    elif isinstance(wanted, Mapping):
        what = "a message to somebody else" if key == "send" else "a reply"
        if not messages:
            yield f"expected {what}, but {_silence(came)} (fired: {', '.join(came.fired) or 'none'})"
        elif not any(_is(message, wanted) for message in messages):
            yield f"expected {what} that {_worded(wanted)}; {_said(messages)}"
    elif isinstance(wanted, Sequence):
        yield from _in_order(wanted, messages)


def _in_order(wanted: Sequence[Expected], messages: list[Rendered]) -> Iterator[str]:
    for number, (one, message) in enumerate(zip(wanted, messages, strict=False), 1):
        if not _is(message, one):
            yield f"expected as message {number} one that {_worded(one)}; it was {_short(message)}"
    expected = f"expected {say_count(len(wanted), 'message')}"
    if len(messages) < len(wanted):
        missing = _worded(wanted[len(messages)])
        yield f"{expected}, but {len(messages)} came; missing: one that {missing}"
    elif len(messages) > len(wanted):
        yield f"{expected}, but {len(messages)} came; too many: {_short(messages[len(wanted)])}"


def _nothing(came: Came, what: str, messages: list[Rendered]) -> Iterator[str]:
    if messages:
        rules = list(dict.fromkeys(message.rule for message in messages))
        yield f"expected {what}, but {', '.join(rules)} replied {_short(messages[0])}"


def _silence(came: Came) -> str:
    held = next((one.rendered.held for one in came.said if one.rendered.held), None)
    return f"it was held back: {held}" if held else "no rule replied"


def _said(messages: list[Rendered]) -> str:
    if len(messages) == 1:
        return f"the reply was {_short(messages[0])}"
    return f"the replies were {', '.join(map(_short, messages[:5]))}"


def _operations(wanted: object, came: Came) -> Iterator[str]:
    commands = came.commands()
    if isinstance(wanted, Mapping):
        for name, arguments in wanted.items():
            done = [one.command.arguments for one in commands if one.command and one.command.operation == name]
            if not done:
                names = ", ".join(one.command.operation for one in commands if one.command)
                yield f"expected {name}, but it was not done (done: {names or 'none'})"
            elif not any(_has(given, arguments) for given in done):
                yield f"expected {name} with {_value(arguments)}; it was done with {_value(done[0])}"
    elif commands and commands[0].command:
        yield f"expected no operation, but {commands[0].rule} did {commands[0].command.operation}"


def _broadcasts(wanted: object, came: Came) -> Iterator[str]:
    if isinstance(wanted, Mapping):
        for name, variables in wanted.items():
            given = [one.variables for one in came.started if one.broadcast == name]
            if not given:
                names = ", ".join(one.broadcast for one in came.started)
                yield f"expected broadcast {name}, but it was not started (started: {names or 'none'})"
            elif not any(_has(one, variables) for one in given):
                yield f"expected broadcast {name} with {_value(variables)}; it was started with {_value(given[0])}"
    elif came.started:
        yield f"expected no broadcast, but {came.started[0].rule} started {came.started[0].broadcast}"


def _rules(wanted: Sequence[str], came: Came) -> Iterator[str]:
    missing = [name for name in wanted if name not in came.fired]
    if missing:
        yield f"expected {', '.join(missing)} to fire, but fired: {', '.join(came.fired) or 'none'}"


def _is(message: Rendered, wanted: Expected) -> bool:
    return all(_TESTS[name](message, value) for name, value in wanted.items())


def _found(pattern: str, text: str) -> bool:
    return compile_pattern(pattern).search(text.encode("utf-8", "replace")) is not None


def _folded(message: Rendered) -> str:
    return message.reply.text.casefold()


_TESTS: Mapping[str, Callable[[Rendered, Any], bool]] = {
    "is": lambda message, value: _folded(message) == value.casefold(),
    "contains": lambda message, value: value.casefold() in _folded(message),
    "starts_with": lambda message, value: _folded(message).startswith(value.casefold()),
    "ends_with": lambda message, value: _folded(message).endswith(value.casefold()),
    "matches": lambda message, value: _found(value, message.reply.text),
    "via": lambda message, value: message.account == value,
    "to": lambda message, value: _has(message.to, value),
    "rule": lambda message, value: message.rule == value,
    "private": lambda message, value: message.reply.private == value,
    "quick_replies": lambda message, value: list(message.reply.quick_replies) == value,
    "attachments": lambda message, value: [file.url for file in message.reply.attachments] == value,
}


def _has(given: object, wanted: object) -> bool:
    """Whether everything in `wanted` is in `given`: mappings may have more, all else is equal."""
    if isinstance(wanted, Mapping):
        return isinstance(given, Mapping) and all(key in given and _has(given[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        if not isinstance(given, list | tuple) or len(given) != len(wanted):
            return False
        return all(_has(one, other) for one, other in zip(given, wanted, strict=True))
    return _same(given, wanted)


def _same(given: object, wanted: object) -> bool:
    """Equal, and true is not 1. A template gives a text, so a number or a flag is the same as the text that says it."""
    if isinstance(given, str) and isinstance(wanted, int | float):
        return given.casefold() == str(wanted).casefold()
    return given == wanted and isinstance(given, bool) == isinstance(wanted, bool)


def _worded(wanted: Expected) -> str:
    return " and ".join(f"{_WORDS.get(name, name)} {_value(value)}" for name, value in wanted.items())


def _short(message: Rendered) -> str:
    text = message.reply.text
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")


def _value(value: object) -> str:
    """A value as it is written in a rule file."""
    if value is None or isinstance(value, str):
        return "nothing" if value is None else repr(value)
    return msgspec.json.encode(value).decode()
