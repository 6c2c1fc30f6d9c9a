"""From `bridge.toml` and the environment to `Settings`, or to every problem there is, one a line."""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bridge.adapter.account import Account
from bridge.adapter.protocol import Adapter
from bridge.adapter.secret import Surroundings
from bridge.errors import SettingsError, did_you_mean
from bridge.platforms.registry import ADAPTERS
from bridge.settings.document import CONFIG, Document, KeyPath, dotted, read_document, variable
from bridge.settings.problems import found
from bridge.settings.sections import LogSettings, RulebookSettings, ServerSettings, Settings, StoreSettings

M = TypeVar("M", bound=BaseModel)

_SECTIONS: Mapping[str, type[BaseModel]] = {
    "server": ServerSettings,
    "store": StoreSettings,
    "rulebook": RulebookSettings,
    "log": LogSettings,
}
_VARIABLES = (CONFIG, *(variable((name, key)) for name, model in _SECTIONS.items() for key in model.model_fields))
_ACCOUNT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_WEBCHAT = "webchat"


def load_settings(
    path: Path | None,
    environ: Mapping[str, str],
    adapters: Mapping[str, Adapter[Any]] = ADAPTERS,
    working_directory: Path = Path(),
    only: Collection[str] | None = None,
    platform: str | None = None,
) -> Settings:
    """Read `path`; without one, what REPLYBRIDGE_CONFIG names, else `bridge.toml` in the working directory if there.

    The environment wins over the file: `REPLYBRIDGE_SERVER__LISTEN`, `REPLYBRIDGE_ACCOUNTS__SHOP__API_KEY`. A value
    is taken as a text where the setting is one, else as a TOML value; an empty variable is no value. Paths are
    relative to the file, and without one to the working directory.

    With no file, and no account in the environment, there is one account: the built-in web chat. A file (or an
    environment) that names accounts has a web chat only if it names that, too.

    With `only` or `platform`, the accounts of these names or on this platform are read and no others, so that the
    secrets of others need not be there.

    Raises SettingsError with every problem found, one a line; no line shows the value of a secret.
    """
    document = read_document(path, environ, working_directory.absolute())
    try:
        return _Reading(document, environ, adapters).settings(only, platform)
    except RecursionError:
        raise SettingsError(f"{document.file or 'environment'}: tables in tables are nested too deeply") from None


