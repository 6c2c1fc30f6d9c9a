"""What one render may use: steps, text, depth and time. Every operation of a template asks the meter of its render."""

from contextvars import ContextVar
from dataclasses import dataclass

from jinja2 import TemplateRuntimeError

from bridge.clock import Clock

_LOOK_EVERY = 4
"""The clock is read at every so manieth step: a step takes microseconds, the time that is allowed milliseconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """The limits of a template and of one render of it.

    `source` and `text` are in characters: a template's own size, and any text that it makes, its output included.
    `created` is all text made in one render together. `steps` counts turns of loops (nested ones included), calls,
    includes, and items of lists that are made. `depth` is how deep macros may call one another, `nesting` how deep
    a template's source may be nested, `nodes` how many parts it may have; `includes` how long a chain of includes
    may be. `seconds` is how long one render may compute; that a busy machine lets it wait is not its fault.
    """

    source: int = 65_536
    nodes: int = 4_000
    nesting: int = 40
    includes: int = 8
    steps: int = 10_000
    text: int = 65_536
    created: int = 1_048_576
    depth: int = 16
    seconds: float = 0.25


class RenderError(TemplateRuntimeError):
    """An operation that is refused while rendering; the message is for the template's author."""


class Meter:
    """What is left for one render."""

    __slots__ = ("_bounds", "_clock", "_created", "_deadline", "_depth", "_look", "_steps", "largest")

    def __init__(self, bounds: Bounds, clock: Clock) -> None:
        self._bounds = bounds
        self._clock = clock
        self._deadline = clock.worked() + bounds.seconds
        self._steps = bounds.steps
        self._created = bounds.created
        self._depth = bounds.depth
        self.largest = bounds.text
        self._look = _LOOK_EVERY

    def step(self, count: int = 1) -> None:
        """Note `count` steps before they are made. Raises RenderError when they or the time are used up."""
        self._steps -= count
        if self._steps < 0:
            raise RenderError(
                f"it takes more than {self._bounds.steps:,} steps (turns of loops, calls, items of lists)"
            )
        self.look()

    def look(self) -> None:
        """Raise RenderError when the time is used up."""
        self._look -= 1
        if self._look <= 0:
            self._look = _LOOK_EVERY
            if self._clock.worked() > self._deadline:
                raise RenderError(f"it takes longer than {self._bounds.seconds:g} seconds")

    def text(self, size: int) -> None:
        """Note a text of `size` characters, best before it is made. Raises RenderError when it is too much."""
        self._created -= size
        if size > self._bounds.text:
            raise RenderError(f"it makes a text of more than {self._bounds.text:,} characters")
        if self._created < 0:
            raise RenderError(f"it makes texts of more than {self._bounds.created:,} characters in all")

    def enter(self) -> None:
        """Note that a macro or block is called; `leave` follows. Raises RenderError when calls are too deep."""
        self._depth -= 1
        if self._depth < 0:
            raise RenderError(f"macros call one another more than {self._bounds.depth} deep")

    def leave(self) -> None:
        self._depth += 1


METER: ContextVar[Meter] = ContextVar("METER")
"""The meter of the render that this thread or task is in. Rendering is synchronous, so no other code sees it."""
