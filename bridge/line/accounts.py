"""The configured accounts, and which of them a webhook is for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from bridge.adapter.account import Account
from bridge.adapter.protocol import Adapter, Webhook
from bridge.errors import Refused


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """An account with the adapter of its platform."""

    account: Account
    adapter: Adapter[Any]


class Accounts:
    """`adapters` are those of all platforms, also of those that no account is on."""

    def __init__(self, accounts: Iterable[Account], adapters: Mapping[str, Adapter[Any]]) -> None:
        self.adapters = adapters
        self._by_name = {a.name: Known(account=a, adapter=adapters[a.platform]) for a in accounts}
        self._by_credential = {
            (known.adapter.name, secret.digest()): known
            for known in self._by_name.values()
            for secret in known.account.credentials()
        }
        self._by_platform: dict[str, list[Known]] = {}
        for known in self._by_name.values():
            self._by_platform.setdefault(known.adapter.name, []).append(known)

    def __iter__(self) -> Iterator[Known]:
        return iter(self._by_name.values())

    def get(self, name: str) -> Known | None:
        return self._by_name.get(name)

    def of_platform(self, platform: str) -> list[Known]:
        return self._by_platform.get(platform, [])

    def find(self, platforms: Sequence[str], webhook: Webhook) -> Known:
        """The account a webhook is for: named by its path, by its credential, or the only one of its platform.

        `platforms` are those that own the route; there are several only where the path names the account.

        Raises Refused: 404 for an account that is not known, 401 for a credential that nobody has.
        """
        if webhook.account is not None:
            named = self._by_name.get(webhook.account)
            if named is None:
                raise Refused(404, f"there is no account of this name: {webhook.account[:40]!r}")
            if named.adapter.name not in platforms:
                raise Refused(404, f"accounts.{named.account.name}: {named.adapter.name} tells of nothing here")
            return named
        platform = platforms[0]
        of_platform = self.of_platform(platform)
        if not of_platform:
            raise Refused(404, f"no account of the platform {platform} is configured")
        credential = of_platform[0].adapter.credential(webhook)
        if credential is not None:
            digest = sha256(credential.encode("utf-8", "surrogatepass")).digest()
            if (found := self._by_credential.get((platform, digest))) is not None:
                return found
        elif len(of_platform) == 1 and not of_platform[0].account.credentials():
            return of_platform[0]
        where = of_platform[0].adapter.credential_in
        raise Refused(401, f"{where}: missing" if credential is None else f"{where}: wrong; no account has it")
