"""Audience: ask a platform who is in one of its lists, a page at a time, within the budget of the account."""

from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from bridge.adapter.http import Door
from bridge.adapter.protocol import HttpAnswer, Post, Steps
from bridge.chance import Chance
from bridge.clock import Clock
from bridge.errors import BridgeError
from bridge.line.accounts import Accounts, Known
from bridge.line.pace import Pace
from bridge.model.broadcast import Audience, Batch
from bridge.model.delivery import Failed, Outcome, Sent, Urgency, backoff
from bridge.model.quantity import say_count
from bridge.observe import log

BY: Urgency = "broadcast"
"""How urgent such questions are: live replies go first, and the even pace of broadcasts is theirs too."""


class NotToldError(BridgeError):
    """The platform does not say who is in an audience."""


class Calls(Protocol):
    """Whoever sees to it that an account makes no more calls than it may."""

    async def turn(self, account: str, urgency: Urgency) -> None:
        """Wait until the account may make one more call."""
        ...

    def heard(self, account: str, outcome: Outcome, due_at: datetime | None) -> None:
        """What came of a call, and when it is made again: a platform that wants to be left alone is left alone."""
        ...


class Audiences:
    """Asks platforms for people. What passes by itself is tried again as long as a delivery would be, or `within`."""

    def __init__(
        self, *, door: Door, calls: Calls, clock: Clock, chance: Chance, within: timedelta | None = None
    ) -> None:
        self._door = door
        self._calls = calls
        self._clock = clock
        self._chance = chance
        self._within = within

    async def page(self, known: Known, asked: Audience, cursor: str | None) -> Batch:
        """The next people of an audience after `cursor`. Raises NotToldError."""
        name, until = known.account.name, self._clock.now() + (self._within or known.account.expires)
        tried = 0
        while True:
            answer = await self._ask(known, asked, cursor)
            if isinstance(answer, Batch):
                self._calls.heard(name, Sent(), None)
                return answer
            tried += 1
            now = self._clock.now()
            due_at = now + max(self._wait(tried), timedelta(seconds=answer.retry_after or 0))
            self._calls.heard(name, answer, due_at)
            if answer.permanent or due_at > until:
                gave_up = "" if answer.permanent else f", after {say_count(tried, 'try', 'tries')}"
                raise NotToldError(f"accounts.{name}: the audience cannot be asked for: {answer.detail}{gave_up}")
            at = due_at.isoformat(timespec="seconds")
            log(account=name).warning("an audience cannot be asked for; trying again", detail=answer.detail, at=at)
            await self._clock.sleep((due_at - now).total_seconds())

    def _wait(self, tried: int) -> timedelta:
        return backoff(tried, self._chance.between(0.5, 1))

    async def _ask(self, known: Known, asked: Audience, cursor: str | None) -> Batch | Failed:
        people = known.adapter.audience
        if people is None:
            detail = f"{known.adapter.name} has no list of people"
            return Failed(reason="invalid", detail=detail, permanent=True)
        pages, found = people.page(asked, known.account, cursor), list[Batch]()

        def steps() -> Steps:
            page = yield from pages
            if isinstance(page, Failed):
                return page
            found.append(page)
            return Sent()

        await self._calls.turn(known.account.name, BY)
        turn = partial(self._calls.turn, known.account.name, BY)
        try:
            outcome, _ = await self._door.drive(steps(), _no_mailbox, known.account.timeout, turn)
        except Exception as error:  # noqa: BLE001
            # A fault of an adapter must not stop the runs of other broadcasts.
            log(account=known.account.name).exception("the adapter failed", platform=known.adapter.name)
            return Failed(reason="invalid", detail=f"the adapter failed: {type(error).__name__}", permanent=True)
        if found:
            return found[0]
        detail = "" if isinstance(outcome, Sent) else outcome.detail
        return outcome if isinstance(outcome, Failed) else Failed(reason="network", detail=detail)


async def _no_mailbox(mail: Post) -> HttpAnswer:
    return HttpAnswer(status=404)


class OwnCalls:
    """The calls of a program beside the server, which neither knows of the other's.

    It goes at the even pace of broadcasts, and so leaves room to the server's live replies.
    """

    def __init__(self, clock: Clock, accounts: Accounts) -> None:
        self._clock = clock
        self._paces = {known.account.name: Pace(clock, known.account.budget) for known in accounts}

    async def turn(self, account: str, urgency: Urgency) -> None:
        pace = self._paces[account]
        while (wait := pace.wait(urgency)) > 0:
            await self._clock.sleep(wait)
        pace.took()

    def heard(self, account: str, outcome: Outcome, due_at: datetime | None) -> None:
        """Nobody else has to wait: the only one who calls waits longer and longer by itself."""
