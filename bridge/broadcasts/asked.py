"""Audiences that a platform is asked for, a page at a time."""

from collections.abc import AsyncIterator

from bridge.broadcasts.plan import Plan, PlanError, sender_of
from bridge.line.accounts import Accounts
from bridge.line.audience import Audiences
from bridge.model.broadcast import Batch


class AskedPeople:
    """Asks for them by the account that sends, because their addresses are its own."""

    def __init__(self, audiences: Audiences, accounts: Accounts) -> None:
        self._audiences = audiences
        self._accounts = accounts

    async def read(self, plan: Plan, cursor: str | None) -> AsyncIterator[Batch]:
        """The people after `cursor`. Raises PlanError and NotToldError."""
        known, asked = sender_of(plan, self._accounts), plan.asked
        if asked is None:
            raise PlanError("the audience is none that a platform can be asked for")
        while True:
            page = await self._audiences.page(known, asked, cursor)
            cursor = page.cursor
            yield page
            if cursor is None:
                return