class _Reading:
    """One pass over a document that goes on after a problem, so that all of them can be told at once."""

    def __init__(self, document: Document, environ: Mapping[str, str], adapters: Mapping[str, Adapter[Any]]) -> None:
        self._document = document
        self._adapters = adapters
        self._surroundings = Surroundings(environ=environ, directory=document.directory)
        self._problems = list(document.lay_over(environ, (*_VARIABLES, variable(("accounts", "name", "key")))))

    def settings(self, only: Collection[str] | None, platform: str | None) -> Settings:
        self._unknown_sections()
        server = self._section("server", ServerSettings)
        store = self._section("store", StoreSettings)
        rulebook = self._section("rulebook", RulebookSettings)
        log = self._section("log", LogSettings)
        accounts = self._accounts(only, platform)
        if self._problems or not (server and store and rulebook and log):
            raise SettingsError("\n".join(self._problems))
        file = self._document.file
        return Settings(
            file=self._document.directory / Path(file).name if file else None,
            directory=self._document.directory,
            server=server,
            store=store,
            rulebook=rulebook,
            log=log,
            accounts=accounts,
        )

    def _problem(self, path: KeyPath, words: str) -> None:
        line = f"{self._document.place(path)}: {words}"
        self._problems.append("".join(c if c.isprintable() else repr(c)[1:-1] for c in line))

    def _unknown_sections(self) -> None:
        sections = (*_SECTIONS, "accounts")
        for name in self._document.tree:
            if name not in sections:
                self._problem((name,), f"unknown key{did_you_mean(name, sections)}")

    def _section(self, name: str, model: type[M]) -> M | None:
        self._document.tree.setdefault(name, {})
        return self._read(model, (name,), {})

    def _read(self, model: type[M], path: KeyPath, given: Mapping[str, object]) -> M | None:
        """`model` from what stands at `path`, and `given`. A variable's text that is refused gets a second chance."""
        try:
            return self._validate(model, path, given)
        except ValidationError as error:
            refused = found(error, model, self._document.at(path))
        reread = [self._document.reread((*path, *where)) for where in refused]
        if any(reread):
            try:
                return self._validate(model, path, given)
            except ValidationError as error:
                refused = found(error, model, self._document.at(path))
        for where, words in refused.items():
            self._problem((*path, *where), words)
        return None

    def _validate(self, model: type[M], path: KeyPath, given: Mapping[str, object]) -> M:
        raw = self._document.at(path)
        whole = {**raw, **given} if isinstance(raw, dict) else raw
        return model.model_validate(whole, context=self._surroundings)

    def _accounts(self, only: Collection[str] | None, platform: str | None) -> dict[str, Account]:
        tree = self._document.tree
        tables = tree.setdefault("accounts", {})
        if not isinstance(tables, dict):
            self._problem(("accounts",), "must be tables, one for each account: [accounts.shop]")
            return {}
        if self._document.file is None and tables.keys() <= {_WEBCHAT}:
            tables[_WEBCHAT] = {"platform": _WEBCHAT} | tables.get(_WEBCHAT, {})
        for name in only or ():
            if name not in tables:
                hint = did_you_mean(name, sorted(tables)) or f": there is {', '.join(sorted(tables)) or 'none'}"
                self._problems.append(f'{self._document.file or "no bridge.toml"}: no account is called "{name}"{hint}')
        wanted = {
            name: table
            for name, table in tables.items()
            if (only is None or name in only)
            and (platform is None or not isinstance(table, dict) or table.get("platform") == platform)
        }
        accounts = {name: account for name, table in wanted.items() if (account := self._account(name, table))}
        for problem in _between(accounts, tables):
            self._problem(*problem)
        return accounts

    def _account(self, name: str, table: object) -> Account | None:
        path = ("accounts", name)
        if not isinstance(table, dict):
            self._problem(path, f"must be a table of keys: [accounts.{name}]")
        elif not _ACCOUNT_NAME.fullmatch(name):
            self._problem(path, 'the name of an account has only letters, digits, "-" and "_"')
        elif "name" in table:
            self._problem((*path, "name"), f"the account is called {name} by its table; leave this key out")
        elif adapter := self._adapter(path, table):
            return self._read(adapter.account, path, {"name": name})
        return None

    def _adapter(self, path: tuple[str, str], table: Mapping[str, object]) -> Adapter[Any] | None:
        platform = table.get("platform")
        if isinstance(platform, str) and platform in self._adapters:
            return self._adapters[platform]
        known = ", ".join(sorted(self._adapters))
        if platform is None:
            others = [name for name in self._document.tree["accounts"] if name != path[1]]
            hint = did_you_mean(path[1], others) if path in self._document.born else ""
            self._problem((*path, "platform"), f"missing: one of {known}{hint}")
        else:
            hint = did_you_mean(str(platform), sorted(self._adapters)) or f": write one of {known}"
            self._problem((*path, "platform"), f'"{platform}" is not a platform{hint}')
        return None


def _between(accounts: Mapping[str, Account], named: Mapping[str, object]) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong between accounts that are sound by themselves."""
    owners: dict[bytes, str] = {}
    webchat: str | None = None
    for name, account in accounts.items():
        via = account.reply_via
        if via is not None and via not in named:
            yield ("accounts", name, "reply_via"), f'no account is called "{via}"{did_you_mean(via, sorted(named))}'
        for digest in {secret.digest() for secret in account.credentials()}:
            if (owner := owners.setdefault(digest, name)) != name:
                both = f"{dotted(('accounts', owner))} and {dotted(('accounts', name))}"
                yield ("accounts", name), f"{both} share a credential, which must tell them apart: give each its own"
        if account.platform == _WEBCHAT:
            if webchat:
                yield ("accounts", name), f"there can be only one web chat, and accounts.{webchat} is one already"
            webchat = webchat or name
