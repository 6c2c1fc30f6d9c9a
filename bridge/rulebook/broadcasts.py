"""The grammar of `broadcasts:` and `audiences:`, and the values of bridge.model that they say."""

from collections.abc import Collection
from datetime import timedelta
from pathlib import PurePath
from typing import Annotated, Literal, Self

import orjson
from pydantic import ConfigDict, Field, model_validator

from bridge.errors import RulebookError, did_you_mean
from bridge.model.broadcast import (
    USUAL,
    Audience,
    Broadcast,
    ByHand,
    ChaynsAudience,
    CustomerFilter,
    FileAudience,
    FileFormat,
    HelpCrunchAudience,
    MetAudience,
    SkipIf,
)
from bridge.model.delivery import OnUnknown
from bridge.model.quantity import Rate, parse_rate
from bridge.model.wording import Wording
from bridge.rulebook.forms import Form, Name, OneOrMany, Plain, Short, Text, exactly_one, like, written
from bridge.rulebook.schedules import ClockChangeForm, Quiet, ScheduleForm, Span
from bridge.rulebook.schema import FileForm, WhenForm
from bridge.rulebook.when import Compiling, compile_when
from bridge.rulebook.yaml import Node, shown

FORMATS: dict[str, FileFormat] = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
SOURCES = ("file", "helpcrunch", "chayns", "met")
OF_FILES = ("format", "separator", "key", "language", "timezone", "bad_lines")


def parse_share(text: str) -> float:
    """'20%' or '0.5%', as a share of 1. Raises ValueError for what is not above 0 and at most 100."""
    number = text.strip().removesuffix("%").strip()
    try:
        share = float(number) / 100 if text.strip().endswith("%") and len(number) < 10 else 0.0
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ValueError(f'{shown(text)} is no share: write a number above 0 and at most 100, and %, for example "20%"')
    return share


