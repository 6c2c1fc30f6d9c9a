"""What a reply may have beside its text, and how a platform that cannot send it says so."""

from collections.abc import Mapping

from bridge.adapter.protocol import Ability
from bridge.model.delivery import Reply

NAMES: Mapping[Ability, str] = {
    "private": "private notes",
    "attachments": "attachments",
    "quick_replies": "quick replies",
}


_NOTHING: frozenset[Ability] = frozenset()


def asked_of(reply: Reply) -> frozenset[Ability]:
    """What this reply has beside its text."""
    if not (reply.private or reply.attachments or reply.quick_replies):
        return _NOTHING
    has: Mapping[Ability, bool] = {
        "private": reply.private,
        "attachments": bool(reply.attachments),
        "quick_replies": bool(reply.quick_replies),
    }
    return frozenset(ability for ability, wanted in has.items() if wanted)


def cannot_send(platform: str, ability: Ability) -> str:
    """ "chayns cannot send quick replies"."""
    return f"{platform} cannot send {NAMES[ability]}"


def unsayable(reply: Reply, platform: str, can: frozenset[Ability]) -> str | None:
    """Why the platform cannot send this reply, naming all that is too much for it; None where it can."""
    beyond = asked_of(reply) - can
    if not beyond:
        return None
    return "; ".join(cannot_send(platform, ability) for ability in NAMES if ability in beyond)
