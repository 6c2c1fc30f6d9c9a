"""From checked forms to the values of bridge.model: rules with their actions and places, calendars."""

from zoneinfo import ZoneInfo

from bridge.errors import Problem
from bridge.model.rule import Action, Example, Forget, Limit, Remember, ReplyAction, Rule
from bridge.rulebook.calendars import Hours, public_holidays, week
from bridge.rulebook.conditions import All
from bridge.rulebook.schema import ActionForm, CalendarForm, ExampleForm, RuleForm
from bridge.rulebook.when import CompileExpression, compile_when
from bridge.rulebook.yaml import Node


def build_rule(form: RuleForm, node: Node, expression: CompileExpression, problems: list[Problem]) -> Rule:
    """The rule that `form`, read from `node`, says. What is wrong with its condition is added to `problems`."""
    when = All() if form.when is None else compile_when(form.when, node.at("when"), expression, problems)
    return Rule(
        name=form.name,
        place=node.place,
        on=frozenset(form.on),
        accounts=frozenset(form.account or ()),
        senders=frozenset(form.sender),
        when=when,
        limit=_limit(form),
        do=tuple(_action(action, node.at("do", number)) for number, action in enumerate(form.do or ())),
        stop=form.stop,
        priority=form.priority,
        examples=tuple(_example(one, node.at("examples", i)) for i, one in enumerate(form.examples or ())),
    )


def _limit(form: RuleForm) -> Limit | None:
    if form.limit is None:
        return None
    return Limit(times=form.limit.times, per=form.limit.per, within=form.limit.within)


def _action(form: ActionForm, node: Node) -> Action:
    scope = form.scope or "conversation"
    if form.remember is not None:
        return Remember(place=node.at("remember").place, facts=dict(form.remember), scope=scope)
    if form.forget is not None:
        return Forget(place=node.at("forget").place, names=tuple(form.forget), scope=scope)
    reply = form.reply
    assert reply is not None  # noqa: S101 - the form has made sure that one of the three is there
    return ReplyAction(
        place=node.at("reply", "text" if reply.text is not None else "template").place,
        text=reply.text,
        template=reply.template,
        via=reply.via,
        to=None if reply.to is None else dict(reply.to),
    )


def _example(form: ExampleForm, node: Node) -> Example:
    given = form.model_dump(by_alias=True, exclude_none=True)
    expect = given.pop("expect")
    return Example(place=node.place, given=given, expect=expect)


def build_calendar(form: CalendarForm, default_zone: str) -> Hours:
    """The calendar that `form` says, in `default_zone` unless it names its own."""
    return Hours(
        zone=ZoneInfo(form.timezone or default_zone),
        weekly=week(form.spans()),
        closed=frozenset(day for days in form.closed or () for day in days),
        holidays=None if form.holidays is None else public_holidays(form.holidays.country, form.holidays.region),
    )
