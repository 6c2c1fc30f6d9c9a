"""Compose: what one recipient of a broadcast gets, or why they get nothing. Nothing is sent here."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from functools import lru_cache

from bridge.broadcasts.plan import Plan
from bridge.errors import BridgeError
from bridge.line.accounts import Accounts
from bridge.model.broadcast import Recipient
from bridge.model.delivery import Reason, Reply, State
from bridge.model.facts import CONTACT_FIELDS
from bridge.store.page import Kind, alias
from bridge.store.plan import Planned
from bridge.store.rows import NOTHING_TO_SAY, dump
from bridge.templating import Expression, Template, Templates

UNSUBSCRIBED, BLOCKED = "unsubscribed", "blocked"
"""Facts of a contact's memory because of which nobody is written to."""

_NAMING = (str, int)
"""The types of values by which somebody may be known."""

Whose = tuple[Sequence[str], Sequence[str]]
"""Where what is remembered of a person may be: keys of memories, and other names."""


class Composer:
    """Composes for the recipients of one plan. Raises BridgeError where its templates or expressions cannot be used."""

    def __init__(self, plan: Plan, accounts: Accounts, zone: tzinfo) -> None:
        self._plan = plan
        self._accounts = [known.account.name for known in accounts]
        self._templates = Templates.of(plan.sources, timezone=zone)
        self._by_language: dict[str | None, Template] = {}
        self._skip_if: Expression | None = None
        if plan.skip_if is not None:
            place, text = plan.skip_if
            self._skip_if = self._templates.expression(text, place)
        self._template(None)

    def whose(self, recipient: Recipient) -> Whose:
        """Where what is remembered of a recipient may be: where they were met, then with the sender's account by its
        ids and conversations, then with any by e-mail address and telephone number."""
        via, address = self._plan.via, recipient.address
        own = {} if recipient.memory is None else {recipient.memory: None}
        everywhere: dict[tuple[Kind, str], None] = {}
        for some in (recipient.variables, address):
            for name, value in some.items():
                if not isinstance(value, _NAMING) or isinstance(value, bool):
                    continue
                if name in address or name == "id":
                    own[f"contact/{via}/{value}"] = own[f"contact/{via}/conversation:{value}"] = None
                text = str(value)
                if "@" in text:
                    everywhere["email", text] = None
                elif _is_phone(name):
                    everywhere["phone", text] = None
        keys = [f"contact/{account}/{value}" for _, value in everywhere for account in self._accounts]
        return [*own, *keys], [alias(kind, value) for kind, value in everywhere]

    def compose(self, recipient: Recipient, memories: Sequence[Mapping[str, object]], now: datetime) -> Planned:
        """What the recipient gets; `memories` are what is remembered of them, in the order of `whose`."""
        memory = _as_one(memories)
        names = self._names(recipient, memory, now)
        try:
            skipped = recipient.skip or self._skipped(names, memory)
            text, template = "", None
            if skipped is None:
                template = self._template(recipient.language)
                text = template.render(names)
                skipped = None if text else "the template says nothing for them"
        except BridgeError as error:
            return _planned(recipient, state="dead", reason="template", detail=str(error))
        if skipped is not None or template is None:
            return _planned(recipient, state="cancelled", detail=skipped)
        return _planned(recipient, reply=dump(Reply(text=text, format=template.format)))

    def _names(self, recipient: Recipient, memory: Mapping[str, object], now: datetime) -> Mapping[str, object]:
        columns = {**recipient.address, **recipient.variables}
        contact = {name: columns[name] for name in CONTACT_FIELDS if name in columns}
        if recipient.language is not None:
            contact["language"] = recipient.language
        return {
            **self._plan.variables,
            **columns,
            "contact": {**contact, "memory": memory},
            "memory": memory,
            "broadcast": {"name": self._plan.broadcast},
            "now": now,
        }

    def _skipped(self, names: Mapping[str, object], memory: Mapping[str, object]) -> str | None:
        if self._plan.only:
            # Whoever sends it to themselves wants to see it, whatever became of the person it is worded for.
            return None
        if memory.get(UNSUBSCRIBED):
            return "opted out"
        if memory.get(BLOCKED):
            return "blocked"
        if self._skip_if is not None and self._skip_if(names):
            return f"skip_if: {self._plan.skip_if[1] if self._plan.skip_if else ''}"
        return None

    def _template(self, language: str | None) -> Template:
        found = self._by_language.get(language)
        if found is None:
            wording = self._plan.wording
            if wording.template is None:
                found = self._templates.inline(wording.text or "", wording.place)
            else:
                found = self._templates.file(wording.template, wording.place, language=language)
            if len(self._by_language) < 1000:
                self._by_language[language] = found
        return found


def _as_one(memories: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
    """One memory of a person who is remembered in several places: of a fact the first that knows it counts. Who has
    said no anywhere has said no."""
    if not memories:
        return {}
    one = {name: fact for memory in reversed(memories) for name, fact in memory.items()}
    for no in (UNSUBSCRIBED, BLOCKED):
        if said := next((memory[no] for memory in memories if memory.get(no)), None):
            one[no] = said
    return one


@lru_cache(maxsize=1024)
def _is_phone(name: str) -> bool:
    """Whether a column holds telephone numbers, by what it is called; an e-mail address is known by its look."""
    called = name.casefold()
    return "phone" in called or called in ("tel", "msisdn", "whatsapp")


def _planned(
    recipient: Recipient,
    *,
    reply: str = NOTHING_TO_SAY,
    state: State = "queued",
    reason: Reason | None = None,
    detail: str | None = None,
) -> Planned:
    return Planned(
        person=recipient.key,
        to=recipient.address,
        zone=recipient.zone,
        line=recipient.line,
        reply=reply,
        state=state,
        reason=reason,
        detail=detail,
    )
