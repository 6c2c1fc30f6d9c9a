"""Decide: what one event, or a timer that is due, comes to, on an open page.

    match -> render -> enqueue

The line decides on a ledger's page and commits it; the lab decides on a page of its own and sends nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from bridge.clock import from_ms, to_ms
from bridge.line.accounts import Accounts
from bridge.line.enqueue import enqueue
from bridge.line.match import Matched, match
from bridge.line.render import Done, Rendered, Renderer
from bridge.line.restraint import silenced
from bridge.model.broadcast import Asked
from bridge.model.conversation import BURST, LONGEST_BURST, MOST_TIMERS, Conversation, Memory, Scope, Timer
from bridge.model.delivery import Urgency
from bridge.model.event import Event
from bridge.model.facts import Facts
from bridge.model.rule import FollowUp, Match, Rule, Rulebook, inside
from bridge.store.page import Page
from bridge.store.rows import conversation_key


class Verdict(Struct, frozen=True, kw_only=True):
    """What came of an event: its number, the rules that fired, what they render and ask for, and the trace."""

    number: int
    event: Event
    rules: tuple[str, ...] = ()
    rendered: tuple[Rendered, ...] = ()
    asked: tuple[Asked, ...] = ()
    trace: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Behaviour:
    """The rulebook with the templates it renders, for the accounts that exist; swapped whole."""

    rulebook: Rulebook
    renderer: Renderer
    accounts: Accounts
    _bursts: Mapping[str, timedelta] = field(init=False)
    _rules: Mapping[str, Rule] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_bursts", dict(self._longest_bursts()))
        object.__setattr__(self, "_rules", {rule.name: rule for rule in self.rulebook.rules})

    def _longest_bursts(self) -> Mapping[str, timedelta]:
        found: dict[str, timedelta] = {}
        for known in self.accounts:
            name, own = known.account.name, known.account.burst
            waits = [own] if own else []
            waits += [
                rule.burst
                for rule in self.rulebook.rules
                if rule.burst and "message" in rule.on and (not rule.accounts or name in rule.accounts)
            ]
            if waits:
                found[name] = max(waits)
        return found

    def rule(self, name: str) -> Rule | None:
        return self._rules.get(name)

    def decide(self, page: Page, event: Event) -> Verdict | None:
        """What an event comes to, noted on the page; None for one that was recorded before."""
        if page.is_repeat(event):
            return None
        if page.is_ours(event):
            event = replace(event, sender="bot")
        before = page.facts(event)
        trace = _cancelled(page, event, before)
        number = page.next_event()
        quiet = self._bursts.get(event.account) if event.kind == "message" and event.sender == "contact" else None
        matched = match(self.rulebook, before, None if quiet is None else self._answers_at_once(event.account))
        done = self._fire(matched, before, (number,)) if matched.matches else None
        conversation = before.conversation
        if quiet is not None and not matched.stopped:
            conversation = _in_a_burst(conversation, number, page.at, quiet)
            trace = (*trace, {"burst": True})
        return self._note(page, event, before, conversation, done, matched, trace)

    def wake(self, page: Page, key: str) -> list[Verdict]:
        """What the timers of a conversation come to that are due, the earliest first, each as an event of its own."""
        verdicts: list[Verdict] = []
        for timer in page.take_due(key):
            conversation = page.conversation(key)
            events = [event for number in timer.events if (event := page.event(number)) is not None]
            if conversation is None:
                continue
            woken = _woken(timer, conversation, page)
            if not events:
                dropped = {"rule": timer.rule, "dropped": "what it was about is kept no more (store.retention)"}
                verdicts.append(self._note(page, woken, None, conversation, None, None, [dropped]))
                continue
            facts = page.facts_later(together(events), key)
            matched, done, trace = self._woken(timer, facts)
            if timer.rule == BURST and matched is not None and not matched.trace:
                # A burst that no rule answers leaves no record: its messages have theirs.
                continue
            urgency = self._urgency(timer)
            verdicts.append(self._note(page, woken, facts, conversation, done, matched, trace, urgency))
        return verdicts

    def _urgency(self, timer: Timer) -> Urgency:
        """Somebody waits for the answer to a burst, and for what comes after an operation; for a follow-up nobody."""
        rule = self._rules.get(timer.rule)
        return "follow_up" if rule is not None and isinstance(rule.action(timer.action), FollowUp) else "live"

    def _woken(
        self, timer: Timer, facts: Facts
    ) -> tuple[Matched | None, Done | None, tuple[Mapping[str, object], ...]]:
        """What a timer comes to: the answer to a burst, or a rule's later actions if its conditions still hold."""
        if timer.rule == BURST:
            waits = self._answers_at_once(facts.event.account)
            matched = match(self.rulebook, facts, lambda rule: not waits(rule))
            return matched, self._fire(matched, facts, timer.events), ()
        rule = self._rules.get(timer.rule)
        action = None if rule is None else rule.action(timer.action)
        if rule is None or action is None or not inside(action):
            return None, None, ({"rule": timer.rule, "dropped": "the rulebook has this follow-up no more"},)
        if isinstance(action, FollowUp):
            if (reason := rule.when.why_not(facts)) is not None:
                return None, None, ({"rule": rule.name, "after": timer.action, "no_more": reason},)
            if (reason := silenced(rule, facts)) is not None:
                return None, None, ({"rule": rule.name, "after": timer.action, "silent": reason},)
        of = Match(rule=rule, groups=timer.groups)
        done = self.renderer.perform(of, inside(action), f"{timer.action}.", facts, timer.events)
        return None, done, ({"rule": rule.name, "after": timer.action, "fired": True},)

    def _answers_at_once(self, account: str) -> "_AtOnce":
        known = self.accounts.get(account)
        return _AtOnce(all_wait=known is not None and bool(known.account.burst))

    def _fire(self, matched: Matched, facts: Facts, events: tuple[int, ...]) -> Done:
        if len(matched.matches) == 1:
            return self.renderer.render(matched.matches[0], facts, events)
        rendered: list[Rendered] = []
        timers: list[Timer] = []
        asked: list[Asked] = []
        for one in matched.matches:
            done = self.renderer.render(one, facts, events)
            rendered += done.rendered
            timers += done.timers
            asked += done.asked
            facts = done.facts
        return Done(rendered=tuple(rendered), timers=tuple(timers), asked=tuple(asked), facts=facts)

    def _note(
        self,
        page: Page,
        event: Event,
        before: Facts | None,
        conversation: Conversation,
        done: Done | None,
        matched: Matched | None,
        trace: Sequence[Mapping[str, object]],
        urgency: Urgency = "live",
    ) -> Verdict:
        """Write it all down on the page."""
        rules: tuple[str, ...] = ()
        traced = tuple(trace)
        if matched is not None and matched.trace:
            rules = tuple([one.rule.name for one in matched.matches])
            traced += matched.trace
        timers = () if done is None else done.timers
        if timers and len(conversation.timers) + len(timers) > MOST_TIMERS:
            traced = (*traced, {"dropped": f"a conversation has at most {MOST_TIMERS} follow-ups at a time"})
            timers = timers[: max(0, MOST_TIMERS - len(conversation.timers))]
        number = page.record(event, traced)
        page.keep(conversation.arm(*timers) if timers else conversation)
        if done is not None and before is not None:
            if done.facts is not before:
                page.remember(conversation, _changed(before, done.facts))
            enqueue(page, number, done.rendered, self.accounts, urgency)
            page.asked += done.asked
        rendered, asked = ((), ()) if done is None else (done.rendered, done.asked)
        return Verdict(number=number, event=event, rules=rules, rendered=rendered, asked=asked, trace=traced)


