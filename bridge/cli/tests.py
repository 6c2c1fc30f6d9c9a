"""`replybridge test`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.text import Text

from bridge.cli.options import AsJson, Config, settings_of
from bridge.cli.printing import explained, near, out, said, shown, write_json
from bridge.cli.rulebook import rulebook_in, somebody_writes, unusable
from bridge.cli.save import save as save_conversation
from bridge.errors import BridgeError, Problem, did_you_mean
from bridge.lab.diff import Line, diff
from bridge.lab.play import Played, unknown_names
from bridge.lab.scenes import Scene, read_scenes
from bridge.lab.tests import Report, report
from bridge.line.decide import Behaviour
from bridge.model.quantity import say_count
from bridge.settings import Settings

_COLOURS = {"-": "red", "+": "green", "?": "dim", " ": ""}
_WIDTH = 20
_UNFIRED = 20


def run_tests(
    names: Annotated[
        list[str] | None, typer.Argument(help="Only tests whose name or file has this in it; none: all, and examples.")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
    save: Annotated[
        str | None,
        typer.Option("--save", metavar="CONVERSATION", help="Make a test of a recorded one: ACCOUNT/CONVERSATION."),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="With --save: the file to write, in the folder of rules; none: shows it."),
    ] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="With --save: keep names, e-mail addresses and phone numbers.")
    ] = False,
) -> None:
    """Do the tests (*.test.yaml beside the rules) and the rules' examples pass, and which rules does none of them fire?

    Exit code 0: they pass; 1: one fails; 2: they could not be tried.
    """
    with explained():
        settings = settings_of(config)
        behaviour = rulebook_in(settings)
        if save is not None:
            save_conversation(save, to, settings, behaviour, as_is=as_is)
            return
        if to is not None or as_is:
            raise BridgeError("--to and --as-is go with --save")
        somebody_writes(settings)
        scenes = _chosen(_sound(settings, behaviour), names or [])
    timezone = settings.rulebook.timezone
    result = report(scenes, behaviour, timezone, examples=not names)
    if as_json:
        write_json(_as_json(result, behaviour, whole=not names))
    else:
        _tell(result, behaviour, settings, whole=not names)
    raise typer.Exit(0 if result.passed else 1)


def _sound(settings: Settings, behaviour: Behaviour) -> list[Scene]:
    """The tests beside the rules. With mistakes in them the command ends."""
    scenes, problems = read_scenes(Path(near(settings.rulebook.rules)), settings.rulebook.timezone)
    problems += [problem for scene in scenes for problem in unknown_names(scene, behaviour)]
    if problems:
        raise unusable(sorted(problems), "the tests cannot be tried until they are mended")
    return scenes


def _chosen(scenes: list[Scene], names: Sequence[str]) -> list[Scene]:
    if not names:
        return scenes
    chosen: list[Scene] = []
    for name in names:
        wanted = name.casefold()
        found = [one for one in scenes if wanted in one.name.casefold() or wanted in one.place.file.casefold()]
        if not found:
            hint = did_you_mean(name, [scene.name for scene in scenes])
            raise BridgeError(f'no test has "{name}" in its name or file{hint}')
        chosen += [one for one in found if one not in chosen]
    return chosen


def _tell(result: Report, behaviour: Behaviour, settings: Settings, *, whole: bool) -> None:
    for played in result.failed:
        _show(played, behaviour, settings.rulebook.timezone)
    for problem in result.wrong_examples:
        said(str(problem), style="red")
    tried = [say_count(len(result.played), "test")] + ([say_count(result.examples, "example")] if whole else [])
    wrong = len(result.failed) + len({problem.place for problem in result.wrong_examples})
    out.print(f"{', '.join(tried)}: {f'{wrong} failed' if wrong else 'all passed'}")
    if whole:
        _coverage(result, behaviour)


def _show(played: Played, behaviour: Behaviour, timezone: ZoneInfo) -> None:
    failure = played.failure
    if failure is None:
        return
    at = _moment(failure.at, timezone)
    said(f'{failure.place}: test "{played.scene.name}" failed at {at}:', style="red")
    for wrong in failure.wrong:
        said(f"  {wrong}", style="red")
    for line in diff(failure, behaviour):
        show_line(line)
    out.print()


def show_line(line: Line) -> None:
    who = shown(line.who.replace("\n", " "))
    beside = shown(line.text).replace("\n", "\n" + " " * (_WIDTH + 4)).replace(f"\n{' ' * (_WIDTH + 4)}\n", "\n\n")
    text = Text.assemble(f"  {line.mark} ", (f"{who:{_WIDTH}}", "bold"), "  " * (len(who) >= _WIDTH), beside)
    text.stylize(_COLOURS[line.mark])
    out.print(text, soft_wrap=True)


def _coverage(result: Report, behaviour: Behaviour) -> None:
    rules = len(behaviour.rulebook.rules)
    fired = rules - len(result.unfired)
    out.print(f"{fired} of {say_count(rules, 'rule')} fired{', but never' if result.unfired else ''}")
    for rule in result.unfired[:_UNFIRED]:
        said(f"  {rule.name} ({rule.place})", style="yellow")
    if len(result.unfired) > _UNFIRED:
        out.print(f"  and {len(result.unfired) - _UNFIRED} more")


def _moment(at: datetime, timezone: ZoneInfo) -> str:
    return f"{at.astimezone(timezone):%Y-%m-%d %H:%M:%S} {timezone}"


def _as_json(result: Report, behaviour: Behaviour, *, whole: bool) -> Mapping[str, object]:
    rules = [rule.name for rule in behaviour.rulebook.rules]
    return {
        "passed": result.passed,
        "tests": [_played(one, behaviour) for one in result.played],
        "examples": {"tried": result.examples, "wrong": [_problem(one) for one in result.wrong_examples]},
        "steps": result.steps,
        "coverage": {"rules": len(rules), "unfired": [rule.name for rule in result.unfired]} if whole else None,
    }


def _played(one: Played, behaviour: Behaviour) -> Mapping[str, object]:
    failure = one.failure
    told = {"name": one.scene.name, "file": one.scene.place.file, "line": one.scene.place.line, "steps": one.steps}
    if failure is None:
        return {**told, "passed": True}
    return {
        **told,
        "passed": False,
        "failed_at": {"line": failure.place.line, "column": failure.place.column, "moment": failure.at},
        "wrong": failure.wrong,
        "diff": [{"mark": line.mark, "who": line.who, "text": line.text} for line in diff(failure, behaviour)],
    }


def _problem(problem: Problem) -> Mapping[str, object]:
    place = problem.place
    return {"file": place.file, "line": place.line, "column": place.column, "message": problem.message}
