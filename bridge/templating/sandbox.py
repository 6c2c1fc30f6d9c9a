"""The environment that templates run in: attributes, calls, operators and filters are allow-lists, and metered.

Jinja's own sandbox refuses what leads out of it; this one lets in only what a reply needs. Nothing that a template
can name is a Python method or class: a method of a value is a `Method`, which only `call` can use.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal

from jinja2 import Template as Compiled
from jinja2 import TemplateNotFound, Undefined
from jinja2.environment import TemplateModule
from jinja2.runtime import BlockReference, Context, LoopContext, Macro, TemplateReference
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

from bridge.adapter.dialect import escape_value
from bridge.model.delivery import Format
from bridge.templating.code import Code
from bridge.templating.dates import date_filter
from bridge.templating.filters import (
    FILTERS,
    LARGEST,
    MAPPING_METHODS,
    MOST_ITEMS,
    TEXT_METHODS,
    Missing,
    Rendered,
    items_of,
    new_list,
    of,
    say_kind,
    text_of,
    wrong,
)
from bridge.templating.meter import METER, RenderError

OUT, LOOP, JOIN, SLICE, LIST, TUPLE, DICT = " out", " loop", " join", " slice", " list", " tuple", " dict"
"""Filters that `rewrite` puts in; the blank keeps a template from naming them."""

_LOOP_ATTRIBUTES = frozenset(
    ["index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem"]
)
_LOOP_METHODS: Mapping[str, Callable[..., object]] = {"cycle": LoopContext.cycle, "changed": LoopContext.changed}
_DATE_ATTRIBUTES = frozenset(["year", "month", "day", "hour", "minute", "second"])
_DATE_METHODS: Mapping[str, Callable[..., object]] = {"weekday": date.weekday, "isoformat": lambda at: at.isoformat()}
_DURATION_ATTRIBUTES = frozenset(["days", "seconds"])
_DURATION_METHODS: Mapping[str, Callable[..., object]] = {"total_seconds": timedelta.total_seconds}
_NO_METHODS: Mapping[str, Callable[..., object]] = {}
_TESTS = (
    "defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "true", "false",
    "mapping", "sequence", "even", "odd", "divisibleby", "in", "eq", "ne", "lt", "le", "gt", "ge",
)  # fmt: skip
_OPERATORS: Mapping[str, Callable[[object, object], object]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "//": operator.floordiv, "%": operator.mod,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a value, before it is called."""

    function: Callable[..., object]
    value: object


def _range(*numbers: int) -> range:
    made = range(*numbers)
    if made[MOST_ITEMS:]:
        raise RenderError(f"range() makes more than {MOST_ITEMS:,} numbers")
    return made


