"""Render: what the actions of a match come to. Nothing is sent here and nothing is written."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from bridge.clock import to_ms
from bridge.errors import BridgeError
from bridge.line.accounts import Accounts
from bridge.line.recipient import NoRecipientError, Recipient, of_operation, of_reply
from bridge.line.restraint import REPLIES_PER_HOUR, say
from bridge.model.broadcast import Asked
from bridge.model.conversation import EMPTY, Timer
from bridge.model.delivery import Command, Reason, Reply
from bridge.model.event import NOWHERE, Address, Attachment
from bridge.model.facts import Facts, variables
from bridge.model.rule import (
    Action,
    BroadcastAction,
    FollowUp,
    Forget,
    Match,
    OperationAction,
    Remember,
    ReplyAction,
    Rule,
)
from bridge.model.wording import Wording
from bridge.templating import Template, Templates

NOTHING = Reply(text="")
LONGEST_URL = 8000
"""Characters in the address of a file whose name is not given."""


class Rendered(Struct, frozen=True, kw_only=True):
    """A reply or a command that wants to be delivered.

    With `fault` it cannot be, and the fault says why; with `held` it is kept back. `action` is its path among the
    rule's actions; `lane` the order key.
    """

    rule: str
    action: str
    account: str
    lane: str
    to: Address
    reply: Reply = NOTHING
    command: Command | None = None
    fault: tuple[Reason, str] | None = None
    held: str | None = None


class Done(Struct, frozen=True, kw_only=True):
    """What actions came to: deliveries, timers, wishes for runs of broadcasts, and the facts as they leave them."""

    rendered: tuple[Rendered, ...] = ()
    timers: tuple[Timer, ...] = ()
    asked: tuple[Asked, ...] = ()
    facts: Facts


class _Doing:
    """The actions of one match in the doing."""

    def __init__(self, match: Match, events: tuple[int, ...], facts: Facts) -> None:
        self.match = match
        self.events = events
        self.facts = facts
        self.rendered: list[Rendered] = []
        self.timers: list[Timer] = []
        self.asked: list[Asked] = []

    @property
    def names(self) -> dict[str, object]:
        return variables(self.facts, self.match.groups)

    def promise(
        self,
        path: str,
        whom: Recipient,
        *,
        reply: Reply = NOTHING,
        command: Command | None = None,
        held: str | None = None,
    ) -> None:
        """A reply or a command that is to be delivered."""
        known, to, lane = whom
        self.rendered.append(
            Rendered(
                rule=self.match.rule.name,
                action=path,
                account=known.account.name,
                lane=lane,
                to=to,
                reply=reply,
                command=command,
                held=held,
            )
        )

    def stillborn(self, path: str, detail: str, reason: Reason = "template") -> None:
        """An action that came to nothing is kept as a dead letter, so that a person sees it."""
        event = self.facts.event
        self.rendered.append(
            Rendered(
                rule=self.match.rule.name,
                action=path,
                account=event.account,
                lane=f"{event.account}/{event.conversation}",
                to=NOWHERE,
                fault=(reason, detail),
            )
        )


class Renderer:
    """Renders with one set of templates, for the accounts that exist; at most `per_hour` answers a conversation."""

    def __init__(self, templates: Templates, accounts: Accounts, per_hour: int = REPLIES_PER_HOUR) -> None:
        self._templates = templates
        self._accounts = accounts
        self._per_hour = per_hour

    @property
    def templates(self) -> Templates:
        return self._templates

    def render(self, match: Match, facts: Facts, events: tuple[int, ...] = (0,)) -> Done:
        """All actions of a rule that has just fired, which counts for its limit. `events` are the numbers of what it
        is about."""
        return self.perform(match, match.rule.do, "", _counted(match.rule, facts), events)

    def perform(
        self, match: Match, actions: Sequence[Action], before: str, facts: Facts, events: tuple[int, ...]
    ) -> Done:
        """Some actions of a rule; `before` is the path of the action that they are within ("" or "1.").

        An action sees what the actions before it remembered. A fault stops its own action only.
        """
        doing = _Doing(match, events, facts)
        for number, action in enumerate(actions):
            path = f"{before}{number}"
            try:
                self._do(doing, action, path)
            except NoRecipientError as error:
                doing.stillborn(path, str(error), "invalid")
            except BridgeError as error:
                doing.stillborn(path, str(error))
        return Done(
            rendered=tuple(doing.rendered), timers=tuple(doing.timers), asked=tuple(doing.asked), facts=doing.facts
        )

    def _do(self, doing: _Doing, action: Action, path: str) -> None:
        match action:
            case ReplyAction():
                self._reply(doing, action, path)
            case OperationAction():
                self._operation(doing, action, path)
            case FollowUp():
                doing.timers.append(_timer(doing, path, action.wait, action.unless))
            case BroadcastAction():
                doing.asked.append(self._start(doing, action, path))
            case Remember():
                names = doing.names
                kept = {name: self._filled(value, action, names) for name, value in action.facts.items()}
                memory = doing.facts.memories.get(action.scope, EMPTY).remember(kept)
                doing.facts = doing.facts.with_memory(action.scope, memory)
            case Forget():
                memory = doing.facts.memories.get(action.scope, EMPTY).forget(action.names)
                doing.facts = doing.facts.with_memory(action.scope, memory)

    def _start(self, doing: _Doing, action: BroadcastAction, path: str) -> Asked:
        """A wish for a run, which the event, the rule and the action name: looked at again, it is the same run."""
        names = doing.names
        return Asked(
            broadcast=action.name,
            moment=f"rule {doing.match.rule.name}/{path} on event {doing.events[0]}",
            at=doing.facts.now,
            asked_by="rule",
            rule=doing.match.rule.name,
            variables={name: self._filled(value, action, names) for name, value in action.variables.items()},
        )

    def _reply(self, doing: _Doing, action: ReplyAction, path: str) -> None:
        names = doing.names
        reply = self._worded(doing, action, path, names)
        if not reply.text and not reply.attachments:
            return
        whom = of_reply(action, self._address(action, names), doing.facts, names, self._accounts)
        held = None
        if action.answers:
            content = "\n".join([reply.text, *[file.url or "" for file in reply.attachments]])
            held, doing.facts = say(content, doing.facts, self._per_hour)
        doing.promise(path, whom, reply=reply, held=held)

    def _worded(self, doing: _Doing, action: ReplyAction, path: str, names: Mapping[str, object]) -> Reply:
        wording = action.wordings[0]
        if len(action.wordings) > 1:
            wording = action.wordings[_choice(doing, path, len(action.wordings))]
        language = doing.facts.contact.language
        if action.language is not None:
            language = self._templates.inline(action.language, action.place).render(names)
        template = self._template(wording, language)
        reply = Reply(text=template.render(names), format=template.format, private=action.private)
        if not action.attachments and not action.quick_replies:
            return reply
        choices = [self._templates.inline(one, action.place).render(names) for one in action.quick_replies]
        return replace(
            reply,
            attachments=tuple(self._files(action, names)),
            quick_replies=tuple(choice for choice in choices if choice),
        )

    def _template(self, wording: Wording, language: str | None) -> Template:
        if wording.template is not None:
            return self._templates.file(wording.template, wording.place, language=language)
        return self._templates.inline(wording.text or "", wording.place)

    def _files(self, action: ReplyAction, names: Mapping[str, object]) -> list[Attachment]:
        files: list[Attachment] = []
        for file in action.attachments:
            url = self._templates.inline(file.url, action.place).render(names)
            if not url:
                continue
            name = self._templates.inline(file.name, action.place).render(names) if file.name else ""
            files.append(Attachment(name=name or _last_part(url, action), url=url))
        return files

    def _operation(self, doing: _Doing, action: OperationAction, path: str) -> None:
        names = doing.names
        whom = of_operation(action, self._address(action, names), doing.facts, names, self._accounts)
        operation = whom[0].adapter.operations.get(action.name)
        if operation is None:
            raise NoRecipientError(f"{action.place}: {action.platform} has no operation {action.name}")
        given = {name: self._filled(value, action, names) for name, value in action.arguments.items()}
        event = doing.facts.event
        if operation.of_event is not None:
            try:
                given = {**operation.of_event(event), **given}
            except ValueError as error:
                raise NoRecipientError(f"{action.place}: {action.operation}: {error}") from None
        command = Command(
            operation=action.operation,
            arguments=given,
            conversation=f"{event.account}/{event.conversation}",
            keep=action.keep,
            then=_timer(doing, path, timedelta(0)) if action.then else None,
        )
        doing.promise(path, whom, command=command)

    def _address(self, action: ReplyAction | OperationAction, names: Mapping[str, object]) -> Address | None:
        if action.to is None:
            return None
        return {key: self._filled(value, action, names) for key, value in action.to.items()}

    def _filled(
        self,
        value: object,
        action: ReplyAction | OperationAction | Remember | BroadcastAction,
        names: Mapping[str, object],
    ) -> object:
        """A value with the templates in it rendered, however deep they are."""
        match value:
            case str():
                return self._templates.inline(value, action.place).render(names)
            case Mapping():
                return {key: self._filled(inner, action, names) for key, inner in value.items()}
            case list() | tuple():
                return [self._filled(inner, action, names) for inner in value]
        return value


def _choice(doing: _Doing, path: str, of: int) -> int:
    """Which of several wordings: always the same in one conversation, evenly spread over conversations."""
    event = doing.facts.event
    mark = f"{event.account}/{event.conversation}/{doing.match.rule.name}/{path}"
    return int.from_bytes(sha256(mark.encode("utf-8", "surrogatepass")).digest()[:4]) % of


def _last_part(url: str, action: ReplyAction) -> str:
    """What a file is called whose name is not given: the last part of its address."""
    try:
        # The standard library normalises a host, which takes quadratic time for a long run of combining marks.
        parts = urlsplit(url) if len(url) <= LONGEST_URL else None
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in ("http", "https") or not parts.netloc:
        raise NoRecipientError(
            f"{action.place}: attachments: what is rendered is not the address of a file (https://...)"
        )
    return parts.path.rpartition("/")[2] or parts.netloc


def _timer(doing: _Doing, path: str, wait: timedelta, unless: Iterable[str] = ()) -> Timer:
    """What waits to do the actions within the action of this path."""
    now = to_ms(doing.facts.now)
    return Timer(
        rule=doing.match.rule.name,
        action=path,
        due=now + round(wait.total_seconds() * 1000),
        since=now,
        events=doing.events,
        unless=tuple(sorted(unless)),
        groups=doing.match.groups,
    )


def _counted(rule: Rule, facts: Facts) -> Facts:
    """The facts with this firing counted, where the rule has a limit."""
    limit = rule.limit
    if limit is None:
        return facts
    memory = facts.memories.get(limit.per, EMPTY).count(rule.name, to_ms(facts.now), limit.times)
    return facts.with_memory(limit.per, memory)
