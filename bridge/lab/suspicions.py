"""What a rule does that its author can hardly have meant. Warnings: the rulebook may go live with them."""

from collections.abc import Iterator, Sequence

from bridge.errors import Problem
from bridge.model.quantity import say_duration
from bridge.model.rule import Action, FollowUp, ReplyAction, Rule, inside, key_place, numbered


def suspicions(rule: Rule) -> Iterator[Problem]:
    """Follow-ups that nothing cancels, bursts that never come, answers that are never given."""
    for _, action in numbered(rule.do):
        if isinstance(action, FollowUp) and not action.unless and _answers(action.do):
            message = (
                f"nothing cancels this: in {say_duration(action.wait)} it is said whatever happens in the conversation;"
                ' add for example "unless: [contact_message, agent_message, ended]"'
            )
            yield Problem(place=action.place, message=message, warning=True)
    if rule.burst is not None and "message" not in rule.on:
        message = f'"burst" waits for more messages, and "{rule.name}" is not asked about messages: remove it'
        yield Problem(place=key_place(rule, "burst"), message=message, warning=True)
    if rule.answers and not rule.even_if_human and rule.senders == {"agent"} and rule.on <= {"message", "attachment"}:
        message = (
            f'"{rule.name}" never answers: when an agent writes, a human is active in the conversation;'
            " add even_if_human: true"
        )
        yield Problem(place=key_place(rule, "sender"), message=message, warning=True)


def _answers(actions: Sequence[Action]) -> bool:
    """Whether the contact is written to when these are done, or once a platform has done its part of them."""
    return any(
        action.answers
        if isinstance(action, ReplyAction)
        else not isinstance(action, FollowUp) and _answers(inside(action))
        for action in actions
    )
