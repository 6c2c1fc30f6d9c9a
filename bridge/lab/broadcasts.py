"""What the rule files alone cannot know of broadcasts: accounts, templates with their variables, and audience files."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from bridge.broadcasts.audience_file import AudienceError, AudienceFile
from bridge.broadcasts.schedule import never_fires
from bridge.errors import Problem, RulebookError, did_you_mean
from bridge.line.accounts import Accounts, Known
from bridge.model.broadcast import Audience, Broadcast, ChaynsAudience, FileAudience, HelpCrunchAudience, MetAudience
from bridge.model.rule import BroadcastAction, Rulebook, numbered
from bridge.templating import Template, Templates

ALWAYS = frozenset({"contact", "contact.memory", "memory", "broadcast", "broadcast.name", "now"})
"""What a template of a broadcast knows whoever gets it."""


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
        columns: tuple[str, ...] | None = None
        if known is not None and audience is not None:
            yield from _address(broadcast, audience, known)
            columns, problem = _columns(broadcast, audience, known, directory)
            yield from () if problem is None else (problem,)
        given = frozenset(_started_with(rulebook, broadcast.name))
        yield from _wording(broadcast, templates, columns, given)


def _started_with(rulebook: Rulebook, name: str) -> Iterator[str]:
    """The variables that every rule which starts it gives; none where a person or a schedule may start it without."""
    for rule in rulebook.rules:
        for _, action in numbered(rule.do):
            if isinstance(action, BroadcastAction) and action.name == name:
                yield from action.variables


def _address(broadcast: Broadcast, audience: Audience, known: Known) -> Iterator[Problem]:
    keys = known.adapter.to_keys
    for key in broadcast.to:
        if keys and key not in keys:
            near = did_you_mean(key, keys) or f"; it knows {', '.join(keys)}"
            yield Problem(place=broadcast.place, message=f'to: {known.adapter.name} knows no "{key}"{near}')
    if isinstance(audience, HelpCrunchAudience) or (isinstance(audience, ChaynsAudience) and audience.each):
        what = "a search of HelpCrunch" if isinstance(audience, HelpCrunchAudience) else "each member of a UAC group"
        message = f"{what} is no audience in this version: write its people to a file"
        yield Problem(place=broadcast.place, message=message)
    platform = {HelpCrunchAudience: "helpcrunch", ChaynsAudience: "chayns"}.get(type(audience))
    if isinstance(audience, HelpCrunchAudience | ChaynsAudience) and audience.account != broadcast.via:
        message = f"the audience {broadcast.audience} is of account {audience.account}, and {broadcast.via} sends it"
        yield Problem(place=broadcast.place, message=message)
    elif platform is not None and known.adapter.name != platform:
        message = f"{broadcast.via} is an account of {known.adapter.name}, and the audience is one of {platform}"
        yield Problem(place=broadcast.place, message=message)


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


def _wording(
    broadcast: Broadcast, templates: Templates, columns: tuple[str, ...] | None, given: frozenset[str]
) -> Iterator[Problem]:
    wording = broadcast.wording
    try:
        found = list(_templates(broadcast, templates))
    except RulebookError as error:
        yield from error.problems
        return
    for template in found if columns is not None else ():
        for name in sorted(template.names):
            first = name.partition(".")[0]
            if first in ALWAYS or first in given or first in (columns or ()):
                continue
            where = template.where(name)
            place = wording.place
            if where is not None:
                place = type(place)(file=where[0], line=where[1], column=1)
            near = did_you_mean(first, columns or ()) or f"; there are {', '.join((columns or ())[:20])}"
            yield Problem(place=place, message=f'the audience {broadcast.audience} has no column "{first}"{near}')


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
