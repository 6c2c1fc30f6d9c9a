"""edna accounts, webhooks and steps with sensible defaults."""

import json
from collections.abc import Iterable
from typing import Any

from bridge.adapter.protocol import HttpAnswer, HttpCall, Notice, Step, Steps, Webhook
from bridge.model.delivery import Outcome
from bridge.platforms.edna import adapter
from bridge.platforms.edna.account import EdnaAccount
from tests.fakes.edna import BOT_TOKEN, LOGIN, PASSWORD
from tests.values import NOON

SECRET = "0123456789abcdef"
MESSAGE: dict[str, Any] = {
    "action": "MESSAGE",
    "text": "hi",
    "threadsClientId": 17,
    "sessionId": "902",
    "questionId": 5501,
    "questionIndex": 1,
    "channelInfo": {"channelType": "WEB", "authorized": False},
    "clientData": {"phone": "+10000000000"},
    "segmentationInfo": {},
    "receivedAt": "2024-05-01T10:00:00.000Z",
    "attachments": [],
}
"""As https://docs.edna.io/kb/message-webhook describes it."""


def options(**changes: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "name": "support",
        "base_url": "https://company.example",
        "hook_secret": SECRET,
        "login": LOGIN,
        "password": PASSWORD,
        "agent_login": "bot",
        "bot_token": BOT_TOKEN,
    }
    return {key: value for key, value in {**usual, **changes}.items() if value is not None}


def an_account(**changes: Any) -> EdnaAccount:
    return EdnaAccount(**options(**changes))


def a_webhook(body: object = MESSAGE, *, secret: str = SECRET, remote: str = "203.0.113.7") -> Webhook:
    """`body` as it is where it is bytes, else as JSON."""
    return Webhook(
        method="POST",
        path=f"/hooks/support/{secret}",
        operation=secret,
        account="support",
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        remote=remote,
        received_at=NOON,
    )


def parse(body: object, **changes: Any) -> Notice:
    return adapter.parse(a_webhook(body), an_account(**changes))


def walk(steps: Steps, answers: Iterable[HttpAnswer]) -> tuple[list[HttpCall], Outcome]:
    """The calls that are made while these answers come, all of them, and the outcome."""
    calls: list[HttpCall] = []
    waiting = iter(answers)
    try:
        call = next(steps)
        while True:
            assert isinstance(call, HttpCall)
            calls.append(call)
            call = steps.send(next(waiting))
    except StopIteration as end:
        assert list(waiting) == []
        outcome: Outcome = end.value
        return calls, outcome


def issued(token: str = "tok-1") -> HttpAnswer:
    """A log-in's answer as documented."""
    body = {"userId": 1, "login": LOGIN, "token": f"Bearer {token}", "role": "INTEGRATOR"}
    return HttpAnswer(status=200, headers={"authorization": f"Bearer Bearer {token}"}, body=json.dumps(body).encode())


def taken(number: int = 2) -> HttpAnswer:
    return HttpAnswer(status=200, body=b'{"id":%d}' % number)


def token_of(call: Step) -> str:
    assert isinstance(call, HttpCall)
    return call.headers["authorization"].removeprefix("Bearer ")
