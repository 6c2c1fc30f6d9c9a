"""Restraint: what keeps the bridge from speaking. It is on unless a rule says otherwise."""

from datetime import timedelta
from hashlib import sha256

from bridge.clock import to_ms
from bridge.model.conversation import EMPTY, HUMAN_ACTIVE_FOR
from bridge.model.facts import Facts
from bridge.model.quantity import say_duration
from bridge.model.rule import Rule

REPLIES_PER_HOUR = 20
"""Automatic replies in one conversation and hour, unless the settings say otherwise: more is most often two machines
that answer each other."""
_HOUR_MS = 3_600_000
_REPEAT_MS = 60_000


def silenced(rule: Rule, facts: Facts) -> str | None:
    """Why a rule that would answer the contact is quiet: a human is active in the conversation."""
    if rule.even_if_human or not rule.answers or not facts.conversation.human_active:
        return None
    agent_at = facts.conversation.agent_at or facts.now
    ago = facts.conversation.last_at - agent_at
    again = max(HUMAN_ACTIVE_FOR - ago, timedelta(0))
    return f"an agent wrote {say_duration(ago)} ago; again in {say_duration(again)}"


def say(text: str, facts: Facts, per_hour: int) -> tuple[str | None, Facts]:
    """Say something to the contact: why it is not sent, and the facts once it is.

    It is held back where it was just said, or where too much was said of late.
    """
    memory = facts.memories.get("conversation", EMPTY)
    now = to_ms(facts.now)
    mark = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    lately = [one for one in memory.said if now - one[0] < _HOUR_MS]
    if [at for at, one in lately if one == mark and now - at < _REPEAT_MS]:
        return "the same text was sent to this conversation less than a minute ago", facts
    if len(lately) >= per_hour:
        why = f"loop breaker: this conversation had {per_hour} automatic replies within an hour (replies_per_hour)"
        return why, facts
    return None, facts.with_memory("conversation", memory.note_said(mark, now, now - _HOUR_MS, per_hour))
