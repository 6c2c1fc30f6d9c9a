"""Everybody whom the bridge has met and a condition holds for."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from bridge.broadcasts.people import CHUNK
from bridge.broadcasts.person import key_of, uncased
from bridge.broadcasts.plan import Plan, PlanError
from bridge.clock import Clock
from bridge.errors import Problem
from bridge.line.accounts import Accounts
from bridge.model.broadcast import Batch, Recipient
from bridge.model.conversation import Conversation, Memory, Scope
from bridge.model.event import Address, Event
from bridge.model.facts import CONTACT_FIELDS, Facts
from bridge.model.rule import Calendar
from bridge.model.wording import Condition
from bridge.rulebook.calendars import Hours
from bridge.rulebook.conditions import All
from bridge.rulebook.schema import WhenForm
from bridge.rulebook.when import Compiling, compile_when
from bridge.rulebook.wording import validate
from bridge.rulebook.yaml import read
from bridge.store.met import Met, met
from bridge.store.page import contact_key
from bridge.templating import Templates

Look = Callable[[Callable[[Connection], Sequence[Met]]], Awaitable[Sequence[Met]]]


class MetPeople:
    """Reads them from the store; `calendars` are those that conditions may ask for."""

    def __init__(
        self,
        look: Look,
        accounts: Accounts,
        clock: Clock,
        zone: ZoneInfo,
        calendars: Callable[[], Mapping[str, Calendar]],
    ) -> None:
        self._look = look
        self._accounts = accounts
        self._clock = clock
        self._zone = zone
        self._calendars = calendars

    async def read(self, plan: Plan, cursor: str | None) -> AsyncIterator[Batch]:
        """The people after `cursor`. Raises PlanError."""
        when, after = self._condition(plan), cursor or ""
        while True:
            found = await self._look(partial(met, after=after, accounts=plan.met or (), most=CHUNK))
            full = len(found) == CHUNK
            after = found[-1][0] if found else after
            people = [one for each in found if (one := self._recipient(plan, when, *each[1:])) is not None]
            yield Batch(people=people, cursor=after if full else None)
            if not full:
                return

    def _condition(self, plan: Plan) -> Condition:
        if plan.met_when is None:
            return All()
        problems: list[Problem] = []
        node = read(plan.met_when.encode(), "met.when")
        form = None if node is None else validate(WhenForm, node)[0]
        if node is None or form is None:
            raise PlanError("the condition of the audience cannot be read any more")
        expression = Templates(timezone=self._zone).expression
        calendars = {name: one for name, one in self._calendars().items() if isinstance(one, Hours)}
        compiling = Compiling(expression=expression, calendars=calendars, zone=self._zone, problems=problems)
        condition = compile_when(form, node, compiling)
        if problems:
            raise PlanError(f"the condition of the audience: {problems[0].message}")
        return condition

    def _recipient(
        self, plan: Plan, when: Condition, conversation: Conversation, memory: Memory, of_contact: Memory
    ) -> Recipient | None:
        """Somebody of the audience; None: the condition does not hold for them."""
        now = self._clock.now()
        event = _nothing_happened(conversation)
        memories: dict[Scope, Memory] = {"conversation": memory, "contact": of_contact}
        facts = Facts(event=event, conversation=conversation.seen_at(now), now=now, memories=memories)
        if not when.holds(facts, {}):
            return None
        contact = conversation.contact
        address = self._address(plan, conversation)
        known = {name: value for name in CONTACT_FIELDS if (value := getattr(contact, name)) is not None}
        who = contact.id or contact.email or contact.phone or conversation.id
        key = f"{conversation.account}/{uncased(who)}"
        if address is not None and conversation.account != plan.via:
            # The same person may have been met by several accounts, and gets it by one.
            key = key_of(address)
        return Recipient(
            key=key,
            address=address or {},
            skip=f"account {plan.via} has no address of theirs" if address is None else None,
            variables={**known, "account": conversation.account},
            language=contact.language,
            memory=contact_key(conversation.account, conversation.id, contact),
        )

    def _address(self, plan: Plan, conversation: Conversation) -> Address | None:
        if conversation.account == plan.via:
            return conversation.address
        known = self._accounts.get(plan.via)
        for key, path in known.account.identity.items() if known else ():
            value = getattr(conversation.contact, path.removeprefix("contact."), None)
            if value is not None:
                return {key: value}
        return None


def _nothing_happened(conversation: Conversation) -> Event:
    return Event(
        account=conversation.account,
        platform="",
        kind="other",
        sender="system",
        conversation=conversation.id,
        key="broadcast",
        at=conversation.last_at,
        address=conversation.address,
    )
