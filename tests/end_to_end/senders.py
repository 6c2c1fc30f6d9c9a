"""What the platforms send to the bridge, as they would: right, and wrong in one thing."""

import hashlib
import hmac
import json
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from tests.end_to_end.company import CRM_KEY, EDNA_SECRET, EVENTS_TOKEN, FORM_KEY, HOOK_SECRET, SIGNING_KEY, SITE_KEY

SESSION = "abcdef-0123456789"
BROWSER = "0123456789abcdef" * 2
DAY = 86_400


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A webhook as it goes to the bridge."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, url: str, client: aiohttp.ClientSession) -> tuple[int, str]:
        """The answer's status and body."""
        async with client.post(url + self.path, data=self.body, headers=self.headers) as answer:
            return answer.status, await answer.text()

    def but(self, **headers: str | None) -> "Request":
        """The same with other headers (underscores are hyphens); None: without it."""
        changed = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return replace(self, headers={name: value for name, value in changed.items() if value is not None})

    def with_a_byte_changed(self) -> "Request":
        return replace(self, body=self.body.replace(b"much", b"Much"))


def _json(path: str, body: Mapping[str, Any], **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(path=path, body=json.dumps(body).encode(), headers={"content-type": "application/json", **named})


def _standard(path: str, body: Mapping[str, Any], key: bytes, name: str, late: int = 0) -> Request:
    request = _json(path, body)
    seconds = str(int(time.time()) - late)
    digest = hmac.new(key, f"{name}.{seconds}.".encode() + request.body, hashlib.sha256).digest()
    signature = f"v1,{b64encode(digest).decode()}"
    return request.but(webhook_id=name, webhook_timestamp=seconds, webhook_signature=signature)


def chat_server(operation: str, chat_server: str, text: str = "", number: int = 1, **fields: str) -> Request:
    """A call of the Omnidesk chat API."""
    said = {"chatServer": chat_server, "chatSessionID": SESSION, "chatAccountToken": "tok1234567890", **fields}
    if text:
        said |= {"message": text, "messageNumber": str(number)}
    return _json(f"/api/v2/chat/{operation}", said, apikey=SITE_KEY)


def omnidesk(text: str, late: int = 0) -> Request:
    """Omnidesk's own webhook: an agent has answered."""
    data = {"chat": SESSION, "by": "Agent", "text": text, "ticket": 7001}
    return _standard("/hooks/tickets", {"type": "chat.message", "data": data}, HOOK_SECRET.encode(), "msg_1", late)


def helpcrunch(text: str, late: int = 0) -> Request:
    at = int(time.time()) - late
    data = {
        "chat_id": 5215261,
        "agent": None,
        "customer": {"id": 45, "name": "Anna", "email": "anna@shop.example", "userId": None},
        "message": {"id": 678, "text": text, "createdAt": f"{at}.915"},
    }
    envelope = {"id": "5f0e0c1e-8", "event": "message.chat.customer", "eventData": data, "attempts": 0}
    request = _json("/hooks/shop", {**envelope, "createdAt": at, "lastAttemptAt": at})
    return request.but(x_helpcrunch_signature=hmac.digest(SIGNING_KEY.encode(), request.body, "sha1").hex())


def edna(text: str, account: str = "support", secret: str = f"/{EDNA_SECRET}") -> Request:
    body = {
        "action": "MESSAGE",
        "text": text,
        "threadsClientId": 17,
        "clientId": "c-17",
        "sessionId": "902",
        "questionId": 5501,
        "questionIndex": 1,
        "channelInfo": {"channelType": "WEB", "authorized": True},
    }
    return _json(f"/hooks/{account}{secret}", body)


def crm(text: str, late: int = 0) -> Request:
    """Standard Webhooks."""
    body = {"type": "message", "data": {"conversation": "ticket-17", "text": text}}
    return _standard("/hooks/crm", body, CRM_KEY, "msg_2", late)


def events(text: str) -> Request:
    """CloudEvents, structured."""
    event = {"specversion": "1.0", "id": "A-1", "source": "/tickets", "type": "message"}
    request = _json("/hooks/events", {**event, "data": {"conversation": "ticket-18", "text": text}})
    return request.but(content_type="application/cloudevents+json", authorization=f"Bearer {EVENTS_TOKEN}")


def form(text: str) -> Request:
    """A form, with a bearer secret."""
    body = f"email=cleo%40shop.example&question={text.replace(' ', '+')}".encode()
    headers = {"content-type": "application/x-www-form-urlencoded", "authorization": f"Bearer {FORM_KEY}"}
    return Request(path="/hooks/form", body=body, headers=headers)


def browser(text: str) -> Request:
    """The page of the built-in web chat."""
    return _json("/chat/message", {"id": "message-0001", "text": text}, x_chat_session=BROWSER)
