"""What the rule files alone cannot know of broadcasts: accounts, templates with their variables, and audience files."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from bridge.broadcasts.audience_file import AudienceError, AudienceFile
from bridge.broadcasts.columns import MET
from bridge.broadcasts.schedule import never_fires
from bridge.errors import Place, Problem, RulebookError, did_you_mean
from bridge.lab.dry_run import refusal_of_audience
from bridge.line.accounts import Accounts, Known
from bridge.model.broadcast import (
    Audience,
    Broadcast,
    ByHand,
    ChaynsAudience,
    FileAudience,
    HelpCrunchAudience,
    MetAudience,
)
from bridge.model.facts import CONTACT_FIELDS
from bridge.model.rule import BroadcastAction, Rulebook, numbered
from bridge.templating import Template, Templates

ALWAYS = frozenset({"contact", "contact.memory", "memory", "broadcast", "broadcast.name", "now"})
"""What a template of a broadcast knows whoever gets it."""
_FROM_COLUMNS = frozenset(CONTACT_FIELDS) - {"language"}
"""What `contact` has where the columns say it."""


class _People(Struct, frozen=True, kw_only=True):
    """The variables that people of an audience may have, and those that everybody there has."""

    may_have: tuple[str, ...]
    have: frozenset[str]


class _Given(Struct, frozen=True, kw_only=True):
    """The variables that some of what starts a broadcast gives, and those that all of it does: rules, a schedule."""

    sometimes: frozenset[str]
    always: frozenset[str]


def check_broadcasts(
    rulebook: Rulebook, templates: Templates, accounts: Accounts, directory: Path | None, now: datetime | None
) -> Iterator[Problem]:
    """`directory` is what the paths of audience files are relative to; none: they are not looked at.

    Without `now` nobody asks whether a schedule will ever fire.
    """
    yield from _check_met(rulebook, accounts)
    for broadcast in rulebook.broadcasts.values():
        audience = rulebook.audiences.get(broadcast.audience)
        known = accounts.get(broadcast.via)
        if known is None:
            near = did_you_mean(broadcast.via, [one.account.name for one in accounts])
            yield Problem(place=broadcast.place, message=f'"via: {broadcast.via}" names no account{near}')
        why = None if now is None else never_fires(broadcast.schedule, now, broadcast.clock_change)
        if why is not None:
            yield Problem(place=broadcast.schedule_place, message=f"it never goes out: {why}", warning=True)
        people: _People | None = None
        if known is not None and audience is not None:
            yield from _address(broadcast, audience, known)
            people, problem = _known_of(broadcast, audience, known, directory)
            yield from () if problem is None else (problem,)
        yield from _wording(broadcast, templates, people, _started_with(rulebook, broadcast))


def _started_with(rulebook: Rulebook, broadcast: Broadcast) -> _Given:
    """What rules give it; a person who starts it by hand gives what its templates need."""
    starts = (action for rule in rulebook.rules for _, action in numbered(rule.do))
    given = [
        frozenset(action.variables)
        for action in starts
        if isinstance(action, BroadcastAction) and action.name == broadcast.name
    ]
    if not isinstance(broadcast.schedule, ByHand):
        given.append(frozenset())
    return _Given(sometimes=frozenset().union(*given), always=frozenset.intersection(*given) if given else frozenset())


def _address(broadcast: Broadcast, audience: Audience, known: Known) -> Iterator[Problem]:
    keys = known.adapter.to_keys
    for key in broadcast.to:
        if keys and key not in keys:
            near = did_you_mean(key, keys) or f"; it knows {', '.join(keys)}"
            yield Problem(place=broadcast.place, message=f'to: {known.adapter.name} knows no "{key}"{near}')
    if broadcast.to and not isinstance(audience, FileAudience):
        message = f'"to" names the columns of a file, and the audience {broadcast.audience} is none: leave it out'
        yield Problem(place=broadcast.place, message=message)
    platform = {HelpCrunchAudience: "helpcrunch", ChaynsAudience: "chayns"}.get(type(audience))
    if isinstance(audience, HelpCrunchAudience | ChaynsAudience) and audience.account != broadcast.via:
        message = f"the audience {broadcast.audience} is of account {audience.account}, and {broadcast.via} sends it"
        yield Problem(place=broadcast.place, message=message)
    elif platform is not None and known.adapter.name != platform:
        message = f"{broadcast.via} is an account of {known.adapter.name}, and the audience is one of {platform}"
        yield Problem(place=broadcast.place, message=message)
    elif platform is not None and (why := refusal_of_audience(audience, known)) is not None:
        yield Problem(place=broadcast.place, message=f"audience {broadcast.audience}: {why}")


def _known_of(
    broadcast: Broadcast, audience: Audience, known: Known, directory: Path | None
) -> tuple[_People | None, Problem | None]:
    """What is known of everybody in an audience, as far as that can be told beforehand."""
    if isinstance(audience, FileAudience):
        columns, problem = _columns(broadcast, audience, known, directory)
        return (None if columns is None else _People(may_have=columns, have=frozenset(columns))), problem
    people = known.adapter.audience
    if isinstance(audience, MetAudience):
        # Which of these they certainly have, its condition and the account's identity say in too many ways.
        knows = (*MET, *known.adapter.to_keys)
        return _People(may_have=knows, have=frozenset(knows)), None
    if people is None:
        return None, None
    if isinstance(audience, ChaynsAudience) and not audience.each:
        # One message goes to all of them, so it can say nothing about anybody.
        return _People(may_have=(), have=frozenset()), None
    return _People(may_have=people.knows, have=frozenset(people.always)), None


def _columns(
    broadcast: Broadcast, audience: Audience, known: Known, directory: Path | None
) -> tuple[tuple[str, ...] | None, Problem | None]:
    """The columns of an audience file, as far as its header tells them; and what is wrong with it.

    A file that is not there yet is a warning: it may be written just before the broadcast goes out.
    """
    if not isinstance(audience, FileAudience) or directory is None:
        return None, None
    try:
        with AudienceFile(audience, directory, to=broadcast.to, keys=known.adapter.to_keys) as file:
            return (file.columns or None), None
    except AudienceError as error:
        missing = not (directory / audience.path).exists()
        return None, Problem(place=broadcast.place, message=f"audience {broadcast.audience}: {error}", warning=missing)


def _wording(broadcast: Broadcast, templates: Templates, people: _People | None, given: _Given) -> Iterator[Problem]:
    try:
        found = list(_templates(broadcast, templates))
    except RulebookError as error:
        yield from error.problems
        return
    for template in found:
        needs = template.needs.union(name for _, name in template.within)
        for name in sorted(template.names):
            wrong = None if people is None else _missing(broadcast.audience, name, needs, people)
            first = name.partition(".")[0]
            if wrong is not None and first in given.sometimes:
                wrong = _not_given(broadcast, first) if name in template.needs and first not in given.always else None
            if wrong is not None:
                yield Problem(place=_place(broadcast, template, name), message=wrong)


def _not_given(broadcast: Broadcast, name: str) -> str:
    return f'not all that starts {broadcast.name} gives "{name}" (a schedule gives nothing): give it a default'


def _missing(audience: str, name: str, needs: frozenset[str], people: _People) -> str | None:
    """What is wrong with a variable: nobody has it, or not everybody, and there is no default."""
    first, _, rest = name.partition(".")
    optional = f'not everybody in the audience {audience} has "{name}": give it a default'
    if first == "contact" and rest in _FROM_COLUMNS:
        return optional if name in needs and rest not in people.have else None
    if first in ALWAYS:
        return None
    if first in people.may_have:
        # What may be missing as a whole is told once, and not again with each of its parts.
        told = bool(rest) and first not in people.have
        return optional if name in needs and name not in people.have and not told else None
    near = did_you_mean(first, people.may_have) or f"; there are {', '.join(people.may_have[:20]) or 'none'}"
    return None if rest else f'the audience {audience} has no column "{first}"{near}'


def _place(broadcast: Broadcast, template: Template, name: str) -> Place:
    where = template.where(name)
    return broadcast.wording.place if where is None else Place(file=where[0], line=where[1], column=1)


def _templates(broadcast: Broadcast, templates: Templates) -> Iterator[Template]:
    """The template of a broadcast and its translations. Raises RulebookError."""
    wording = broadcast.wording
    if wording.template is None:
        yield templates.inline(wording.text or "", wording.place)
        return
    for variant in templates.variants(wording.template) or (wording.template,):
        yield templates.file(variant, wording.place)


def _check_met(rulebook: Rulebook, accounts: Accounts) -> Iterator[Problem]:
    """Audiences of people whom accounts have met that there are not."""
    for broadcast in rulebook.broadcasts.values():
        audience = rulebook.audiences.get(broadcast.audience)
        for name in audience.accounts if isinstance(audience, MetAudience) else ():
            if accounts.get(name) is None:
                near = did_you_mean(name, [one.account.name for one in accounts])
                yield Problem(place=broadcast.place, message=f"audience {broadcast.audience}: no account {name}{near}")
