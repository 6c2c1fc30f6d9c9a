"""A customer of HelpCrunch as somebody to whom a broadcast goes.

Sources: the customer's fields in https://docs.helpcrunch.com/rest-api-v1, its pages on creating and searching them. The
variables of templates have HelpCrunch's own names; what is empty is not there.
"""

from collections.abc import Mapping
from datetime import datetime

from bridge.adapter.number import whole_number
from bridge.errors import Place, Problem
from bridge.model.broadcast import Recipient
from bridge.platforms.helpcrunch.values import moment_of

TEXTS = (
    "name", "email", "phone", "userId", "company", "city", "countryCode", "regionCode", "locale", "source", "notes",
    "createdFrom", "telegramId", "facebookId", "instagramId", "viberId", "whatsappId",
)  # fmt: skip
TIMES = ("firstSeen", "lastSeen")
ALWAYS = ("id", "tags", "custom")
KNOWS = (*ALWAYS, *TEXTS, *TIMES)

MOST = 200
"""Tags, and values of the organisation's own, that are taken of one customer."""
LONGEST = 20_000
_HELD_BACK = {"unsubscribed": "opted out in HelpCrunch", "blocked": "blocked in HelpCrunch"}


def recipient_of(customer: Mapping[str, object], skip: str | None) -> Recipient | Problem:
    """Somebody to write to by their number; `skip` is why nothing is sent to them, unless they say so themselves."""
    number = whole_number(customer.get("id"))
    if number is None:
        place = Place(file="helpcrunch", line=0, column=0)
        return Problem(place=place, message="HelpCrunch gave a customer without a number", warning=True)
    held_back = next((why for name, why in _HELD_BACK.items() if customer.get(name) is True), skip)
    locale = customer.get("locale")
    return Recipient(
        key=f"customer={number}",
        address={"customer": number},
        variables=_variables(customer, number),
        language=locale if isinstance(locale, str) and len(locale) == 2 and locale.isascii() else None,
        skip=held_back,
    )


def _variables(customer: Mapping[str, object], number: int) -> Mapping[str, object]:
    found: dict[str, object] = {"id": number, "tags": _tags(customer), "custom": _custom(customer.get("customData"))}
    texts = {name: text for name in TEXTS if (text := _text(customer.get(name))) is not None}
    times: dict[str, datetime] = {name: at for name in TIMES if (at := moment_of(customer.get(name))) is not None}
    return {**found, **texts, **times}


def _text(given: object) -> str | None:
    if isinstance(given, int | float) and not isinstance(given, bool):
        given = str(given)
    return given.strip()[:LONGEST] or None if isinstance(given, str) else None


def _tags(customer: Mapping[str, object]) -> list[str]:
    """The names of the tags: HelpCrunch calls the list `tags` where it is written, `tagsData` where it is searched."""
    given = customer.get("tags") or customer.get("tagsData")
    listed = given[:MOST] if isinstance(given, list) else []
    names = (tag.get("name") if isinstance(tag, dict) else tag for tag in listed)
    return [text for name in names if (text := _text(name)) is not None]


def _custom(given: object) -> Mapping[str, str]:
    """The organisation's own values: a list of {property, value} in the API, a mapping in webhooks."""
    if isinstance(given, dict):
        pairs = list(given.items())[:MOST]
    else:
        listed = given[:MOST] if isinstance(given, list) else []
        pairs = [(one.get("property"), one.get("value")) for one in listed if isinstance(one, dict)]
    return {name: text for name, value in pairs if isinstance(name, str) and (text := _text(value)) is not None}
