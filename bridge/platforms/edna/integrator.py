"""Calls in the name of the integrator: the log-in, its token for all calls of the account, its renewal.

Source: https://docs.edna.io/kb/login-request. The token's lifetime is not published: edna answers 401 when it is over.
"""

import re
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Literal

import orjson

from bridge.adapter.answers import failure, is_taken, never, object_in
from bridge.adapter.protocol import ConfidentialCall, HttpAnswer, HttpCall, Step, Steps
from bridge.adapter.secret import Secret
from bridge.model.delivery import Failed, Sent, Unknown
from bridge.platforms.edna.account import EdnaAccount

LOG_IN = "/api/auth/login"
_TRIES = 3
_TOKEN = re.compile(r"(?:Bearer )*([!-~]{1,8000})", re.IGNORECASE)


def by_integrator(
    account: EdnaAccount,
    method: Literal["GET", "POST", "PUT"],
    path: str,
    body: Mapping[str, object] | None = None,
    *,
    safe: bool = False,
) -> Generator[Step, HttpAnswer, HttpAnswer | Failed]:
    """Make one call, with a log-in before it where there is no token, or where edna says that the token is over.

    Whoever finds that another call has got a newer token meanwhile goes on with that one. A 401 to a token that was
    just issued is for ever. A request that edna answers by 401 did nothing, so it may be made again.
    """
    session = account.session
    issued: Secret | None = None
    for _ in range(_TRIES):
        token = session.token
        if token is None:
            told = yield from _log_in(account)
            if isinstance(told, Failed):
                return told
            session.token = token = issued = told
        answer = yield HttpCall(
            method=method,
            url=account.base_url + path,
            headers=json_headers("authorization", f"Bearer {token.reveal()}"),
            body=None if body is None else orjson.dumps(body),
            safe=safe,
        )
        if answer.status != 401:
            return answer
        if session.token == token:
            session.token = None
        if token == issued and session.token is None:
            return replace(
                failure(answer), detail="401: a token that was just issued is refused: has the user its rights?"
            )
    return Failed(
        reason="auth", detail="401: tokens are refused as fast as they are issued; does another program log in?"
    )


def json_headers(name: str, value: str) -> dict[str, str]:
    return {name.lower(): value, "content-type": "application/json", "accept": "application/json"}


def probe(account: EdnaAccount) -> Steps:
    """Log in. An account that is only a bot's cannot be tried without writing to a client."""
    if account.login is None:
        return Unknown(reason="unknown", detail="bot_token: edna has no call that tries it and writes to nobody")
    told = yield from _log_in(account)
    return told if isinstance(told, Failed) else Sent()


def _log_in(account: EdnaAccount) -> Generator[Step, HttpAnswer, Secret | Failed]:
    if account.login is None or account.password is None:
        return never("login and password: missing in the account; add them, then replay", "auth")
    body = {"login": account.login, "password": account.password.reveal()}
    if account.locale is not None:
        body["locale"] = account.locale
    answer = yield ConfidentialCall(
        method="POST",
        url=account.base_url + LOG_IN,
        headers={"content-type": "application/json", "accept": "application/json"},
        body=orjson.dumps(body),
        safe=True,
    )
    if not is_taken(answer):
        refused = failure(answer)
        return replace(refused, detail=f"log-in: {refused.detail}")
    # What such an answer says instead is not quoted: a token in an unknown shape could be in it.
    return issued_token(answer) or never("log-in: the answer has no token: is base_url right?", "auth")


def issued_token(answer: HttpAnswer) -> Secret | None:
    """The token that a log-in's answer gives, without the `Bearer ` before it (twice in the header)."""
    for text in (object_in(answer.body).get("token"), answer.headers.get("authorization")):
        found = _TOKEN.fullmatch(text.strip()) if isinstance(text, str) else None
        if found is not None:
            return Secret(found[1])
    return None
