"""`replybridge reload`."""

import asyncio

import typer

from bridge.chance import SystemChance
from bridge.cli.check import show_problem
from bridge.cli.options import AsJson, Config, settings_of
from bridge.cli.printing import explained, said, write_json
from bridge.clock import SystemClock
from bridge.lab.sources import Sources
from bridge.model.quantity import say_count
from bridge.reload.asked import Asked


def reload(config: Config = None, as_json: AsJson = False) -> None:
    """Have the running server take up the rules and templates now, if they are sound.

    Exit code 0: they run; 1: they were refused, and the last good ones run; 2: no server could be asked.
    """
    with explained():
        settings = settings_of(config)
        asked = Asked(settings.data_directory / "rulebook")
        status = asyncio.run(asked.ask(SystemChance().token(), SystemClock()))
    if as_json:
        write_json(status)
    else:
        sources = Sources()
        for problem in status.problems:
            show_problem(problem, sources.excerpt(problem))
        running = f"version {status.running} with {say_count(status.rules, 'rule')}"
        words = {"taken": "taken up: ", "unchanged": "nothing has changed: ", "refused": "refused; still runs: "}
        said(words[status.came] + running)
    raise typer.Exit(1 if status.came == "refused" else 0)
