"""Which customers a search of HelpCrunch finds; what its documentation does not allow to be asked is wrong.

Source: https://docs.helpcrunch.com/rest-api-v1/search-customers-v1.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from tests.fakes.helpcrunch_errors import Wrong

Customer = Mapping[str, Any]
Condition = Callable[[Customer], bool]

TEXTS = (
    "telegramId", "facebookId", "instagramId", "viberId", "whatsappId", "name", "email", "company", "phone",
    "countryCode", "city", "regionCode", "userId",
)  # fmt: skip
ORDERED: Mapping[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
CHOICE = "The value you selected is not a valid choice."


def condition_of(at: int, condition: object) -> Condition:
    """Whether a customer is one that the `at`-th condition asks for."""
    place = f"filter[{at}]"
    if not isinstance(condition, dict) or set(condition) != {"field", "operator", "value"}:
        raise Wrong(400, (place, "This value is not valid."))
    field, asked, value = str(condition["field"]), condition["operator"], condition["value"]
    name = field.removeprefix("customers.")
    if field == name or name not in (*TEXTS, "id", "lastSeen", "tagsData"):
        raise Wrong(400, (f"{place}.field", CHOICE))
    if name == "tagsData":
        if asked != "=" or not isinstance(value, list) or not all(set(one) == {"name"} for one in value):
            raise Wrong(400, (f"{place}.value", "This value is not valid."))
        wanted = {one["name"] for one in value}
        return lambda customer: wanted <= {tag["name"] for tag in customer.get("tags", ())}
    return _of_one(place, name, asked, value)


def _of_one(place: str, name: str, asked: str, value: Any) -> Condition:
    is_number = name in ("id", "lastSeen")
    if is_number != isinstance(value, int):
        raise Wrong(400, (f"{place}.value", f"This value should be of type {'numeric' if is_number else 'string'}."))
    if asked in ("=", "!="):
        return lambda customer: (customer.get(name) == value) == (asked == "=")
    if asked in ORDERED and is_number:
        return lambda customer: ORDERED[asked](float(customer[name]), value)
    if asked in ("~", "!~") and not is_number:
        return lambda customer: (value.casefold() in str(customer.get(name) or "").casefold()) == (asked == "~")
    raise Wrong(400, (f"{place}.operator", CHOICE))
