"""Recipient: by which account an action of a rule is done, whom it is for, and in which order it stands."""

from collections.abc import Mapping
from hashlib import sha256

import msgspec

from bridge.errors import BridgeError
from bridge.line.accounts import Accounts, Known
from bridge.model.event import NOWHERE, Address
from bridge.model.facts import Facts
from bridge.model.rule import OperationAction, ReplyAction

Recipient = tuple[Known, Address, str]
"""The account, whom it is for, and the lane: deliveries of one lane keep their order."""


class NoRecipientError(BridgeError):
    """Nobody can say whom it is for, or which account does it."""


def of_reply(
    action: ReplyAction, to: Address | None, facts: Facts, names: Mapping[str, object], accounts: Accounts
) -> Recipient:
    """For a reply; `to` is the action's own with its templates filled. Raises NoRecipientError."""
    event = facts.event
    own = accounts.get(event.account)
    via = action.via or (own.account.reply_via if own else None) or event.account
    known = accounts.get(via)
    if known is None:
        raise NoRecipientError(f'{action.place}: "via: {via}" names no account; add [accounts.{via}] to the settings')
    if to is not None:
        return known, to, _lane(via, to)
    if via == event.account:
        return known, facts.conversation.address, f"{via}/{event.conversation}"
    found = _identity(known, names)
    if found is None:
        raise _nobody(known)
    return known, found, _lane(via, found)


def of_operation(
    action: OperationAction, to: Address | None, facts: Facts, names: Mapping[str, object], accounts: Accounts
) -> Recipient:
    """For an operation: the event's own account, if it is on that platform, or the only one that is.

    It stands in order with all that this account does about the conversation. Raises NoRecipientError.
    """
    event = facts.event
    known = _doer(action, event.account, accounts)
    name = known.account.name
    lane = f"{name}/{event.conversation}" if name == event.account else f"{name}/{event.account}/{event.conversation}"
    if to is not None:
        return known, to, lane
    if known.adapter.name == event.platform:
        return known, facts.conversation.address, lane
    return known, _identity(known, names) or NOWHERE, lane


def _doer(action: OperationAction, own: str, accounts: Accounts) -> Known:
    if action.via is not None:
        known = accounts.get(action.via)
        if known is None or known.adapter.name != action.platform:
            what = "names no account" if known is None else f"is an account of {known.adapter.name}"
            raise NoRecipientError(f'{action.place}: "via: {action.via}" {what}; {action.operation} needs another')
        return known
    able = accounts.of_platform(action.platform)
    for known in able:
        if known.account.name == own or len(able) == 1:
            return known
    which = "several accounts" if able else "no account"
    raise NoRecipientError(f'{action.place}: {action.operation}: the settings have {which} of it; say which with "via"')


def _identity(known: Known, names: Mapping[str, object]) -> Address | None:
    """How the contact is found by another account: the first of its `identity` fields that is known."""
    for key, path in known.account.identity.items():
        value: object = names
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            return {key: value}
    return None


def _nobody(known: Known) -> NoRecipientError:
    account = known.account
    wanted = ", ".join(account.identity.values())
    return NoRecipientError(
        f"accounts.{account.name}: the contact has no {wanted}"
        if wanted
        else f'accounts.{account.name}: no "to" in the rule and no identity in the settings; add identity = {{ ... }}'
    )


def _lane(via: str, to: Address) -> str:
    """One for each address. A digest, because an address may be long, or hold a token."""
    return f"{via}:{sha256(msgspec.json.encode(to, order='sorted')).hexdigest()[:16]}"
