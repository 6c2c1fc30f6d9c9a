"""Requests to chayns, and what its answers mean.

Sources: https://github.com/TobitSoftware/chayns-backend/wiki for the address, the authorisation and the envelope
`{"data": [...]}`; the error's body `{message, errorGuid}` is that of chayns' own .NET client, which writes the names
with capitals, so they are read in either case. The wiki says 201 for what was done, chayns' own sample code 200.
"""

import orjson

from bridge.adapter.answers import excerpt, failure, is_taken, never, object_in
from bridge.adapter.protocol import HttpAnswer, HttpCall
from bridge.model.delivery import Failed, Outcome, Sent
from bridge.platforms.chayns.account import ChaynsAccount


def post(account: ChaynsAccount, path: str, body: dict[str, object]) -> HttpCall:
    """`path` begins with a slash and is below the location."""
    headers = {**_headers(account), "content-type": "application/json"}
    return HttpCall(method="POST", url=_url(account, path), headers=headers, body=orjson.dumps(body))


def get(account: ChaynsAccount, path: str, *, most: int | None = None) -> HttpCall:
    """`most` is how many bytes of the answer are wanted, where it may be longer than others."""
    return HttpCall(method="GET", url=_url(account, path), headers=_headers(account), safe=True, most=most)


def _url(account: ChaynsAccount, path: str) -> str:
    return f"{account.base_url}/{account.location_id}{path}"


def _headers(account: ChaynsAccount) -> dict[str, str]:
    return {"authorization": account.authorization(), "accept": "application/json"}


def outcome(answer: HttpAnswer) -> Outcome:
    """Sent, unless the status says no, or a body that can be read says `success: false` and nowhere true."""
    if not is_taken(answer):
        return failed(answer)
    said = [entry.get("success") for entry in _entries(answer.body)]
    if False in said and True not in said:
        return never(f"{answer.status}: chayns says success: false", "refused")
    return Sent()


def failed(answer: HttpAnswer) -> Failed:
    return failure(answer, explanation(answer.body))


def explanation(body: bytes) -> str | None:
    """chayns' own words: "Invalid TappId (errorGuid 7d9f...)"; None where the body has none."""
    error = _without_case(object_in(body))
    words = [str(error["message"])] if error.get("message") else []
    if error.get("errorguid"):
        words.append(f"(errorGuid {error['errorguid']})")
    return excerpt(" ".join(words)) or None


def data(body: bytes) -> list[object]:
    """What an answer's envelope holds. Raises ValueError for anything else."""
    found = _without_case(orjson.loads(body)).get("data")
    if not isinstance(found, list):
        raise ValueError('it is no {"data": [...]}')
    return found


def _entries(body: bytes) -> list[dict[str, object]]:
    found = _without_case(object_in(body)).get("data")
    return [_without_case(entry) for entry in found] if isinstance(found, list) else []


def _without_case(value: object) -> dict[str, object]:
    """An object's members by their names in lower case; none where `value` is no object."""
    return {name.lower(): member for name, member in value.items()} if isinstance(value, dict) else {}
