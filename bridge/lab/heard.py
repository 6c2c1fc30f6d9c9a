"""Heard: what a rehearsal's verdicts say, put together for whoever asks what came."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from bridge.lab.expectations import Came, Said
from bridge.lab.rehearsal import Rehearsal
from bridge.line.decide import Behaviour, Verdict
from bridge.line.render import Rendered
from bridge.model.conversation import Scope
from bridge.model.event import Event
from bridge.model.rule import ReplyAction
from bridge.store.rows import conversation_key


def came_of(verdicts: Iterable[Verdict], rehearsal: Rehearsal, event: Event) -> Came:
    """What came of the verdicts; the memory is that of the event's conversation, as it is now."""
    heard = list(verdicts)
    return Came(
        said=[_said(one, rehearsal.behaviour) for verdict in heard for one in verdict.rendered],
        started=[one for verdict in heard for one in verdict.asked],
        fired=list(dict.fromkeys(rule for verdict in heard for rule in fired_in(verdict))),
        memory=partial(_memory, rehearsal, event),
    )


def fired_in(verdict: Verdict) -> Iterator[str]:
    """The rules that fired, at once or later: by a follow-up, or after an operation."""
    return (str(step["rule"]) for step in verdict.trace if step.get("fired"))


def _said(rendered: Rendered, behaviour: Behaviour) -> Said:
    rule = behaviour.rule(rendered.rule)
    action = None if rule is None else rule.action(rendered.action)
    return Said(rendered=rendered, sent=isinstance(action, ReplyAction) and action.to is not None)


def _memory(rehearsal: Rehearsal, event: Event, scope: Scope) -> Mapping[str, object]:
    key = conversation_key(event.account, event.conversation)
    known = rehearsal.page.conversation(key) is not None
    return rehearsal.page.facts_later(event, key).memory(scope) if known else {}