@dataclass(frozen=True, kw_only=True, slots=True)
class _AtOnce:
    """Whether a rule answers each message at once; where an account has a burst, all of its rules wait."""

    all_wait: bool

    def __call__(self, rule: Rule) -> bool:
        return not self.all_wait and rule.burst is None


def _changed(before: Facts, after: Facts) -> dict[Scope, Memory]:
    return {scope: memory for scope, memory in after.memories.items() if memory is not before.memories.get(scope)}


def _cancelled(page: Page, event: Event, facts: Facts) -> tuple[Mapping[str, object], ...]:
    """The trace of the timers that an event has cancelled."""
    before = page.conversation(conversation_key(event.account, event.conversation))
    if before is None or len(before.timers) == len(facts.conversation.timers):
        return ()
    kept = {(timer.rule, timer.action, timer.events) for timer in facts.conversation.timers}
    gone = [timer for timer in before.timers if (timer.rule, timer.action, timer.events) not in kept]
    return tuple({"rule": timer.rule, "after": timer.action, "cancelled": True} for timer in gone)


def _in_a_burst(conversation: Conversation, number: int, at: int, quiet: timedelta) -> Conversation:
    """The conversation with one more message in the burst that it has, or in a new one."""
    open_one = next((timer for timer in conversation.timers if timer.rule == BURST), None)
    if open_one is not None:
        rest = tuple(timer for timer in conversation.timers if timer is not open_one)
        longer = replace(open_one.extended(at), events=(*open_one.events, number))
        return replace(conversation, timers=(*rest, longer))
    wait = round(min(quiet, LONGEST_BURST).total_seconds() * 1000)
    return conversation.arm(Timer(rule=BURST, action="", due=at + wait, since=at, events=(number,), quiet=wait))


def together(events: Sequence[Event]) -> Event:
    """Several messages as one: the last, with all texts."""
    if len(events) == 1:
        return events[0]
    texts = tuple(event.text for event in events if event.text is not None)
    return replace(events[-1], text="\n".join(texts), messages=texts)


def _woken(timer: Timer, conversation: Conversation, page: Page) -> Event:
    """The event that a timer is, for the record."""
    what = "burst" if timer.rule == BURST else f"{timer.rule}/{timer.action}"
    return Event(
        account=conversation.account,
        platform="",
        kind="timer",
        sender="system",
        conversation=conversation.id,
        key=f"timer/{what}/{timer.since}/{timer.events[0]}",
        at=from_ms(max(timer.due, to_ms(page.now))),
        address=conversation.address,
        raw={"rule": timer.rule, "action": timer.action, "events": list(timer.events)},
    )
