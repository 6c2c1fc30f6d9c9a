"""`replybridge explain`: why each rule fired or not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from bridge.cli.options import AsJson, Config, settings_of
from bridge.cli.printing import cells, explained, moment, out, said, table, told, write_json
from bridge.cli.progress import reading
from bridge.cli.rulebook import conversation_of, findings_in, rulebook_in
from bridge.cli.wording import say_event, say_value
from bridge.clock import SystemClock
from bridge.errors import BridgeError, did_you_mean
from bridge.lab.diff import what_came, what_happened
from bridge.lab.events import MADE_UP, first_account, made_up, platform_of
from bridge.lab.explain import Asking, Explained, Opinion, explain, explain_made_up
from bridge.line.accounts import Accounts
from bridge.line.render import Rendered
from bridge.model.event import Event
from bridge.model.quantity import say_count
from bridge.settings import Settings
from bridge.store.recorded import Chosen, Past, recorded

_ROWS = 40
_WIDE = 120
_LISTED = 20
_STYLES = {"fired": "green", "limited": "yellow", "silent": "yellow", "waits": "yellow", "stopped": "yellow"}
_REST = {"other": "are for other events", "no": "for their conditions"}

Number = Annotated[
    int | None, typer.Argument(metavar="EVENT", min=1, help="The number of a recorded event; none: lists them.")
]
Text = Annotated[str | None, typer.Option("--text", help="Instead of a recorded event: a message with this text, now.")]
OfAccount = Annotated[
    str | None, typer.Option("--account", help="With --text or the list: the account to which it comes.")
]
OfConversation = Annotated[
    str | None, typer.Option("--conversation", help="With --text or the list: a recorded conversation.")
]
Whole = Annotated[
    bool, typer.Option("--whole", help="Rehearse all that is recorded before, not only the conversation.")
]
Found = Annotated[list[str] | None, typer.Option("--found", metavar="OPERATION=JSON", help="What an operation finds.")]
Everything = Annotated[bool, typer.Option("--all", help=f"All rules, not only the nearest {_ROWS}.")]


def explain_event(
    number: Number = None,
    config: Config = None,
    text: Text = None,
    account: OfAccount = None,
    conversation: OfConversation = None,
    whole: Whole = False,
    found: Found = None,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """Why did each rule fire or not? The present rules are asked, with the conversation as it was before the event.

    Beside it stands what was decided then. Nothing is sent, and nothing is kept.
    """
    with explained():
        settings = settings_of(config)
        if text is None and number is None:
            _list(settings, account, conversation, as_json=as_json)
            return
        _agree(number, text, account, conversation)
        findings = findings_in(found or ())
        behaviour = rulebook_in(settings)
        with reading("rehearsing") as progress:
            asking = Asking(behaviour=behaviour, whole=whole, findings=findings, progress=progress)
            if number is not None:
                result = _recorded(number, settings, asking)
            else:
                result = _made_up(text or "", account, conversation, settings, asking)
    if as_json:
        write_json(_as_json(result))
    else:
        _tell(result, None if everything else _ROWS)


def _agree(number: int | None, text: str | None, account: str | None, conversation: str | None) -> None:
    """Raises BridgeError where two things are asked about at once."""
    if text is not None and number is not None:
        raise BridgeError("explain either a recorded EVENT or a message of --text, not both")
    if number is not None and (account or conversation):
        raise BridgeError("--account and --conversation go with --text: a recorded event has its own")


def _recorded(number: int, settings: Settings, asking: Asking) -> Explained:
    with recorded(settings.store.url) as records:
        past = records.event(number)
        if past is None:
            raise BridgeError(f"there is no event {number}; `replybridge explain` alone lists the newest")
        return explain(records, past, asking)


def _made_up(text: str, account: str | None, conversation: str | None, settings: Settings, asking: Asking) -> Explained:
    accounts = asking.behaviour.accounts
    _known(account, accounts)
    name, talk = account or first_account(accounts), MADE_UP
    if conversation is None and not asking.whole:
        return explain_made_up(_message_in(name, talk, text, accounts), asking)
    with recorded(settings.store.url) as records:
        if conversation is not None:
            name, talk = conversation_of(records.called(conversation), conversation, account)
        return explain_made_up(_message_in(name, talk, text, accounts), asking, records)


def _message_in(account: str, conversation: str, text: str, accounts: Accounts) -> Event:
    platform, now = platform_of(account, accounts), SystemClock().now()
    return made_up({"message": text}, account=account, platform=platform, at=now, conversation=conversation)


def _known(account: str | None, accounts: Accounts) -> None:
    names = [known.account.name for known in accounts]
    if account is not None and account not in names:
        hint = did_you_mean(account, names) or (f"; there is {', '.join(names)}" if names else "")
        raise BridgeError(f"the settings have no account {account}{hint}")


def _list(settings: Settings, account: str | None, conversation: str | None, *, as_json: bool) -> None:
    with recorded(settings.store.url) as records:
        chosen = Chosen(account=account)
        if conversation is not None:
            name, talk = conversation_of(records.called(conversation), conversation, account)
            chosen = Chosen(account=name, conversation=talk)
        newest = records.newest(chosen, _LISTED)
    if as_json:
        for past in newest:
            write_json({**_event_as_json(past), "fired": _fired(past)})
        return
    if not newest:
        said("nothing is recorded yet" if account is None else f"nothing is recorded of account {account}")
        return
    whole = ("event", "came (UTC)", "account")
    listing = table(*whole, "conversation", "what", "rules that fired", whole=whole)
    for past in newest:
        what = say_value(_what_it_was(past.event))
        at = moment(past.at)
        listing.add_row(
            *cells(past.number, at, past.event.account, past.event.conversation, what, ", ".join(_fired(past)))
        )
    out.print(listing)
    said("replybridge explain EVENT says of each rule why")


def _what_it_was(event: Event) -> str:
    if event.kind != "timer":
        return f"{event.sender}: {what_happened(event)}"
    return f"a follow-up of rule {rule}" if (rule := event.raw.get("rule")) else "a burst of messages was over"


def _fired(past: Past) -> list[str]:
    return [str(step["rule"]) for step in past.trace if step.get("fired")]


def _tell(result: Explained, rows: int | None) -> None:
    for name, value in say_event(result.event):
        told("event" if name == "event" else name, f"{result.number}: {value}" if _numbered(name, result) else value)
    told("came", f"{moment(result.at)} UTC to account {result.event.account}")
    for line in result.about:
        told("", line)
    told("before", f"{say_count(result.rehearsed, 'recorded event')}, rehearsed with the present rules")
    for note in result.notes:
        said(f"         but {note}", style="yellow")
    out.print()
    _table(result, rows)
    out.print()
    _messages(result)


def _numbered(name: str, result: Explained) -> bool:
    return name == "event" and result.number is not None


def _table(result: Explained, rows: int | None) -> None:
    if not result.opinions:
        said("there are no rules")
        return
    # On a narrow terminal the reasons need all the room that there is.
    wide = out.width >= _WIDE
    beside = ("then",) if result.then is not None and wide else ()
    listing = table("", "rule", "now", "why", *beside, *(("where",) if wide else ()), whole=("rule", "now"))
    for one in result.opinions[:rows]:
        why = one.why if wide or not one.differs else f"{one.why}\nthen: {_then(one)}"
        row = list(cells("≠" if one.differs else "", one.rule, _now(one), why))
        row[0].stylize("bold yellow")
        row[2].stylize(_STYLES.get(one.verdict, "dim"))
        listing.add_row(*row, *(cells(_then(one)) if beside else ()), *(cells(one.place) if wide else ()))
    out.print(listing)
    if rows is not None and (rest := result.opinions[rows:]):
        kinds = Counter(_REST.get(one.verdict, "for other reasons") for one in rest)
        parts = ", ".join(f"{number} {why}" for why, number in kinds.items())
        said(f"and {say_count(len(rest), 'rule')} more that did not fire: {parts}; --all shows them")
    if any(one.differs for one in result.opinions):
        said("≠ it was decided otherwise then")


def _then(one: Opinion) -> str:
    return one.then or "-"


def _now(one: Opinion) -> str:
    return {"other": "not for it", "holds": "no"}.get(one.verdict, one.verdict)


def _messages(result: Explained) -> None:
    """What is said now; where it was otherwise then, both."""
    now = [_message(one) for one in result.now]
    then = now if result.then is None else [_message(one) for one in result.then]
    if now == then:
        _each("" if result.then is None else "  ", now, "")
        if not now:
            said("nothing comes of it" + ("" if result.then is None else ", and nothing came of it then"))
        return
    said("then (-) and now (+):")
    _each("- ", [one for one in then if one not in now], "red")
    _each("  ", [one for one in now if one in then], "")
    _each("+ ", [one for one in now if one not in then], "green")


def _each(sign: str, messages: Sequence[tuple[str, str]], style: str) -> None:
    for rule, message in messages:
        beside = message.replace("\n", "\n" + " " * (len(sign) + len(rule) + 2))
        said(f"{sign}{rule}: {beside}", style=style)


def _message(one: Rendered) -> tuple[str, str]:
    return one.rule, what_came(one)


def _event_as_json(past: Past) -> dict[str, object]:
    event = past.event
    return {"event": past.number, "at": past.at, **_what(event)}


def _what(event: Event) -> dict[str, object]:
    return {
        "account": event.account,
        "conversation": event.conversation,
        "kind": event.kind,
        "sender": event.sender,
        "what": what_happened(event),
    }


def _as_json(result: Explained) -> Mapping[str, object]:
    return {
        "event": result.number,
        "at": result.at,
        **_what(result.event),
        "about": result.about,
        "rehearsed": result.rehearsed,
        "notes": result.notes,
        "rules": [_opinion(one) for one in result.opinions],
        "now": _rendered(result.now),
        "then": None if result.then is None else _rendered(result.then),
    }


def _opinion(one: Opinion) -> Mapping[str, object]:
    place = one.place
    where = None if place is None else {"file": place.file, "line": place.line, "column": place.column}
    return {
        "rule": one.rule,
        "verdict": one.verdict,
        "why": one.why,
        "then": one.then,
        "differs": one.differs,
        "place": where,
    }


def _rendered(messages: Sequence[Rendered]) -> list[Mapping[str, object]]:
    return [
        {"rule": one.rule, "action": one.action, "account": one.account, "what": what_came(one)} for one in messages
    ]
