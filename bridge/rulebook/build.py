"""From checked forms to the values of bridge.model: rules with their actions and places, calendars."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from msgspec import Struct

from bridge.errors import Place, Problem
from bridge.model.event import Address
from bridge.model.rule import (
    Action,
    BroadcastAction,
    Example,
    File,
    FollowUp,
    Forget,
    Limit,
    OperationAction,
    Remember,
    ReplyAction,
    Rule,
)
from bridge.model.wording import Wording
from bridge.rulebook.action_forms import ActionForm, CallForm, OperationForm, ReplyForm, To, WordingForm
from bridge.rulebook.calendars import Hours, public_holidays, week
from bridge.rulebook.conditions import All
from bridge.rulebook.example_forms import ExampleForm
from bridge.rulebook.schema import CalendarForm, RuleForm
from bridge.rulebook.when import Compiling, compile_when
from bridge.rulebook.yaml import Node

CALL = "webhook.call"
"""The operation that `call` is."""

_NAMES = ("account", "via")

MOST_NESTED = 5
"""How many actions (`after`, `then`) may stand around an action."""


def build_rule(form: RuleForm, node: Node, compiling: Compiling) -> Rule:
    """The rule that `form`, read from `node`, says. What is wrong with it is added to the problems of `compiling`."""
    when = All() if form.when is None else compile_when(form.when, node.at("when"), compiling)
    return Rule(
        name=form.name,
        place=node.place,
        on=frozenset(form.on),
        accounts=frozenset(form.account or ()),
        senders=frozenset(form.sender),
        when=when,
        limit=_limit(form),
        do=_Actions(compiling.problems).of(form.do, node.at("do")),
        stop=form.stop,
        priority=form.priority,
        burst=form.burst,
        even_if_human=form.even_if_human,
        examples=tuple(_example(one, node.at("examples", i)) for i, one in enumerate(form.examples or ())),
        places=_places(node, ("do", "examples")),
    )


def _limit(form: RuleForm) -> Limit | None:
    if form.limit is None:
        return None
    return Limit(times=form.limit.times, per=form.limit.per, within=form.limit.within)


def _places(node: Node, without: tuple[str, ...] = ()) -> dict[str, Place]:
    """Where each key below `node` stands, by its path; of what names an account, the name."""
    places: dict[str, Place] = {}
    waiting = [("", node, without)]
    while waiting:
        before, node, without = waiting.pop()
        for key, inner in node.inside.items():
            if key not in without:
                path = f"{before}{key}"
                places[path] = node.keys[key] if isinstance(key, str) and path not in _NAMES else inner.place
                if inner.inside:
                    waiting.append((f"{path}.", inner, ()))
    return places


class _Actions(Struct, frozen=True):
    """Builds actions, with those inside them; `around` is how many stand around the one that is built."""

    problems: list[Problem]
    around: int = 0

    def of(self, forms: list[ActionForm] | None, node: Node) -> tuple[Action, ...]:
        return tuple(self._action(form, node.at(number)) for number, form in enumerate(forms or ()))

    def _inside(self, forms: list[ActionForm] | None, node: Node) -> tuple[Action, ...]:
        if forms and self.around == MOST_NESTED:
            message = f"actions inside actions: at most {MOST_NESTED} may stand around another"
            self.problems.append(Problem(place=node.place, message=message))
            return ()
        return _Actions(self.problems, self.around + 1).of(forms, node)

    def _action(self, form: ActionForm, node: Node) -> Action:
        (key,) = form.given
        inner, place = node.at(key), node.key_place(key)
        scope = form.scope or "conversation"
        if form.remember is not None:
            return Remember(place=inner.place, facts=dict(form.remember), scope=scope)
        if form.forget is not None:
            return Forget(place=inner.place, names=tuple(form.forget), scope=scope)
        if form.broadcast is not None:
            return BroadcastAction(
                place=place, name=form.broadcast.name, variables=dict(form.broadcast.variables or {})
            )
        if form.after is not None:
            do = self._inside(form.do, node.at("do"))
            return FollowUp(place=place, wait=form.after, unless=frozenset(form.unless or ()), do=do)
        if form.call is not None:
            return self._operation(CALL, form.call, _request(form.call), inner, place)
        if (reply := form.reply or form.send) is not None:
            return _reply(reply, inner)
        asked = form.operations[key]
        return self._operation(key, asked, dict(asked.__pydantic_extra__ or {}), inner, place)

    def _operation(
        self, name: str, form: OperationForm | CallForm, arguments: dict[str, object], node: Node, place: Place
    ) -> OperationAction:
        return OperationAction(
            place=place,
            operation=name,
            arguments=arguments,
            via=form.via,
            to=_address(form.to) if isinstance(form, OperationForm) else None,
            keep=dict(form.remember or {}),
            then=self._inside(form.then, node.at("then")),
            places=_places(node, ("then",)),
        )


def _request(form: CallForm) -> dict[str, object]:
    """What is said of a call, as the operation's arguments."""
    given = {"url": form.url, "method": form.method, "headers": form.headers, "body": form.body}
    return {name: value for name, value in given.items() if value is not None}


def _reply(form: ReplyForm, node: Node) -> ReplyAction:
    wordings = tuple(_wordings(form, node))
    return ReplyAction(
        place=wordings[0].place,
        wordings=wordings,
        via=form.via,
        to=_address(form.to),
        private=form.private,
        attachments=tuple(File(url=file.url, name=file.name) for file in form.attachments or ()),
        quick_replies=tuple(form.quick_replies or ()),
        language=form.language,
        places=_places(node),
    )


def _wordings(form: ReplyForm, node: Node) -> Iterator[Wording]:
    if form.one_of is None:
        yield _wording(form, node)
    for number, one in enumerate(form.one_of or ()):
        yield _wording(one, node.at("one_of", number))


def _wording(form: ReplyForm | WordingForm, node: Node) -> Wording:
    place = node.at("text" if form.text is not None else "template").place
    return Wording(place=place, text=form.text, template=form.template)


def _address(to: To | None) -> Address | None:
    return None if to is None else dict(to)


def _example(form: ExampleForm, node: Node) -> Example:
    given = form.said()
    expect = given.pop("expect")
    return Example(place=node.place, given=given, expect=expect)


def build_calendar(form: CalendarForm, default_zone: str) -> Hours:
    """The calendar that `form` says, in `default_zone` unless it names its own."""
    return Hours(
        zone=ZoneInfo(form.timezone or default_zone),
        weekly=week(form.spans()),
        closed=tuple(form.closed or ()),
        holidays=None if form.holidays is None else public_holidays(form.holidays.country, form.holidays.region),
    )
