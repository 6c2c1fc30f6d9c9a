"""How far a long reading has come, for a person who waits at a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from bridge.cli.printing import err


@contextmanager
def reading(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal while the block runs; what it gives is told of each further number of events."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(what, total=total)

        def advance(count: int) -> None:
            progress.update(task, advance=count)

        yield advance
