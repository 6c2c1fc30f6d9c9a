"""Render: what the actions of a match come to. Nothing is sent here and nothing is written."""

from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from bridge.clock import to_ms
from bridge.errors import BridgeError
from bridge.line.accounts import Accounts, Known
from bridge.model.conversation import EMPTY, Memory, Scope
from bridge.model.delivery import Reason, Reply
from bridge.model.event import NOWHERE, Address
from bridge.model.facts import Facts, variables
from bridge.model.rule import Action, Forget, Match, Remember, ReplyAction
from bridge.templating import Template, Templates


class Rendered(Struct, frozen=True, kw_only=True):
    """A reply that wants to be delivered; with `fault` it cannot be, and the fault says why.

    `action` is its place among the rule's actions, as text; `lane` the order key.
    """

    rule: str
    action: str
    account: str
    lane: str
    to: Address
    reply: Reply
    fault: tuple[Reason, str] | None = None


class _NoRecipientError(BridgeError):
    """Nobody can say whom the reply is for."""


class Renderer:
    """Renders with one set of templates, for the accounts that exist."""

    def __init__(self, templates: Templates, accounts: Accounts) -> None:
        self._templates = templates
        self._accounts = accounts

    def render(self, match: Match, facts: Facts) -> tuple[list[Rendered], Facts]:
        """The replies of a match, and the facts as its `remember` and `forget` leave them.

        An action sees what the actions before it remembered. A fault stops its own action only.
        """
        replies: list[Rendered] = []
        facts = _counted(match, facts)
        for number, action in enumerate(match.rule.do):
            if isinstance(action, ReplyAction):
                replies.extend(self._reply(match, action, str(number), facts))
                continue
            try:
                facts = self._changed(action, match, facts)
            except BridgeError as error:
                replies.append(_stillborn(match, str(number), facts, str(error)))
        return replies, facts

    def _changed(self, action: Action, match: Match, facts: Facts) -> Facts:
        if isinstance(action, Forget):
            return _with_memory(facts, action.scope, _memory(facts, action.scope).forget(action.names))
        if isinstance(action, Remember):
            names = variables(facts, match.groups)
            kept = {name: self._filled(value, action, names) for name, value in action.facts.items()}
            return _with_memory(facts, action.scope, _memory(facts, action.scope).remember(kept))
        return facts

    def _reply(self, match: Match, action: ReplyAction, number: str, facts: Facts) -> Iterator[Rendered]:
        names = variables(facts, match.groups)
        try:
            template = self._template(action)
            text = template.render(names)
            if not text:
                return
            reply = Reply(text=text, format=template.format)
            account, to, lane = self._recipient(action, facts, names)
        except _NoRecipientError as error:
            yield replace(_stillborn(match, number, facts, str(error)), fault=("invalid", str(error)))
        except BridgeError as error:
            yield _stillborn(match, number, facts, str(error))
        else:
            yield Rendered(rule=match.rule.name, action=number, account=account, lane=lane, to=to, reply=reply)

    def _template(self, action: ReplyAction) -> Template:
        if action.template is not None:
            return self._templates.file(action.template, action.place)
        return self._templates.inline(action.text or "", action.place)

    def _recipient(self, action: ReplyAction, facts: Facts, names: Mapping[str, object]) -> tuple[str, Address, str]:
        """By which account, to whom, and in which lane."""
        event = facts.event
        own = self._accounts.get(event.account)
        via = action.via or (own.account.reply_via if own else None) or event.account
        known = self._accounts.get(via)
        if known is None:
            raise _NoRecipientError(
                f'{action.place}: "via: {via}" names no account; add [accounts.{via}] to the settings'
            )
        if action.to is not None:
            to: Address = {key: self._filled(value, action, names) for key, value in action.to.items()}
            return via, to, _lane(via, to)
        if via == event.account:
            return via, facts.conversation.address, f"{via}/{event.conversation}"
        to = _identity(known, names)
        return via, to, _lane(via, to)

    def _filled(self, value: object, action: ReplyAction | Remember, names: Mapping[str, object]) -> object:
        return self._templates.inline(value, action.place).render(names) if isinstance(value, str) else value


def _identity(known: Known, names: Mapping[str, object]) -> Address:
    """How the contact is found by another account: the first of its `identity` fields that is known."""
    account = known.account
    for key, path in account.identity.items():
        value: object = names
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            return {key: value}
    wanted = ", ".join(account.identity.values())
    raise _NoRecipientError(
        f"accounts.{account.name}: the contact has no {wanted}"
        if wanted
        else f'accounts.{account.name}: no "to" in the rule and no identity in the settings; add identity = {{ ... }}'
    )


def _lane(via: str, to: Address) -> str:
    return via + ":" + ",".join(f"{key}={to[key]}" for key in sorted(to))


def _memory(facts: Facts, scope: Scope) -> Memory:
    return facts.memories.get(scope, EMPTY)


def _with_memory(facts: Facts, scope: Scope, memory: Memory) -> Facts:
    return replace(facts, memories={**facts.memories, scope: memory})


def _counted(match: Match, facts: Facts) -> Facts:
    """The facts with this firing counted, where the rule has a limit."""
    limit = match.rule.limit
    if limit is None:
        return facts
    memory = _memory(facts, limit.per).count(match.rule.name, to_ms(facts.now), limit.times)
    return _with_memory(facts, limit.per, memory)


def _stillborn(match: Match, number: str, facts: Facts, detail: str) -> Rendered:
    event = facts.event
    return Rendered(
        rule=match.rule.name,
        action=number,
        account=event.account,
        lane=f"{event.account}/{event.conversation}",
        to=NOWHERE,
        reply=Reply(text=""),
        fault=("template", detail),
    )
