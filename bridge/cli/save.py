"""`replybridge test --save`: a recorded conversation as a test."""

import sys
from pathlib import Path

from rich.text import Text

from bridge.cli.printing import err, near, said, shown
from bridge.cli.rulebook import conversation_of
from bridge.errors import BridgeError
from bridge.lab.play import play
from bridge.lab.saved import Entry, as_test, contacts_in, entries_of
from bridge.lab.scenes import scenes_in
from bridge.lab.stand_ins import StandIns
from bridge.line.decide import Behaviour
from bridge.model.quantity import say_count
from bridge.settings import Settings
from bridge.store.recorded import recorded

MOST = 1000
"""Events of a conversation of which a test is made."""


def save(name: str, to: Path | None, settings: Settings, behaviour: Behaviour, *, as_is: bool) -> None:
    """Write the test to `to`, or show it. Raises BridgeError."""
    path = None if to is None else _path(to, settings)
    entries = _entries(name, settings)
    first = entries[0]
    zone = settings.rulebook.timezone
    called = f"conversation {first.number} of {first.at.astimezone(zone):%Y-%m-%d %H:%M}"
    text = as_test(entries, zone, called, None if as_is else StandIns(contacts_in(entries)))
    if path is None:
        sys.stdout.write(text)
    else:
        _write(path, text)
        said(f"{near(path)}: a test of {say_count(len(entries), 'event')}")
    _tell(text, path, settings, behaviour, as_is=as_is)


def _path(to: Path, settings: Settings) -> Path:
    """Where the file goes: beside the rules, under a name by which it is known for tests."""
    if not to.name.endswith((".test.yaml", ".test.yml")):
        raise BridgeError(f"--to {to}: a file of tests is called NAME.test.yaml")
    path = settings.rulebook.rules / to if len(to.parts) == 1 else Path.cwd() / to
    if not path.parent.is_dir():
        raise BridgeError(f"--to {to}: there is no folder {near(path.parent)}")
    return path


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise BridgeError(f"{near(path)} is there already and is left as it is: name another file") from None


def _entries(name: str, settings: Settings) -> list[Entry]:
    with recorded(settings.store.url) as records:
        account, conversation = conversation_of(records.called(name), name, None)
        return entries_of(records, account, conversation, MOST)


def _tell(text: str, path: Path | None, settings: Settings, behaviour: Behaviour, *, as_is: bool) -> None:
    """Beside the text: whether it passes, and what to look at."""
    file = "the test" if path is None else near(path)
    scenes, problems = scenes_in({file: text.encode()}, settings.rulebook.timezone)
    failures = [wrong for scene in scenes if (failure := play(scene, behaviour).failure) for wrong in failure.wrong]
    notes = [str(problem) for problem in problems]
    if failures:
        notes.append(f"with the rules as they are it fails: {failures[0]}")
    elif not problems:
        notes.append("with the rules as they are it passes")
    if not as_is:
        notes.append(
            "names, e-mail addresses and phone numbers are stand-ins; look through it for more that is personal"
        )
    for note in notes:
        err.print(Text(shown(note)), soft_wrap=True)
