"""A call of HelpCrunch's API, and what its answer says.

Source: https://docs.helpcrunch.com/rest-api-v1/api-setup-v1. Any 2xx means that HelpCrunch did what was asked.
"""

from typing import Literal

import orjson

from bridge.adapter.answers import excerpt, failure, object_in
from bridge.adapter.number import whole_number
from bridge.adapter.protocol import HttpAnswer, HttpCall
from bridge.model.delivery import Failed
from bridge.platforms.helpcrunch.account import HelpCrunchAccount


def a_call(
    account: HelpCrunchAccount,
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
    path: str,
    body: object = None,
    *,
    safe: bool = False,
    most: int | None = None,
) -> HttpCall:
    """The call of `path` (below the base URL) with `body` as JSON, where there is one.

    `most` is how many bytes of the answer are wanted, where it may be longer than others.
    """
    headers = {
        "authorization": f"Bearer {account.api_key.reveal()}",
        "content-type": "application/json",
        "accept": "application/json",
    }
    if body is None:
        del headers["content-type"]
        return HttpCall(method=method, url=account.base_url + path, headers=headers, safe=safe)
    written, url = orjson.dumps(body), account.base_url + path
    return HttpCall(method=method, url=url, headers=headers, body=written, safe=safe, most=most)


def number_in(body: bytes) -> int | None:
    """The id of the object that was answered; None where it cannot be read."""
    return whole_number(object_in(body).get("id"))


def refusal(answer: HttpAnswer) -> Failed:
    return failure(answer, explanation(answer.body))


def unreadable(what: str, why: object) -> Failed:
    """A look-up whose answer makes no sense: nothing was done, and it may be better next time."""
    return Failed(reason="unavailable", detail=f"the answer to {what} cannot be read: {why}")


def explanation(body: bytes) -> str | None:
    """HelpCrunch's own words: "unauthorized: Unauthorized"; None where the body has none.

    The newer of its two generations of errors begins with a general `invalid_request`, which says nothing where
    more follows; a code may be the path of a field.
    """
    errors = object_in(body).get("errors")
    told = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    special = [error for error in told if error.get("code") != "invalid_request"]
    words = (": ".join(str(error[key]) for key in ("code", "message") if error.get(key)) for error in special or told)
    return excerpt("; ".join(word for word in words if word)) or None
