"""The lines of a customer search, in HelpCrunch's words, and whether a customer is really one who was searched for.

Source: https://docs.helpcrunch.com/rest-api-v1/search-customers-v1, which names the fields and what may be asked of
which: `>` and its kin of numbers and dates, `~` of texts, only `=` of arrays.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from bridge.adapter.answers import excerpt
from bridge.adapter.number import whole_number
from bridge.errors import did_you_mean
from bridge.model.broadcast import CustomerFilter, HelpCrunchAudience
from bridge.platforms.helpcrunch.values import LAST

Type = Literal["text", "number", "date", "tags"]

_TEXTS = (
    "telegramId", "facebookId", "instagramId", "viberId", "whatsappId", "name", "email", "company", "phone",
    "countryCode", "city", "regionCode", "userId",
)  # fmt: skip
FIELDS: Mapping[str, Type] = {
    "customers.id": "number",
    **{f"customers.{name}": "text" for name in _TEXTS},
    "customers.tagsData": "tags",
    "customers.lastSeen": "date",
}
OPERATORS: Mapping[Type, tuple[str, ...]] = {
    "text": ("=", "!=", "~", "!~"),
    "number": ("=", "!=", ">", "<", ">=", "<="),
    "date": ("=", "!=", ">", "<", ">=", "<="),
    "tags": ("=",),
}


def written(filters: Sequence[CustomerFilter]) -> list[dict[str, object]]:
    """The filter of a search. Raises ValueError naming the line for what HelpCrunch cannot be asked."""
    return [_written(one, f"filter {number}") for number, one in enumerate(filters, 1)]


def _written(one: CustomerFilter, line: str) -> dict[str, object]:
    kind = FIELDS.get(one.field)
    if kind is None:
        raise ValueError(f"{line}: {_unknown(one.field)}")
    if one.operator not in OPERATORS[kind]:
        raise ValueError(f"{line}: {one.field} cannot be asked by {one.operator}, only by {', '.join(OPERATORS[kind])}")
    return {"field": one.field, "operator": one.operator, "value": _value(one, kind, line)}


def _value(one: CustomerFilter, kind: Type, line: str) -> object:
    value = one.value
    if isinstance(value, bool):
        raise ValueError(f"{line}: {one.field} is never true or false")
    if kind == "number":
        if (number := whole_number(value)) is None:
            raise ValueError(f"{line}: {one.field} is a whole number, 1 or above")
        return number
    if kind == "date" and not isinstance(value, str):
        if not 0 <= value < LAST:
            raise ValueError(f"{line}: {one.field} is a time in seconds since 1970")
        return value
    if not isinstance(value, str) or not value.strip() or len(value) > 1000 or not value.isprintable():
        raise ValueError(f"{line}: {one.field} is one line of 1 to 1,000 characters: write the value in quotes")
    return [{"name": value}] if kind == "tags" else value


def is_another(asked: HelpCrunchAudience, customer: Mapping[str, object]) -> str | None:
    """Why a customer is not one who was searched for, as far as they say so themselves.

    Were a filter ever not understood, a message for a few must not reach everybody.
    """
    if asked.match == "any" and len(asked.filter) > 1:
        return None
    for one in asked.filter:
        name = one.field.partition(".")[2]
        certain = one.operator == "=" and FIELDS[one.field] in ("text", "number")
        if certain and isinstance(named := customer.get(name), str | int) and _plain(named) != _plain(one.value):
            return f"HelpCrunch found them, but their {name} is another"
    return None


def _plain(value: object) -> str:
    return str(value).strip().casefold()


def _unknown(field: str) -> str:
    name = field.removeprefix("customers.")
    if f"customers.{name}" in FIELDS:
        return f'write "customers.{name}" in place of "{name}"'
    names = [one.partition(".")[2] for one in FIELDS]
    near = did_you_mean(name, names) or f"; it knows {', '.join(names)}"
    return f'HelpCrunch finds no customers by "{excerpt(name, 80)}"{near}'
