"""A rehearsal: the line without its ends. Events come in at a moment, what the rules decide comes out, nothing is sent.

It decides by the same code as the server (`bridge.line.decide`), on a page that is never written. Time is the caller's:
timers that are due are done in their order when it is turned, so a follow-up of a day takes no time at all.
"""

from collections.abc import Mapping
from datetime import datetime
from heapq import heappop, heappush

from bridge.clock import from_ms
from bridge.line.decide import Behaviour, Verdict
from bridge.model.conversation import BURST, Conversation, Memory, Scope
from bridge.model.event import Event
from bridge.model.facts import Facts
from bridge.model.finding import facts_in
from bridge.store.page import Page
from bridge.store.rows import conversation_key


class Rehearsal:
    """`findings` are what operations find ("edna.client" -> its facts); one that is not named finds nothing.

    It is rehearsed on `page`, if one is given.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        at: datetime,
        findings: Mapping[str, object] | None = None,
        page: Page | None = None,
    ) -> None:
        self.behaviour = behaviour
        self.page = Page(at) if page is None else page
        self._findings = findings or {}
        # When the first timer of a conversation is due, and the same in order; what the two disagree about is over.
        self._due: dict[str, int] = {}
        self._order: list[tuple[int, str]] = []

    @property
    def now(self) -> datetime:
        return self.page.now

    def say(self, event: Event) -> Verdict | None:
        """Take in an event, at the moment it is now; None for a repeat."""
        verdict = self.behaviour.decide(self.page, event)
        if verdict is not None:
            self._after(verdict)
        return verdict

    def turn_to(self, moment: datetime) -> list[Verdict]:
        """Let time go on until `moment`; gives what the timers that fell due came to, in their order."""
        verdicts: list[Verdict] = []
        while (key := self._next_due(moment)) is not None:
            self.page.turn_to(max(self.page.now, from_ms(self._due.pop(key))))
            for verdict in self.behaviour.wake(self.page, key):
                verdicts.append(verdict)
                self._after(verdict)
            self._note_timers(key)
        if moment > self.page.now:
            self.page.turn_to(moment)
        return verdicts

    def settle(self) -> list[Verdict]:
        """What is due at this very moment: what comes after operations that are done."""
        return self.turn_to(self.page.now)

    def hear(self, event: Event) -> list[Verdict]:
        """Take in an event, and what is due at once because of it; empty for a repeat."""
        verdict = self.say(event)
        return [] if verdict is None else [verdict, *self.settle()]

    def end_bursts(self) -> list[Verdict]:
        """Let time go on until no contact is in the middle of a burst of messages."""
        known = (self.page.conversation(key) for key in self._due)
        ends = [timer.due for one in known if one is not None for timer in one.timers if timer.rule == BURST]
        return self.turn_to(from_ms(max(ends))) if ends else []

    def facts(self, event: Event) -> Facts:
        """What the rules would look at if this event came now."""
        return self.page.facts(event)

    def conversation(self, account: str, conversation: str) -> Conversation | None:
        return self.page.conversation(conversation_key(account, conversation))

    def begin_with(self, conversation: Conversation, memories: Mapping[Scope, Memory]) -> None:
        """Put a conversation and what is remembered on the page, as if it had been so before."""
        self.page.keep(conversation)
        self.page.remember(conversation, memories)

    def _after(self, verdict: Verdict) -> None:
        """Operations are done at once, and what they found is remembered."""
        event = verdict.event
        key = conversation_key(event.account, event.conversation)
        for one in verdict.rendered:
            command = one.command
            if command is not None and one.fault is None:
                found = self._findings.get(command.operation)
                self.page.learn(command.conversation, facts_in(found, command.keep), command.then)
        self._note_timers(key)

    def _note_timers(self, key: str) -> None:
        conversation = self.page.conversation(key)
        if conversation is None or not conversation.timers:
            self._due.pop(key, None)
            return
        due = min(timer.due for timer in conversation.timers)
        if self._due.get(key) != due:
            self._due[key] = due
            heappush(self._order, (due, key))

    def _next_due(self, moment: datetime) -> str | None:
        while self._order:
            due, key = self._order[0]
            if self._due.get(key) == due:
                return key if from_ms(due) <= moment else None
            heappop(self._order)
        return None