class _Loop:
    """What a loop goes through. Every turn is a step, so nested loops are counted together."""

    __slots__ = ("_items",)

    def __init__(self, value: object) -> None:
        self._items = items_of(value, "a loop")

    def __iter__(self) -> Iterator[object]:
        step = METER.get().step
        for item in self._items:
            step()
            yield item

    def __len__(self) -> int:
        return len(self._items)


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment for templates of one format. `templates` are those that others may include, by name."""

    code_generator_class = Code
    intercepted_binops = frozenset(_OPERATORS)

    def __init__(self, kind: Format, timezone: tzinfo = UTC) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, undefined=Missing, optimized=False, cache_size=0, auto_reload=False
        )
        self.format = kind
        self.templates: dict[str, Compiled] = {}
        self._escape = escape_value if kind == "markdown" else str
        self._make = Rendered if kind == "markdown" else str
        self.concat = self._concat  # type: ignore[method-assign]  # the macros, blocks and `set` of a template use it
        self.globals = {"range": _range}
        self.tests = {name: TESTS[name] for name in _TESTS}
        self.filters = {
            **FILTERS, "date": date_filter(timezone), "join": self._join,
            OUT: self._out, LOOP: _Loop, JOIN: self._tie, SLICE: _slice, LIST: _list, TUPLE: _tuple, DICT: _dict,
        }  # fmt: skip

    def get_template(self, name: object, parent: object = None, globals: object = None) -> Compiled:  # noqa: A002
        METER.get().step()
        if name not in self.templates:
            raise TemplateNotFound(str(name))
        return self.templates[str(name)]

    def getattr(self, obj: object, attribute: str) -> object:
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        if isinstance(obj, Undefined):
            return obj
        if isinstance(obj, Mapping):
            if attribute in obj:
                return obj[attribute]
            method = MAPPING_METHODS.get(attribute)
            return Missing(obj=obj, name=attribute) if method is None else Method(method, obj)
        return _attribute(obj, attribute)

    def getitem(self, obj: object, argument: object) -> object:
        if isinstance(obj, Undefined):
            return obj
        if isinstance(obj, Mapping):
            if argument in obj:
                return obj[argument]
            return Missing(name=argument) if isinstance(argument, str) else Missing("the mapping has no such key")
        if isinstance(obj, str | list | tuple | range) and isinstance(argument, int):
            return obj[argument] if -len(obj) <= argument < len(obj) else Missing(f"{say_kind(obj)} has no such item")
        raise wrong(obj, "[...] needs a list and a whole number, or a mapping and a text")

    def call(self, context: Context, obj: object, /, *args: object, **kwargs: object) -> object:
        meter = METER.get()
        meter.step()
        if isinstance(obj, Macro | BlockReference):
            meter.enter()
            try:
                return context.call(obj, *args, **kwargs)
            finally:
                meter.leave()
        if "caller" in kwargs:
            raise RenderError("{% call %} works with macros only")
        kwargs.pop("_loop_vars", None)
        kwargs.pop("_block_vars", None)
        if isinstance(obj, Method):
            return obj.function(obj.value, *args, **kwargs)
        if obj is _range:
            return _range(*args, **kwargs)  # type: ignore[arg-type]  # range says itself what it takes
        raise wrong(obj, "only macros, range() and the methods of texts and mappings can be called")

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        if isinstance(left, int | float) and isinstance(right, int | float):
            result = _OPERATORS[operator](left, right)
            if isinstance(result, int) and abs(result) >= LARGEST:
                raise RenderError(f"{operator} makes a number that is too large")
            return result
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return self._tie(left, right)
        if operator == "+" and isinstance(left, list | tuple) and isinstance(right, list | tuple):
            return new_list((*left, *right))
        if operator == "*" and isinstance(left, str) and isinstance(right, int):
            METER.get().text(len(left) * max(right, 0))
            return left * right
        if operator in "+-*/" and isinstance(left, _COUNTED) and isinstance(right, _COUNTED):
            return _OPERATORS[operator](left, right)
        for value in (left, right):
            if isinstance(value, Undefined):
                raise wrong(value, f"{operator} needs a value")
        raise RenderError(f"{operator} does not work on {say_kind(left)} and {say_kind(right)}")

    def _concat(self, parts: Iterable[str]) -> str:
        """Join what is ready to be sent: the text of a macro, a block, or the whole."""
        meter = METER.get()
        gathered: list[str] = []
        size = 0
        for part in parts:
            gathered.append(part)
            size += len(part)
            if size > meter.largest:
                # Of what is made part by part, the rest is not made any more.
                break
        meter.text(size)
        return self._make("".join(gathered))

    def _out(self, value: object, path: str = "") -> str:
        """`{{ value }}`: the text of a value, escaped for the format unless it is rendered already."""
        meter = METER.get()
        meter.look()
        if type(value) is str:
            if len(value) > meter.largest:
                meter.text(len(value))
            return self._escape(value)
        if type(value) is int and value >= 0:
            return str(value)
        if type(value) is Rendered or type(value) is Undefined:
            return str(value)
        if value is None:
            named = f'"{path}"' if path else "this value"
            raise RenderError(f"{named} is null; give it a default: {{{{ {path or '...'} | default('friend') }}}}")
        if isinstance(value, Method):
            raise RenderError(f'"{path or "this"}" is a method: write () after it')
        return self._escape(text_of(value, "{{ ... }}"))

    def _tie(self, *values: object) -> str:
        """`a ~ b`: where a part is rendered already, the others are escaped, so that it need not be escaped again."""
        texts = [text_of(value, "~") for value in values]
        if any(type(text) is Rendered for text in texts):
            return self._concat([text if type(text) is Rendered else self._escape(text) for text in texts])
        METER.get().text(sum(map(len, texts)))
        return "".join(texts)

    def _join(self, value: object, separator: object = "", attribute: object = None) -> str:
        """The items of a list as one text."""
        items = new_list(items_of(value, "join"))
        if attribute is not None:
            items = [of(item, attribute) for item in items]
        parts = [part for item in items for part in (separator, item)][1:]
        return self._tie(*parts)


_COUNTED = (datetime, date, timedelta, int, float, Decimal)


def _attribute(obj: object, attribute: str) -> object:
    match obj:
        case str():
            names, methods = frozenset[str](), TEXT_METHODS
        case LoopContext():
            names, methods = _LOOP_ATTRIBUTES, _LOOP_METHODS
        case datetime():
            names, methods = _DATE_ATTRIBUTES, _DATE_METHODS
        case date():
            names, methods = _DATE_ATTRIBUTES & {"year", "month", "day"}, _DATE_METHODS
        case timedelta():
            names, methods = _DURATION_ATTRIBUTES, _DURATION_METHODS
        case TemplateModule():
            names, methods = frozenset(name for name in vars(obj) if name[:1] != "_"), _NO_METHODS
        case BlockReference():
            names, methods = frozenset(["super"]), _NO_METHODS
        case TemplateReference():
            try:
                return obj[attribute]
            except KeyError:
                raise RenderError(f'there is no block "{attribute}"') from None
        case _:
            names, methods = frozenset[str](), _NO_METHODS
    if attribute in names:
        return getattr(obj, attribute)
    if attribute in methods:
        return Method(methods[attribute], obj)
    return Missing(f'{say_kind(obj)} has no "{attribute}"')


def has_attribute(value: object, name: str) -> bool:
    """Whether a template finds `name` in a mapping, a text, a time or a duration: `text.upper`, `now.year`."""
    if isinstance(value, Mapping):
        return name in value or name in MAPPING_METHODS
    return not isinstance(_attribute(value, name), Undefined)


def _slice(value: object, start: int | None, stop: int | None, step: int | None) -> object:
    if not isinstance(value, str | list | tuple | range):
        raise wrong(value, "[a:b] needs text or a list")
    part = slice(start, stop, step)
    size = len(range(len(value))[part])
    if isinstance(value, str):
        METER.get().text(size)
        return str(value)[part]
    METER.get().step(size)
    return value[part]


def _list(first: object, *others: object) -> list[object]:
    return new_list((first, *others))


def _tuple(first: object, *others: object) -> tuple[object, ...]:
    return tuple(new_list((first, *others)))


def _dict(key: object, *others: object) -> dict[object, object]:
    """A mapping from keys and values in turn. Keys are texts or numbers, which are quick to compare."""
    flat = (key, *others)
    for name in flat[::2]:
        if not isinstance(name, str | int | float):
            raise wrong(name, "the key of a mapping has to be a text or a number")
    return dict(zip(flat[::2], new_list(flat[1::2]), strict=True))
