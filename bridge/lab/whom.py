"""By which account an action is done and whom it reaches: names that only the settings know."""

from collections.abc import Iterator, Sequence

from bridge.adapter.ability import cannot_send
from bridge.adapter.protocol import Ability
from bridge.errors import Place, Problem, did_you_mean
from bridge.lab.dry_run import refusal_of_reply
from bridge.line.accounts import Accounts, Known
from bridge.model.event import Address
from bridge.model.rule import OperationAction, ReplyAction, Rule, key_place


def check_rule(rule: Rule, accounts: Accounts) -> Iterator[Problem]:
    """The accounts that a rule is for."""
    for name in sorted(rule.accounts):
        known = accounts.get(name)
        if known is None:
            yield no_account(key_place(rule, "account"), f'rule "{rule.name}": account', name, accounts)
        elif kinds := _never(rule, known):
            message = f'rule "{rule.name}": {known.adapter.name} tells of no {kinds}, so none ever comes from "{name}"'
            yield Problem(place=key_place(rule, "account"), message=message, warning=True)


def check_reply(action: ReplyAction, rule: Rule, accounts: Accounts) -> Iterator[Problem]:
    """Whom a reply goes to and by which account, and whether that account can say it."""
    if action.via is not None:
        known = accounts.get(action.via)
        if known is None:
            yield no_account(key_place(action, "via"), "via", action.via, accounts)
            return
        unknown = list(check_to(action, action.to, known))
        yield from unknown
        if action.to is not None and not unknown and (why := refusal_of_reply(action.to, known)) is not None:
            yield Problem(place=key_place(action, "to"), message=f'"via: {action.via}": {why}')
        if action.to is None and not known.account.identity and rule.accounts != {action.via}:
            name = action.via
            message = f'"via: {name}" needs "to", or an identity in the settings: accounts.{name}.identity'
            yield Problem(place=key_place(action, "via"), message=message, warning=True)
        yield from _abilities(action, (known,), rule)
        return
    answering = [accounts.get(own.account.reply_via or "") or own for own in asking(rule, accounts)]
    yield from _abilities(action, answering, rule)


def _abilities(action: ReplyAction, answering: Sequence[Known], rule: Rule) -> Iterator[Problem]:
    """What a platform cannot say is refused, by name: it would be lost."""
    wanted: dict[Ability, bool] = {
        "private": action.private,
        "attachments": bool(action.attachments),
        "quick_replies": bool(action.quick_replies),
    }
    for ability in (ability for ability, asked in wanted.items() if asked):
        cannot = {known.adapter.name: known.account.name for known in answering if ability not in known.adapter.can}
        for platform, account in cannot.items():
            named = action.via is not None or account in rule.accounts
            remedy = "" if named else f'; name the accounts that can with "account" (this one is "{account}")'
            message = f"{cannot_send(platform, ability)}{remedy}"
            yield Problem(place=key_place(action, ability), message=message)


def check_to(action: ReplyAction | OperationAction, to: Address | None, known: Known) -> Iterator[Problem]:
    """The words of an address. A platform without words of its own takes any."""
    words = known.adapter.to_keys
    for key in to or {}:
        if words and key not in words:
            near = did_you_mean(key, words) or f" (known: {', '.join(words)})"
            place = key_place(action, f"to.{key}")
            yield Problem(place=place, message=f'to: {known.adapter.name} knows no "{key}"{near}')


def no_account(place: Place, what: str, name: str, accounts: Accounts) -> Problem:
    near = did_you_mean(name, [known.account.name for known in accounts])
    hint = near or f"; add [accounts.{name}] to the settings"
    return Problem(place=place, message=f'{what}: there is no account "{name}"{hint}')


def asking(rule: Rule, accounts: Accounts) -> list[Known]:
    """The accounts whose events the rule answers."""
    if rule.accounts:
        return [known for name in sorted(rule.accounts) if (known := accounts.get(name)) is not None]
    return [known for known in accounts if _sends_events(known)]


def _never(rule: Rule, known: Known) -> str:
    """The rule's kinds of events, in words, if none of them ever comes from the account."""
    if not _sends_events(known):
        return "events"
    sends = known.adapter.sends
    never = sends is not None and sends.isdisjoint(rule.on - {"timer"})
    return f"events of the kind {' or '.join(sorted(rule.on))}" if never else ""


def _sends_events(known: Known) -> bool:
    """A platform that only takes has no route for webhooks."""
    return any(route.what == "webhook" for route in known.adapter.routes)