RateText = Annotated[Rate, written(parse_rate, "60/min"), like(r"^\s*[0-9]{1,9}\s*/\s*[a-zA-Z]+\s*$")]
Share = Annotated[float, written(parse_share, "20%"), like(r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$")]


class CustomerFilterForm(Form):
    """One line of a HelpCrunch customer search: a field of the customer, and what is asked of it."""

    field: Short = Field(description="Such as customers.city.")
    operator: Literal["=", "!=", ">", "<", ">=", "<=", "~", "!~"] = Field(description="~ contains, !~ does not.")
    value: Plain = Field(description="What it is compared with.")


class HelpCrunchForm(Form):
    """A search of HelpCrunch's customers."""

    account: Name = Field(description="The account that searches, by its name in the settings.")
    filter: list[CustomerFilterForm] = Field(min_length=1, max_length=50, description="What is asked of a customer.")
    match: Literal["all", "any"] = Field("all", description="Whether all lines have to hold, or any of them.")


class ChaynsForm(Form):
    """UAC groups of chayns: one call for all of their members."""

    account: Name = Field(description="The account that has the groups, by its name in the settings.")
    uac_groups: OneOrMany[Annotated[int, Field(ge=1)]] = Field(description="The groups' numbers.")
    each: bool = Field(False, description="A delivery for every member, in place of one call with the groups' ids.")


class MetForm(Form):
    """Everybody whom the bridge has met."""

    account: OneOrMany[Name] | None = Field(None, description="Only by these accounts.")
    when: WhenForm | None = None


class AudienceForm(Form):
    """Who gets a broadcast: the people of a file, of a platform's search or group, or those the bridge has met."""

    model_config = ConfigDict(json_schema_extra=exactly_one(SOURCES))

    file: Short | None = Field(None, description="CSV with a header, or JSON Lines. Columns become variables.")
    format: Literal["csv", "jsonl"] | None = Field(None, description="Where the file's name does not say it.")
    separator: Literal[",", ";", "|", "tab"] | None = Field(None, description="What stands between two columns.")
    key: OneOrMany[Short] | None = Field(None, description="The columns by which a person is told from another.")
    language: Short | None = Field(None, description="The column that says a person's language.")
    timezone: Short | None = Field(None, description="The column that says a person's time zone.")
    bad_lines: Literal["skip", "stop"] | None = Field(
        None, description="Whether a bad line is skipped, or stops it all."
    )
    helpcrunch: HelpCrunchForm | None = None
    chayns: ChaynsForm | None = None
    met: MetForm | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [source for source in SOURCES if getattr(self, source) is not None]
        if len(given) != 1:
            raise ValueError(f"needs one of {', '.join(SOURCES)}" + (f", not {' and '.join(given)}" if given else ""))
        if self.file is None:
            stray = [f'"{name}"' for name in OF_FILES if getattr(self, name) is not None]
            if stray:
                raise ValueError(f"{', '.join(stray)} goes with file, and this audience is none")
        elif self.format is None and PurePath(self.file).suffix not in FORMATS:
            raise ValueError(f"{shown(self.file)} ends in none of {', '.join(FORMATS)}: say format: csv, or jsonl")
        elif self.separator is not None and self.file_format() == "jsonl":
            raise ValueError('"separator" is for CSV, and this file is JSON Lines')
        return self

    def file_format(self) -> FileFormat:
        return self.format or FORMATS.get(PurePath(self.file or "").suffix, "csv")


class BroadcastForm(Form):
    """One text for many."""

    model_config = ConfigDict(json_schema_extra=exactly_one(("text", "template")))

    name: Name = Field(description="Unique among the broadcasts; shown wherever its runs are.")
    schedule: ScheduleForm | None = Field(None, description="When it goes out; without it, when somebody starts it.")
    clock_change: ClockChangeForm | None = None
    not_after: Span = Field(timedelta(hours=1), description="A run that is later than this is skipped.")
    via: Name = Field(description="The account that sends it, by its name in the settings.")
    audience: Name = Field(description="The name of one of `audiences`.")
    to: dict[Short, Short] | None = Field(
        None, min_length=1, max_length=50, description="Keys of the platform's address, and the columns that have them."
    )
    text: Text | None = Field(None, description="What it says: a template, plain text.")
    template: Short | None = Field(None, description="What it says: a file of the templates.")
    rate: RateText | None = Field(None, description="At most so fast, on top of the account's budget: 60/min.")
    quiet_hours: Quiet | None = Field(None, description="When nobody is to be disturbed, by their own clock.")
    skip_if: Text | None = Field(None, description="An expression; recipients for whom it holds are skipped.")
    on_unknown: OnUnknown = Field("hold", description="What happens where nobody can say whether it arrived.")
    pause_if_failed: Share = Field(0.2, description="The share of failures above which a run waits for a person: 20%.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.text is None) == (self.template is None):
            raise ValueError('needs either "text" or "template"' + (", not both" if self.text else ""))
        return self


class RuleFileForm(FileForm):
    """A rule file with all that it may hold."""

    broadcasts: list[BroadcastForm] | None = Field(
        None, description="One text for many: what, to whom, when, how fast."
    )
    audiences: dict[Name, AudienceForm] | None = Field(None, description="Who gets broadcasts, by name.")


def build_audience(form: AudienceForm, node: Node, compiling: Compiling) -> Audience:
    """The audience that `form`, read from `node`, says. What is wrong with it is added to those of `compiling`."""
    if form.helpcrunch is not None:
        lines = (CustomerFilter(field=f.field, operator=f.operator, value=f.value) for f in form.helpcrunch.filter)
        return HelpCrunchAudience(account=form.helpcrunch.account, filter=tuple(lines), match=form.helpcrunch.match)
    if form.chayns is not None:
        groups = tuple(form.chayns.uac_groups)
        return ChaynsAudience(account=form.chayns.account, uac_groups=groups, each=form.chayns.each)
    if form.met is not None:
        accounts = frozenset(form.met.account or ())
        if form.met.when is None:
            return MetAudience(accounts=accounts)
        when = node.at("met", "when")
        written = orjson.dumps(when.value).decode()
        return MetAudience(accounts=accounts, when=compile_when(form.met.when, when, compiling), written=written)
    assert form.file is not None  # noqa: S101 - the form has made sure that one of the four is there
    return _file(form, form.file)


def _file(form: AudienceForm, path: str) -> FileAudience:
    separator = "tab" if form.separator is None and PurePath(path).suffix == ".tsv" else form.separator or ","
    return FileAudience(
        path=path,
        format=form.file_format(),
        separator="\t" if separator == "tab" else separator,
        key=tuple(form.key or ()),
        language=form.language or "language",
        timezone=form.timezone or "timezone",
        bad_lines=form.bad_lines or "skip",
    )


def build_broadcast(form: BroadcastForm, node: Node, audiences: Collection[str], compiling: Compiling) -> Broadcast:
    """The broadcast that `form`, read from `node`, says; a schedule without a time zone is in that of `compiling`.

    An audience that is not among `audiences`, and what is wrong with `skip_if`, are added to its problems.
    """
    if form.audience not in audiences:
        hint = did_you_mean(form.audience, sorted(audiences)) or '; put it below "audiences:"'
        compiling.wrong(node.at("audience").place, f'there is no audience "{form.audience}"{hint}')
    place = node.at("text" if form.text is not None else "template").place
    return Broadcast(
        name=form.name,
        place=node.place,
        schedule=ByHand() if form.schedule is None else form.schedule.build(compiling.zone),
        schedule_place=node.at("schedule").place,
        clock_change=USUAL if form.clock_change is None else form.clock_change.build(),
        not_after=form.not_after,
        via=form.via,
        audience=form.audience,
        to=dict(form.to or {}),
        wording=Wording(place=place, text=form.text, template=form.template),
        rate=form.rate,
        quiet_hours=form.quiet_hours,
        skip_if=_skip_if(form, node, compiling),
        on_unknown=form.on_unknown,
        pause_if_failed=form.pause_if_failed,
    )


def _skip_if(form: BroadcastForm, node: Node, compiling: Compiling) -> SkipIf | None:
    if form.skip_if is None:
        return None
    place = node.at("skip_if").place
    try:
        return SkipIf(place=place, text=form.skip_if, holds=compiling.expression(form.skip_if, place))
    except RulebookError as error:
        compiling.problems.extend(error.problems)
        return None
