"""`replybridge send` and `replybridge do`: one real message, one real operation, now."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import typer
from pydantic import ValidationError

from bridge.adapter.account import Options
from bridge.adapter.protocol import Adapter
from bridge.cli.options import AsJson, Config, account_named, account_on, pairs
from bridge.cli.printing import cells, explained, out, said, table, told, write_json
from bridge.cli.wording import outcome_as_json, say_outcome, say_value
from bridge.clock import SystemClock
from bridge.errors import BridgeError, did_you_mean
from bridge.line.by_hand import check_address, operate
from bridge.line.by_hand import send as send_by_hand
from bridge.model.delivery import Outcome, Reply, Sent
from bridge.model.event import Attachment
from bridge.platforms.registry import ADAPTERS
from bridge.settings.document import dotted
from bridge.settings.problems import found

To = Annotated[list[str] | None, typer.Option("--to", help="For whom: key=value, in the platform's words; repeatable.")]


def send(
    text: Annotated[str, typer.Argument(help="What to write.")],
    via: Annotated[str, typer.Option("--via", help="The account that sends it.")],
    to: To = None,
    config: Config = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="The text is Markdown.")] = False,
    private: Annotated[bool, typer.Option("--private", help="A note that the contact does not see.")] = False,
    attach: Annotated[list[str] | None, typer.Option("--attach", help="The URL of a file; repeatable.")] = None,
    quick_reply: Annotated[
        list[str] | None, typer.Option("--quick-reply", help="A text to choose from; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send one message now, past the rules and the store. Exit code 1: it was not sent, or nobody knows."""
    reply = Reply(
        text=text,
        format="markdown" if markdown else "plain",
        private=private,
        attachments=tuple(Attachment(name=_name(url), url=url) for url in attach or ()),
        quick_replies=tuple(quick_reply or ()),
    )
    with explained():
        known, _ = account_named(via, config)
        outcome = asyncio.run(send_by_hand(reply, pairs(to or (), "--to"), known, SystemClock()))
    if as_json:
        write_json(outcome_as_json(outcome))
    else:
        said(say_outcome(outcome), style="" if isinstance(outcome, Sent) else "red")
    raise typer.Exit(0 if isinstance(outcome, Sent) else 1)


def do(
    operation: Annotated[str, typer.Argument(help='Its name: "helpcrunch.assign".')],
    arguments: Annotated[list[str] | None, typer.Argument(help="Its arguments: key=value.")] = None,
    via: Annotated[str | None, typer.Option("--via", help="The account that does it (default: the only one).")] = None,
    to: To = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Have a platform do something now; `replybridge platforms NAME` tells what it can.

    Exit code 1: it was not done, or nobody knows.
    """
    with explained():
        adapter, name = _find(operation)
        given, address = _checked(adapter, name, pairs(arguments or (), "argument")), pairs(to or (), "--to")
        check_address(address, adapter)
        known = account_on(adapter.name, via, config)
        outcome = asyncio.run(operate(name, given, address, known, SystemClock()))
    show_found(outcome, as_json)


def show_found(outcome: Outcome, as_json: bool) -> None:
    """What came of an operation, and what it found; then the end of the command."""
    if as_json:
        write_json(outcome_as_json(outcome))
    elif not isinstance(outcome, Sent):
        said(say_outcome(outcome), style="red")
    elif outcome.found is None:
        said("done" + (f", reference {outcome.reference}" if outcome.reference else ""))
    else:
        _show(outcome.found)
    raise typer.Exit(0 if isinstance(outcome, Sent) else 1)


def _show(value: object) -> None:
    """A list of objects as a table, an object line by line, and a list within an object below it."""
    if isinstance(value, Mapping):
        width = max((len(str(name)) for name in value), default=0) + 2
        for name, fact in value.items():
            if _is_rows(fact):
                told(f"{name}:", "")
                _show(fact)
            else:
                told(str(name), "" if fact is None else say_value(fact), width)
    elif _is_rows(value) and isinstance(value, list):
        names = list(dict.fromkeys(str(name) for row in value for name in row))
        listing = table(*names)
        for row in value:
            listing.add_row(*cells(*(None if row.get(name) is None else say_value(row[name]) for name in names)))
        out.print(listing)
    else:
        said(say_value(value))


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _find(operation: str) -> tuple[Adapter[Any], str]:
    """Raises BridgeError for an operation that there is not."""
    platform, _, name = operation.partition(".")
    adapter = ADAPTERS.get(platform)
    if adapter is None:
        hint = did_you_mean(platform, list(ADAPTERS)) or f"; there is {', '.join(ADAPTERS)}"
        raise BridgeError(f'{operation}: "{platform}" is not a platform{hint}')
    if name not in adapter.operations:
        known = list(adapter.operations)
        hint = did_you_mean(name, known) or f"; it has {', '.join(known) or 'none'}"
        raise BridgeError(f'{operation}: {platform} has no operation "{name}"{hint}')
    return adapter, name


def _checked(adapter: Adapter[Any], name: str, given: Mapping[str, object]) -> Options:
    """Raises BridgeError with every argument that is wrong, one a line."""
    model = adapter.operations[name].arguments
    try:
        return model.model_validate(given)
    except ValidationError as error:
        wrong = found(error, model, given)
        lines = [f"{adapter.name}.{name}: {dotted(path)}{': ' if path else ''}{words}" for path, words in wrong.items()]
        raise BridgeError("\n".join(lines)) from None


def _name(url: str) -> str:
    try:
        return unquote(urlsplit(url).path.rpartition("/")[2]) or "attachment"
    except ValueError:
        raise typer.BadParameter(f"--attach {url}: not a URL") from None
