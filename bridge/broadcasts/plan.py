"""A plan: a broadcast as it was when its run began, kept with the run.

What becomes of the rule files and templates meanwhile changes nothing about a run that has begun.
"""

from collections.abc import Mapping
from datetime import timedelta

import msgspec
from msgspec import Struct

from bridge.errors import BridgeError, Place
from bridge.line.accounts import Accounts, Known
from bridge.model.broadcast import (
    Asked,
    Audience,
    Broadcast,
    ByHand,
    ChaynsAudience,
    FileAudience,
    HelpCrunchAudience,
    MetAudience,
    QuietHours,
)
from bridge.model.delivery import OnUnknown
from bridge.model.event import Address
from bridge.model.quantity import Rate
from bridge.model.wording import Wording
from bridge.templating import Templates

GONE = "the rule files have no broadcast of this name any more"


class PlanError(BridgeError):
    """A broadcast that cannot be planned."""


class Plan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that sending takes. `sources` are the templates; `zone` is for people whose own is not known.

    Of the audiences one is given.
    """

    broadcast: str
    via: str
    wording: Wording
    sources: Mapping[str, str] = {}
    file: FileAudience | None = None
    helpcrunch: HelpCrunchAudience | None = None
    chayns: ChaynsAudience | None = None
    met: frozenset[str] | None = None
    met_when: str | None = None
    to: Mapping[str, str] = {}
    zone: str = "UTC"
    rate: Rate | None = None
    quiet_hours: QuietHours | None = None
    skip_if: tuple[Place, str] | None = None
    on_unknown: OnUnknown = "hold"
    pause_if_failed: float = 0.2
    variables: Mapping[str, object] = {}
    only: Address = {}

    @property
    def asked(self) -> HelpCrunchAudience | ChaynsAudience | None:
        """What a platform is asked for; None where its people are of a file, or those whom the bridge has met."""
        return self.helpcrunch or self.chayns

    @property
    def gap(self) -> timedelta:
        """The time between two recipients, by the rate."""
        return timedelta(0) if self.rate is None else self.rate.per / self.rate.times


_decode = msgspec.json.Decoder(Plan).decode


def write_plan(plan: Plan) -> str:
    return msgspec.json.encode(plan).decode()


def read_plan(text: str) -> Plan:
    return _decode(text)


def plan_of(broadcast: Broadcast, audience: Audience, templates: Templates, zone: str, asked: Asked) -> Plan:
    """The plan of a run that begins now."""
    name = broadcast.wording.template
    return Plan(
        broadcast=broadcast.name,
        via=broadcast.via,
        wording=broadcast.wording,
        sources={} if name is None else templates.copies(name),
        file=audience if isinstance(audience, FileAudience) else None,
        helpcrunch=audience if isinstance(audience, HelpCrunchAudience) else None,
        chayns=audience if isinstance(audience, ChaynsAudience) else None,
        met=audience.accounts if isinstance(audience, MetAudience) else None,
        met_when=audience.written if isinstance(audience, MetAudience) else None,
        to=broadcast.to,
        zone=zone if isinstance(broadcast.schedule, ByHand) else broadcast.schedule.zone.key,
        rate=broadcast.rate,
        quiet_hours=broadcast.quiet_hours,
        skip_if=None if broadcast.skip_if is None else (broadcast.skip_if.place, broadcast.skip_if.text),
        on_unknown=broadcast.on_unknown,
        pause_if_failed=broadcast.pause_if_failed,
        variables=asked.variables,
        only=asked.only,
    )


def sender_of(plan: Plan, accounts: Accounts) -> Known:
    """The account that sends. Raises PlanError where the settings do not have it."""
    known = accounts.get(plan.via)
    if known is None:
        raise PlanError(f"there is no account {plan.via} in the settings; add [accounts.{plan.via}]")
    return known
