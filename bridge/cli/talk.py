"""`replybridge try`: a chat with the rules in the terminal."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Annotated

import typer
from rich.text import Text

from bridge.cli.options import Config, settings_of
from bridge.cli.printing import explained, out, said, shown
from bridge.cli.rulebook import behaviour_of, somebody_writes, unusable
from bridge.cli.tests import show_line
from bridge.clock import SystemClock
from bridge.errors import BridgeError, RulebookError, did_you_mean
from bridge.lab.talk import Talk
from bridge.model.quantity import say_count

with suppress(ImportError):
    # At a terminal, `input` then knows the arrow keys and what was typed before. Not every system has it.
    import readline  # noqa: F401

PROMPT = "> "


def talk(
    account: Annotated[str | None, typer.Option("--account", help="The account in which you write.")] = None,
    config: Config = None,
) -> None:
    """A chat with your rules: write as a customer, and see what they answer, and why others do not. Nothing is sent.

    /help lists what else may happen: pages, files, agents, time. Lines from a pipe are taken as well.
    """
    with explained():
        settings = settings_of(config)
        if account is not None and account not in settings.accounts:
            raise BridgeError(f'no account is called "{account}"{did_you_mean(account, list(settings.accounts))}')
        somebody_writes(settings)
        now = SystemClock().now().replace(microsecond=0)
        try:
            chat = Talk(partial(behaviour_of, settings), now, settings.rulebook.timezone, account)
        except RulebookError as error:
            raise unusable(error.problems, "this rulebook cannot be used until they are mended") from None
    rules = say_count(len(chat.rehearsal.behaviour.rulebook.rules), "rule")
    said(
        f"{rules}, account {chat.account}; it is {chat.now:%A %Y-%m-%d %H:%M %Z} until you say /wait."
        " You are the customer; /help lists what else there is. Nothing is sent."
    )
    for line in _lines():
        if not _answer(chat, line):
            return


def _answer(chat: Talk, line: str) -> bool:
    """Show what comes of a line; False where it was the last."""
    try:
        lines = chat.hear(line)
    except BridgeError as error:
        out.print(Text(shown(str(error)), style="red"), soft_wrap=True)
        return True
    for one in lines or ():
        show_line(one)
    return lines is not None


def _lines() -> Iterator[str]:
    """What is typed, until the end of the input; a line from a pipe is repeated, so that it can be read as a chat."""
    typed = sys.stdin.isatty()
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="replace")
    while True:
        try:
            line = input(PROMPT) if typed else sys.stdin.readline()
        except (EOFError, KeyboardInterrupt):
            out.print()
            return
        if not typed:
            if not line:
                return
            said(PROMPT + line.rstrip("\r\n"))
        yield line
