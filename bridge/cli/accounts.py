"""`replybridge accounts`: the configured ones, and whether their platforms take their credentials."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Annotated

import typer

from bridge.adapter.account import Account
from bridge.app.addresses import addresses
from bridge.cli.options import AsJson, Config, settings_of
from bridge.cli.printing import explained, moment, out, said, told, write_json
from bridge.cli.wording import outcome_as_json, say_value
from bridge.clock import SystemClock
from bridge.errors import StoreError
from bridge.line.accounts import Accounts
from bridge.line.by_hand import probe
from bridge.model.delivery import Outcome, Sent
from bridge.platforms.registry import ADAPTERS
from bridge.settings import Settings
from bridge.settings.describe import describe
from bridge.store.circuits import Circuit, open_circuits
from bridge.store.store import visit_store

_SHOWN_ELSEWHERE = ("name", "platform", "budget")


def accounts(
    names: Annotated[list[str] | None, typer.Argument(help="Only these; no other's secrets are needed.")] = None,
    config: Config = None,
    check: Annotated[
        bool, typer.Option("--check", help="Ask the platforms whether they take the credentials.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The configured accounts, with the webhook addresses to register.

    With --check, exit code 1 if the credentials of one are not taken, or its platform cannot be asked.
    """
    with explained():
        settings = settings_of(config, names or None)
        known = Accounts(settings.accounts.values(), ADAPTERS)
        outcomes = asyncio.run(probe(known, SystemClock())) if check else {}
        circuits = _circuits(settings)
    if as_json:
        write_json([_as_json(account, settings, outcomes, circuits) for account in settings.accounts.values()])
    elif check:
        for name, outcome in outcomes.items():
            said(f"{name}: {_say(outcome)}", style="red" if _is_bad(outcome) else "")
    else:
        _list(settings, circuits)
    raise typer.Exit(1 if any(map(_is_bad, outcomes.values())) else 0)


def _circuits(settings: Settings) -> Mapping[str, Circuit]:
    """The accounts that a server which runs leaves alone now."""
    try:
        with visit_store(settings.store.url) as engine, engine.connect() as connection:
            return open_circuits(connection)
    except StoreError:
        # There is no store yet, or an older one: nobody serves, so nobody leaves anything alone.
        return {}


def _list(settings: Settings, circuits: Mapping[str, Circuit]) -> None:
    if not settings.accounts:
        out.print("no accounts; add [accounts.NAME] to the settings")
    for number, account in enumerate(settings.accounts.values()):
        if number:
            out.print()
        told("account", f"{account.name} on {account.platform}")
        for name, value in _facts(account, settings):
            told(name, value)
        if (circuit := circuits.get(account.name)) is not None:
            told("trouble", _trouble(circuit))


def _facts(account: Account, settings: Settings) -> Iterator[tuple[str, str]]:
    pages, webhooks = addresses(settings, settings.server.public_url)
    if account.name in pages:
        yield "page", pages[account.name]
    elif account.name in webhooks:
        yield "webhooks", "\n".join(webhooks[account.name])
    else:
        yield "webhooks", "none: this account only sends"
    yield "budget", str(_described(account, settings).get("budget") or "no limit")
    given = _given(account, settings)
    yield "set", "\n".join(f"{name} {say_value(value)}" for name, value in given.items()) or "nothing"


def _trouble(circuit: Circuit) -> str:
    since, until = moment(circuit.since), moment(circuit.until)
    return f"left alone since {since} UTC, tried again at {until} UTC: {circuit.detail}"


def _described(account: Account, settings: Settings) -> Mapping[str, object]:
    """The account's options as plain values; whatever is secret is `<secret>`."""
    described = describe(settings)["accounts"]
    options = described[account.name] if isinstance(described, dict) else {}
    return options if isinstance(options, dict) else {}


def _given(account: Account, settings: Settings) -> Mapping[str, object]:
    """The options that the settings name."""
    options = _described(account, settings)
    names = (name for name in options if name in account.model_fields_set and name not in _SHOWN_ELSEWHERE)
    return {name: options[name] for name in names}


def _say(outcome: Outcome | None) -> str:
    if outcome is None:
        return "nothing to check"
    return "ok" if isinstance(outcome, Sent) else f"failed ({outcome.reason}): {outcome.detail}"


def _is_bad(outcome: Outcome | None) -> bool:
    return outcome is not None and not isinstance(outcome, Sent)


def _as_json(
    account: Account, settings: Settings, outcomes: Mapping[str, Outcome | None], circuits: Mapping[str, Circuit]
) -> Mapping[str, object]:
    pages, webhooks = addresses(settings, settings.server.public_url)
    shown: dict[str, object] = {
        "account": account.name,
        "platform": account.platform,
        "page": pages.get(account.name),
        "webhooks": webhooks.get(account.name, ()),
        "budget": _described(account, settings).get("budget"),
        "set": _given(account, settings),
        "trouble": _trouble(circuits[account.name]) if account.name in circuits else None,
    }
    if account.name in outcomes:
        outcome = outcomes[account.name]
        shown["check"] = None if outcome is None else outcome_as_json(outcome)
    return shown
