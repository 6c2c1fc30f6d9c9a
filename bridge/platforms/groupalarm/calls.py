"""Requests to GroupAlarm, and what its refusals say.

Sources: https://developer.groupalarm.com/api/chat.html for the token's header and the fields; the error's body
`{success, message, error}` is that of GroupAlarm's other services, and the chat's page names none.
"""

from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlencode

import orjson

from bridge.adapter.answers import excerpt, failure, never, object_in
from bridge.adapter.protocol import HttpAnswer, HttpCall
from bridge.model.delivery import Failed
from bridge.platforms.groupalarm.account import GroupAlarmAccount


def get(account: GroupAlarmAccount, path: str, query: Mapping[str, object] | None = None) -> HttpCall:
    url = account.base_url + path + (f"?{urlencode(query)}" if query else "")
    return HttpCall(method="GET", url=url, headers=_headers(account), safe=True)


def ask(
    method: Literal["POST", "PUT", "DELETE"],
    account: GroupAlarmAccount,
    path: str,
    body: bytes | None = None,
    content_type: str = "application/json",
) -> HttpCall:
    """A change. What PUT and DELETE do twice, they have done once, so these are safe to repeat."""
    headers = _headers(account)
    if body is not None:
        headers["content-type"] = content_type
    return HttpCall(method=method, url=account.base_url + path, headers=headers, body=body, safe=method != "POST")


def json(**fields: object) -> bytes:
    return orjson.dumps(fields)


def _headers(account: GroupAlarmAccount) -> dict[str, str]:
    return {**account.token(), "accept": "application/json"}


def failed(answer: HttpAnswer) -> Failed:
    return failure(answer, explanation(answer.body))


def explanation(body: bytes) -> str | None:
    """GroupAlarm's own words: "not found: no such chatroom"; None where the body has none."""
    told = object_in(body)
    words = dict.fromkeys(str(told[key]) for key in ("message", "error") if told.get(key))
    return excerpt(": ".join(words)) or None


def unreadable(what: str, why: object) -> Failed:
    """An answer to a question, which is asked again in vain as long as GroupAlarm answers so."""
    return never(f"{what} cannot be read: {why}")
