"""The bodies of edna's four requests that write to a client, and how a text becomes several of them.

Sources: https://docs.edna.io/kb/send-outgoing-message-from-myself for the agent's (its table swaps `status` and
`channelType`, and spells `appMarker` wrongly; its example and the newer page have them right), https://docs.edna.io/kb/post-answers
for the bot's. Where a request takes one of several ids of the client, the one that edna prefers is sent alone.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from bridge.adapter.account import Options, first_problem
from bridge.adapter.argument import Whole
from bridge.adapter.dialect import sound, split, to_markdown, to_plain
from bridge.model.delivery import Reply
from bridge.platforms.edna.account import EdnaAccount, Way
from bridge.platforms.edna.recipient import E_MAIL, Recipient

Body = dict[str, object]

PATHS: Mapping[Way, str] = {
    "bot": "/api/v1/chatbot",
    "agent": "/api/v1/messages/outgoing-from-myself",
    "outgoing": "/api/v1/messages/outgoing",
    "device": "/api/v1/messages/outgoing-to-device",
}
MOST_FILES = 20
MOST_BUTTONS = 20
"""Both are our own bounds."""

_ENDING = re.compile(r"\.[^./\\\s]{1,20}\Z")


class File(Options):
    """A file that edna fetches from `url`. `size` is in bytes."""

    url: Annotated[str, Field(min_length=1, max_length=4000, pattern=r"^https?://[^/\s]\S*$")]
    name: Annotated[str, Field(min_length=1, max_length=1000)]
    type: Annotated[str, Field(max_length=256, pattern=r"^[!-.0-~]+/[!-.0-~]+$")] | None = None
    size: Annotated[Whole, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _shows(self) -> Self:
        if self.type is None and not _ENDING.search(self.name):
            raise ValueError('name: without an ending (".jpg") edna needs `type` to show the file')
        return self


class QuickReply(Options):
    """A button of the bot's answer. `text` is what the client is taken to say; `shown_text` stands on the button."""

    text: Annotated[str, Field(min_length=1, max_length=1000)]
    shown_text: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    callback_data: Annotated[str, Field(max_length=1000)] | None = None
    image_url: Annotated[str, Field(max_length=4000)] | None = None
    url: Annotated[str, Field(max_length=4000)] | None = None

    def as_edna_has_it(self) -> Body:
        return _given(
            {
                "type": "TEXT",
                "text": self.text,
                "shown_text": self.shown_text,
                "callback_data": self.callback_data,
                "imageUrl": self.image_url,
                "url": self.url,
            }
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What one request says. Files and quick replies go with the last part of a text."""

    text: str = ""
    formatted: str | None = None
    files: tuple[File, ...] = ()
    quick_replies: tuple[QuickReply, ...] = ()
    answer_id: str | None = None


def files_of(reply: Reply) -> tuple[File, ...]:
    """The reply's attachments. Raises ValueError naming what edna does not take: "attachments.0.name: ..."."""
    files = []
    for number, one in enumerate(reply.attachments):
        given = {"url": one.url, "name": one.name, "type": one.type, "size": one.size}
        try:
            files.append(File.model_validate({key: value for key, value in given.items() if value is not None}))
        except ValidationError as error:
            raise ValueError(first_problem(error, "attachments", str(number))) from None
    if len(files) > MOST_FILES:
        raise ValueError(f"attachments: {len(files)}, at most {MOST_FILES} are sent")
    return tuple(files)


def buttons_of(reply: Reply) -> tuple[QuickReply, ...]:
    """The reply's quick replies. Raises ValueError naming the one that edna does not take."""
    if len(reply.quick_replies) > MOST_BUTTONS:
        raise ValueError(f"quick_replies: {len(reply.quick_replies)}, at most {MOST_BUTTONS} are sent")
    buttons = []
    for number, text in enumerate(reply.quick_replies):
        try:
            buttons.append(QuickReply(text=sound(text)))
        except ValidationError as error:
            raise ValueError(first_problem(error, "quick_replies", str(number))) from None
    return tuple(buttons)


def texts_of(reply: Reply, account: EdnaAccount) -> tuple[tuple[str, str | None], ...]:
    """The reply as plain texts of at most `max_text` characters, with the Markdown beside it where it is one text.

    Raises ValueError for a text that is too long where `long_text` is "refuse".
    """
    reply = Reply(text=sound(reply.text), format=reply.format, private=reply.private)
    plain, most = to_plain(reply), account.max_text
    formatted = to_markdown(reply) if reply.format == "markdown" else None
    if len(plain) <= most and len(formatted or "") <= most:
        return ((plain, formatted),) if plain.strip() else ()
    if len(plain) <= most:
        return ((plain, None),)
    if account.long_text == "refuse":
        raise ValueError(
            f'text: {len(plain)} characters, at most {most} are sent at once (max_text; long_text = "split")'
        )
    # Marks that a cut would tear apart are worth less than words that arrive.
    return tuple((part, None) for part in split(plain, most))


def parts_of(
    texts: Sequence[tuple[str, str | None]],
    files: tuple[File, ...],
    buttons: tuple[QuickReply, ...],
    answer_id: str | None,
) -> list[Part]:
    """A part for each text, the last one with all files and quick replies."""
    last = len(texts)
    return [
        Part(
            text=text,
            formatted=formatted,
            files=files if number == last else (),
            quick_replies=buttons if number == last else (),
            answer_id=None if answer_id is None else f"{answer_id}-{number}",
        )
        for number, (text, formatted) in enumerate(texts, start=1)
    ]


def body_of(way: Way, part: Part, whom: Recipient, account: EdnaAccount) -> Body:
    """Raises ValueError naming what this way cannot say, or what is missing to go it."""
    if part.quick_replies and way != "bot":
        raise ValueError("quick_replies: only the bot's answers have them")
    return {key: value for key, value in _BODIES[way](part, whom, account).items() if value is not None}


def _by_bot(part: Part, whom: Recipient, account: EdnaAccount) -> Body:
    if not part.text:
        raise ValueError("text: missing; the bot's answers need one, beside files too")
    return {
        "text": part.text,
        "formattedText": part.formatted,
        "answerId": part.answer_id,
        **_asker(whom),
        "quickReplies": [one.as_edna_has_it() for one in part.quick_replies] or None,
        "attachments": _files(part),
    }


def _asker(whom: Recipient) -> Body:
    by_question: Body = {"sessionId": whom.thread, "questionIndex": whom.question_index}
    is_complete = whom.thread is not None and whom.question_index is not None
    if whom.channel == E_MAIL:
        if not is_complete:
            raise ValueError("to.thread and to.question_index: a client who writes by e-mail is answered by both")
        return by_question
    if whom.threads_client_id is not None:
        return {"threadsClientId": whom.threads_client_id}
    if whom.question is not None:
        return {"questionId": whom.question}
    if is_complete:
        return by_question
    if whom.client_id is not None:
        return {"clientId": whom.client_id}
    raise ValueError(
        "to: write threads_client_id, question, thread with question_index, or client_id for the bot's answer"
    )


def _by_agent(part: Part, whom: Recipient, account: EdnaAccount) -> Body:
    if account.agent_login is None:
        raise ValueError("agent_login: missing in the account; it is the agent in whose name edna sends")
    if whom.threads_client_id is None and whom.client_id is None:
        raise ValueError("to: write threads_client_id or client_id")
    return {
        "text": part.text or None,
        "attachments": _files(part) or [],
        **_client(whom),
        "channelType": whom.channel or account.channel_type,
        "login": account.agent_login,
        "status": account.agent_status,
        "appMarker": whom.app_marker or account.app_marker,
    }


def _outgoing(part: Part, whom: Recipient, account: EdnaAccount) -> Body:
    client = _client(whom)
    if not client:
        if whom.thread is None:
            raise ValueError("to: write threads_client_id, client_id or thread")
        client = {"threadId": whom.thread_id}
    return {"text": part.text or None, "attachments": _files(part), **client}


def _to_device(part: Part, whom: Recipient, account: EdnaAccount) -> Body:
    device: Body = {
        "channelType": whom.channel or account.channel_type,
        "deviceAddress": whom.device,
        "clientId": whom.client_id,
        "unauthorizedClientId": whom.unauthorized_client_id,
        "appMarker": whom.app_marker or account.app_marker,
    }
    if whom.device is None and whom.client_id is None and whom.unauthorized_client_id is None:
        raise ValueError("to: write device, client_id or unauthorized_client_id")
    return {"text": part.text or None, "attachments": _files(part), "clientApplicationDescriptor": _given(device)}


_BODIES: Mapping[Way, Callable[[Part, Recipient, EdnaAccount], Body]] = {
    "bot": _by_bot,
    "agent": _by_agent,
    "outgoing": _outgoing,
    "device": _to_device,
}


def _client(whom: Recipient) -> Body:
    if whom.threads_client_id is not None:
        return {"threadsClientId": whom.threads_client_id}
    return {} if whom.client_id is None else {"clientId": whom.client_id}


def _files(part: Part) -> list[Body] | None:
    return [_given({"url": f.url, "name": f.name, "type": f.type, "size": f.size}) for f in part.files] or None


def _given(body: Body) -> Body:
    return {key: value for key, value in body.items() if value is not None}
