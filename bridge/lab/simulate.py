"""Simulate: a recorded webhook through the rules. Nothing is sent, and nothing is kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace
from pydantic import ValidationError

from bridge.adapter.account import Account
from bridge.adapter.protocol import Notice, Webhook
from bridge.errors import BridgeError, Refused
from bridge.lab.heard import fired_in
from bridge.lab.recordings import Recording
from bridge.lab.rehearsal import Rehearsal
from bridge.line.accounts import Known
from bridge.line.decide import Behaviour
from bridge.line.render import Rendered
from bridge.model.broadcast import Asked
from bridge.model.event import Event


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """The events of a recording, as if they happened now to the account.

    `foreign` says why the account's own options could not read it, so that those of the recording did.
    """

    events: tuple[Event, ...]
    foreign: str | None = None


def read_for(recording: Recording, known: Known, now: datetime, files_at: str) -> Read:
    """What the recording says to the account, as if it happened `now`.

    Who signed it is not asked, because the secrets are the recording's.

    `files_at` is where the files that came with it would be kept. Raises BridgeError where it cannot be read.
    """
    webhook = replace(recording.webhook, account=known.account.name)
    foreign = None
    try:
        notice = _parse(webhook, known.account, known)
    except Refused as refused:
        if recording.options is None:
            raise BridgeError(f"{recording.name}: would be refused ({refused.status}): {refused.message}") from None
        foreign = refused.message
        notice = _as_recorded(recording, known)
    return Read(events=tuple(_moved(event, now, files_at) for event in notice.events), foreign=foreign)


def suits(recording: Recording, known: Known) -> bool:
    """Whether the account's own options can read an event from it."""
    try:
        return bool(_parse(replace(recording.webhook, account=known.account.name), known.account, known).events)
    except Refused:
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """What an event came to: the rules that fired, what they would send, and the broadcasts they would start."""

    rules: tuple[str, ...]
    replies: tuple[Rendered, ...]
    started: tuple[Asked, ...]


def simulate(read: Read, behaviour: Behaviour, now: datetime) -> Iterator[tuple[Event, Tried]]:
    """What the rulebook would do about the events, one after the other; each sees what those before it left.

    A contact is quiet after each, so that no burst is waited for.
    """
    rehearsal = Rehearsal(behaviour, now)
    for event in read.events:
        verdicts = [*rehearsal.hear(event), *rehearsal.end_bursts()]
        rules = dict.fromkeys(rule for verdict in verdicts for rule in fired_in(verdict))
        replies = tuple(one for verdict in verdicts for one in verdict.rendered)
        started = tuple(one for verdict in verdicts for one in verdict.asked)
        yield event, Tried(rules=tuple(rules), replies=replies, started=started)


def _as_recorded(recording: Recording, known: Known) -> Notice:
    """Read with the options of the account for which it was recorded."""
    webhook = replace(recording.webhook, account=known.account.name)
    options = {**(recording.options or {}), "name": known.account.name, "platform": known.adapter.name}
    try:
        return _parse(webhook, known.adapter.account.model_validate(options), known)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise BridgeError(f"{recording.name}: account.{where}: {error.errors()[0]['msg']}") from None
    except Refused as refused:
        raise BridgeError(f"{recording.name}: would be refused ({refused.status}): {refused.message}") from None


def _parse(webhook: Webhook, account: Account, known: Known) -> Notice:
    """Raises Refused, also for what lacks a header of which `verify`, that is not asked here, would have made sure."""
    try:
        notice: Notice = known.adapter.parse(webhook, account)
    except KeyError as error:
        raise Refused(400, f"{error.args[0]}: missing") from None
    return notice


def _moved(event: Event, at: datetime, files_at: str) -> Event:
    file = event.attachment
    if file is not None and file.url is None:
        file = replace(file, url=f"{files_at}/attachments/simulated/{file.name}")
    return replace(event, at=at, attachment=file)
