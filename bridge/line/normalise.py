"""Normalise: a webhook becomes events, with its files kept, and the answer its platform expects."""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from bridge.adapter.protocol import Notice, Standing, Webhook
from bridge.clock import Clock
from bridge.line.accounts import Known
from bridge.line.attachments import Attachments
from bridge.model.event import Event, whole
from bridge.model.rule import Rulebook
from bridge.store.look import Kept, count_open
from bridge.store.store import Store


class Normal(Struct, frozen=True, kw_only=True):
    """A notice whose events are whole, and the files that were kept for them."""

    notice: Notice
    files: tuple[Kept, ...] = ()


class Normaliser:
    def __init__(self, attachments: Attachments, store: Store, clock: Clock) -> None:
        self._attachments = attachments
        self._store = store
        self._clock = clock

    def normalise(self, webhook: Webhook, known: Known) -> Notice:
        """The notice in a webhook, its events whole unless it has uploads, which are to be kept. Raises Refused."""
        notice: Notice = known.adapter.parse(webhook, known.account)
        if notice.uploads:
            return notice
        # Nearly all are whole, and stay the same objects.
        events = tuple(map(whole, notice.events))
        return notice if events == notice.events else replace(notice, events=events)

    async def keep(self, notice: Notice, known: Known) -> Normal:
        """The same with its uploads kept on disk, its events whole. Raises StoreError."""
        uploads = iter(notice.uploads)
        events: list[Event] = []
        files: list[Kept] = []
        for event in notice.events:
            if event.kind == "attachment" and (upload := next(uploads, None)) is not None:
                attachment, kept = await self._attachments.keep(known.account.name, upload)
                event = replace(event, attachment=attachment)
                files.append(kept)
            events.append(whole(event))
        return Normal(notice=replace(notice, events=tuple(events), uploads=()), files=tuple(files))

    async def discard(self, files: Sequence[Kept]) -> None:
        """Delete files whose event was not recorded: it was a repeat, or could not be."""
        for kept in files:
            await self._attachments.discard(kept)

    async def standing(self, known: Known, rulebook: Rulebook) -> Standing:
        """What the bridge knows of the account now."""
        now = self._clock.now()
        calendar = rulebook.calendars.get(known.account.calendar or "")
        opened, waiting = await self._store.read(lambda connection: count_open(connection, known.account.name, now))
        return Standing(online=None if calendar is None else calendar.is_open(now), open=opened, waiting=waiting)
