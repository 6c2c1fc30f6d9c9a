"""What people and programs read: on the terminal without a trick, into a pipe without a cut."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.errors import BridgeError

# Into a pipe or a file nothing is cut or wrapped: programs read it there, or a person with a pager.
out = Console(width=None if sys.stdout.isatty() else 10_000, highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def explained() -> Iterator[None]:
    """What a person has to mend is said in words, without a traceback; exit code 2."""
    try:
        yield
    except BridgeError as error:
        err.print(Text(shown(str(error)), style="red"), soft_wrap=True)
        raise typer.Exit(2) from None
    except OSError as error:
        if error.filename is None:
            raise
        # The data directory above all: what may not be read or written is told by the system with its path.
        err.print(Text(shown(f"{error.filename}: {error.strerror}"), style="red"), soft_wrap=True)
        raise typer.Exit(2) from None


def write_json(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def table(*names: str, whole: Iterable[str] = ()) -> Table:
    """On a narrow terminal the longer columns are folded; those in `whole` are not."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for name in names:
        made.add_column(name, no_wrap=name in whole, overflow="fold")
    return made


def cells(*values: object) -> Iterator[Text]:
    return (Text("" if value is None else shown(str(value))) for value in values)


def told(name: str, value: str, width: int = 9) -> None:
    """One fact: its name in bold, and its value beside it however many lines it has."""
    beside = shown(value).replace("\n", "\n" + " " * width)
    out.print(Text.assemble((f"{name:{width}}", "bold"), beside), soft_wrap=True)


def said(words: str, style: str = "") -> None:
    """One line, with nothing in it that could trick the terminal."""
    out.print(Text(shown(words), style=style), soft_wrap=True)


def shown(text: str) -> str:
    """What customers and platforms wrote may not move the cursor, colour the terminal or turn the writing round."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def near(path: Path) -> str:
    """A path as people say it where they stand."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
