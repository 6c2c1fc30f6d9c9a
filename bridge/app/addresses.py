"""Where an account is reached: what to register on the platform's side, and what to open in a browser."""

from collections.abc import Iterator, Mapping, Sequence

from bridge.adapter.account import Account
from bridge.adapter.protocol import Route
from bridge.platforms.registry import ADAPTERS
from bridge.settings import Settings


def addresses(settings: Settings, public: str) -> tuple[Mapping[str, str], Mapping[str, tuple[str, ...]]]:
    """By account: the address for customers' browsers, or those to register on the platform's side.

    An account that only sends has neither.
    """
    pages: dict[str, str] = {}
    webhooks: dict[str, tuple[str, ...]] = {}
    for account in settings.accounts.values():
        routes = ADAPTERS[account.platform].routes
        for path in sorted((route.path for route in routes if route.what == "page"), key=len)[:1]:
            pages[account.name] = public + path
        paths = tuple(_paths_of(account, routes))
        if paths and account.name not in pages:
            webhooks[account.name] = tuple(public + path for path in paths)
    return pages, webhooks


def _paths_of(account: Account, routes: Sequence[Route]) -> Iterator[str]:
    """The paths to register for an account. A secret that ends one of them is named, not shown."""
    paths: list[str] = []
    for route in routes:
        if route.method != "POST" or route.what != "webhook" or (route.needs and not getattr(account, route.needs)):
            continue
        of_account, named, rest = route.path.partition("{account}")
        # Where the account is not named, what follows differs from call to call.
        end = account.name + (f"/<{route.needs}>" if rest else "") if named else ""
        paths.append(of_account.partition("{")[0] + end)
    for path in sorted(paths):
        # A path with a secret at its end is asked for, not the same without.
        if not any(other.startswith(f"{path}/<") for other in paths):
            yield path
