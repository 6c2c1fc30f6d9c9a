"""Deliveries: which way they go, the log-in that all share, long texts; and over real HTTP to a strict edna."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter.protocol import HttpAnswer, HttpCall, Steps
from bridge.model.delivery import Failed, Outcome, Reply, Sent, Unknown
from bridge.model.event import Attachment
from bridge.platforms.edna import adapter
from bridge.platforms.edna.account import EdnaAccount
from bridge.platforms.edna.recipient import read_recipient, way_to
from bridge.platforms.edna.session import MOST_BEGUN, Session
from tests.fakes.chat_server import Say
from tests.fakes.edna import PASSWORD, Edna
from tests.platforms.driving import drive
from tests.platforms.edna_calls import MESSAGE, an_account, issued, parse, taken, walk
from tests.values import a_delivery

CLIENT = {"threads_client_id": 17}
ASKED = {**CLIENT, "bot": True, "thread": "902", "question": 5501, "question_index": 1, "channel": "WEB"}
BUSY = HttpAnswer(status=429)
BOT_ONLY = {"login": None, "password": None, "agent_login": None}


# The way.


@pytest.mark.parametrize(
    ("to", "options", "way"),
    [
        (ASKED, {}, "bot"),
        ({"bot": True, **CLIENT}, {}, "bot"),
        ({"question": 5501}, {}, "bot"),
        ({"thread": "902", "question_index": 1}, {}, "bot"),
        (ASKED, {"bot_token": None}, "agent"),
        ({**CLIENT, "bot": False}, {}, "agent"),
        ({"client_id": "c-17"}, {}, "agent"),
        (CLIENT, {"agent_login": None}, "outgoing"),
        (CLIENT, BOT_ONLY, "bot"),
        ({"thread": "902"}, {}, "outgoing"),
        ({"device": "d"}, {}, "device"),
        ({"device": "d", **CLIENT}, {}, "agent"),
        (ASKED, {"send_by": "agent"}, "agent"),
        (CLIENT, {"send_by": "bot"}, "bot"),
        (ASKED, {"send_by": "outgoing"}, "outgoing"),
        (ASKED, {"send_by": "device"}, "device"),
    ],
)
def test_the_way_a_reply_goes(to: dict[str, object], options: dict[str, Any], way: str) -> None:
    assert way_to(read_recipient(to), an_account(**options)) == way


@pytest.mark.parametrize("action", ["MESSAGE", "INIT_CHAT"])
def test_who_asks_the_bot_is_answered_by_the_bot(action: str) -> None:
    (event,) = parse({**MESSAGE, "action": action, "questionId": None, "questionIndex": None}).events
    (call,), _ = walk(adapter.send(a_delivery(to=event.address), an_account()), [taken()])
    assert call.url.endswith("/api/v1/chatbot")


@pytest.mark.parametrize(
    ("to", "options", "words"),
    [
        ({"threads_client_id": "seventeen"}, {}, "to.threads_client_id: it is a whole number, 0 or above"),
        ({"threads_client_id": -1}, {}, "to.threads_client_id: it is a whole number"),
        ({"threads_client_id": True}, {}, "to.threads_client_id: it is a whole number"),
        ({"client_id": "a\nb"}, {}, "to.client_id: it is one line of 1 to 255 characters"),
        ({"client_id": " "}, {}, "to.client_id: it is one line"),
        ({**CLIENT, "bot": "yes"}, {}, "to.bot: it is true or false"),
        ({**CLIENT, "channel": "web"}, {}, "to.channel: it is a channel type in capitals"),
        ({"bot": True}, {}, "to: write threads_client_id, question, thread with question_index, or client_id"),
        (
            {**CLIENT, "bot": True, "channel": "EMAIL"},
            {},
            "to.thread and to.question_index: a client who writes by e-mail",
        ),
        ({}, {"send_by": "agent"}, "to: write threads_client_id or client_id"),
        ({}, {"send_by": "device"}, "to: write device, client_id or unauthorized_client_id"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_by_name(
    to: dict[str, object], options: dict[str, Any], words: str
) -> None:
    calls, outcome = walk(adapter.send(a_delivery(to=to), an_account(**options)), [])
    assert calls == []
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("invalid", True)
    assert outcome.detail.startswith(words)


def test_numbers_may_be_texts_as_templates_make_them() -> None:
    account = an_account(send_by="agent")
    _, call = walk(adapter.send(a_delivery(to={"threads_client_id": "17"}), account), [issued(), taken()])[0]
    assert json.loads(call.body or b"")["threadsClientId"] == 17


# Long texts.


def test_marks_that_make_a_text_too_long_are_left_out() -> None:
    account, reply = an_account(max_text=10), Reply(text="**123456789**", format="markdown")
    (call,), _ = walk(adapter.send(a_delivery(to=ASKED, reply=reply), account), [taken()])
    assert call.body is not None
    said = json.loads(call.body)
    assert (said["text"], "formattedText" in said) == ("123456789", False)


def exhaust(steps: Steps, answer: HttpAnswer) -> tuple[list[HttpCall], Outcome]:
    """The calls that are made while each of them gets this answer, and the outcome."""
    calls: list[HttpCall] = []
    given: HttpAnswer | None = None
    while True:
        try:
            call = next(steps) if given is None else steps.send(given)
        except StopIteration as end:
            return calls, end.value
        assert isinstance(call, HttpCall)
        calls.append(call)
        given = answer


def bodies(calls: list[HttpCall]) -> list[dict[str, Any]]:
    return [json.loads(call.body or b"") for call in calls]


def test_an_attempt_goes_on_where_the_last_one_stopped() -> None:
    account, delivery = an_account(max_text=10), a_delivery(to=ASKED, reply=Reply(text="One. Two. Three. Four."))
    first, outcome = walk(adapter.send(delivery, account), [taken(1), BUSY])
    assert isinstance(outcome, Failed)
    second, outcome = walk(adapter.send(delivery, account), [taken(2), taken(3)])
    assert outcome == Sent(reference="1, 2, 3")
    assert [body["text"] for body in bodies(first)] == ["One. Two.", "Three."]
    assert [body["text"] for body in bodies(second)] == ["Three.", "Four."]
    assert bodies(first)[1]["answerId"] == bodies(second)[0]["answerId"]
    assert len({body["answerId"] for body in bodies(first + second)}) == 3
    assert account.session.taken(delivery) == ()


def test_an_attempt_whose_answer_never_came_keeps_what_was_taken() -> None:
    account, delivery = an_account(max_text=10), a_delivery(to=ASKED, reply=Reply(text="One. Two. Three."))
    steps = adapter.send(delivery, account)
    next(steps)
    steps.send(taken(1))
    steps.close()
    assert account.session.taken(delivery) == ("1",)
    assert account.session.taken(a_delivery(to=ASKED, reply=Reply(text="Another text."))) == ()


def test_the_progress_that_is_kept_is_bounded() -> None:
    session = Session()
    for number in range(MOST_BEGUN + 1):
        session.note(a_delivery(id=number), ("1",))
    assert session.taken(a_delivery(id=0)) == ()
    assert session.taken(a_delivery(id=1)) == ("1",)


@given(st.text(min_size=1, max_size=200), st.integers(5, 60), st.sampled_from(["plain", "markdown"]))
def test_no_word_is_lost_and_no_part_too_long(text: str, most: int, form: Any) -> None:
    account, reply = an_account(max_text=most), Reply(text=text, format=form)
    calls, outcome = exhaust(adapter.send(a_delivery(to=ASKED, reply=reply), account), taken())
    assert isinstance(outcome, Sent) == bool(calls)
    said = [body["text"] for body in bodies(calls)]
    assert all(0 < len(part) <= most for part in said)
    assert all(len(body.get("formattedText", "")) <= most for body in bodies(calls))
    if form == "plain":
        assert "".join("".join(said).split()) == "".join(text.split())


def test_half_a_character_does_not_cost_the_reply() -> None:
    reply = Reply(text="9 \ud83d€", format="markdown")
    (call,), _ = walk(adapter.send(a_delivery(to=ASKED, reply=reply), an_account()), [taken()])
    assert bodies([call])[0]["text"] == bodies([call])[0]["formattedText"] == "9 ?€"


# Hostile answers and addresses.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "token"]), inner, max_size=2),
)
ANSWERS = st.builds(
    HttpAnswer,
    status=st.sampled_from([200, 204, 302, 400, 401, 403, 404, 429, 500]) | st.integers(0, 999),
    headers=st.dictionaries(st.sampled_from(["authorization", "retry-after"]), st.text(), max_size=2),
    body=st.binary() | JSON.map(lambda value: json.dumps(value).encode()),
)


@given(st.lists(ANSWERS, min_size=12, max_size=12))
def test_any_answers_come_to_an_outcome(answers: list[HttpAnswer]) -> None:
    steps = adapter.send(a_delivery(to=CLIENT, reply=Reply(text="One. Two.")), an_account(max_text=5))
    next(steps)
    outcome: Outcome | None = None
    for answer in answers:
        try:
            steps.send(answer)
        except StopIteration as end:
            outcome = end.value
            break
    assert isinstance(outcome, Sent | Failed)
    assert isinstance(outcome, Sent) or (outcome.detail.isprintable() and len(outcome.detail) < 400)


@given(st.dictionaries(st.sampled_from(adapter.to_keys), JSON), st.sampled_from(["auto", "bot", "agent", "outgoing"]))
def test_any_address_is_written_to_or_refused(to: dict[str, object], send_by: str) -> None:
    calls, outcome = exhaust(adapter.send(a_delivery(to=to), an_account(send_by=send_by)), HttpAnswer(status=403))
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("auth" if calls else "invalid", True)
    assert all(isinstance(body, dict) for body in bodies(calls))


# Over real HTTP.


@pytest.fixture
async def fake() -> AsyncIterator[Edna]:
    async with Edna() as opened:
        yield opened


def at(fake: Edna, **options: Any) -> EdnaAccount:
    return an_account(base_url=fake.url, **options)


async def deliver(account: EdnaAccount, to: Mapping[str, object], *, patience: float = 20, **changes: Any) -> Outcome:
    outcome = await drive(adapter.send(a_delivery(to=to, **changes), account), patience=patience)
    assert isinstance(outcome, Sent) or PASSWORD not in outcome.detail
    return outcome


async def test_every_way_is_taken_by_a_strict_edna(fake: Edna) -> None:
    account = at(fake, app_marker="shop-app", locale="ru")
    formatted = Reply(text="**9** €", format="markdown")
    assert await deliver(account, ASKED, reply=formatted) == Sent(reference="1")
    assert await deliver(account, {**ASKED, "channel": "EMAIL"}, id=2) == Sent(reference="2")
    assert await deliver(account, {"question": 5501}, id=3) == Sent(reference="3")
    assert await deliver(account, {"client_id": "c-17"}, reply=formatted) == Sent(reference="4")
    assert await deliver(account, {**CLIENT, "client_id": "nobody", "channel": "TELEGRAM"}) == Sent(reference="5")
    assert await deliver(account, {"thread": "902"}) == Sent(reference="6")
    assert await deliver(account, {"device": "device-1"}) == Sent(reference="7")
    ways = [path for path, _ in fake.sent]
    assert ways == [*["chatbot"] * 3, *["outgoing-from-myself"] * 2, "outgoing", "outgoing-to-device"]
    assert (fake.refused, fake.log_ins) == ([], 1)
    assert fake.sent[0][1]["formattedText"] == "**9** €"
    assert fake.sent[3][1] == {
        "text": "9 €", "attachments": [], "clientId": "c-17", "login": "bot", "status": "READY",
        "channelType": "MOBILE", "appMarker": "shop-app",
    }  # fmt: skip


FILE = Attachment(name="test.jpg", type="image/jpeg", size=256, url="https://files.example/test.jpg")


async def test_files_and_quick_replies_go_with_the_last_part(fake: Edna) -> None:
    reply = Reply(text="Which? " * 400, attachments=(FILE,), quick_replies=("Red", "Blue"))
    assert await deliver(at(fake), ASKED, reply=reply) == Sent(reference="1, 2")
    said = [body for _, body in fake.sent]
    assert [len(body.get("quickReplies", [])) for body in said] == [0, 2]
    assert said[1]["quickReplies"][0] == {"type": "TEXT", "text": "Red"}
    assert [len(body.get("attachments", [])) for body in said] == [0, 1]
    assert len({body["answerId"] for body in said}) == 2
    for to in (CLIENT, {"thread": "902"}, {"device": "device-1"}):
        file_only = Reply(text="", attachments=(FILE,))
        assert isinstance(await deliver(at(fake), to, reply=file_only), Sent)
    assert fake.sent[-1][1]["attachments"] == [
        {"url": FILE.url, "name": FILE.name, "type": FILE.type, "size": FILE.size}
    ]
    assert fake.refused == []


@pytest.mark.parametrize(
    ("to", "reply", "words"),
    [
        (CLIENT, Reply(text="a", quick_replies=("b",)), "quick_replies: only the bot's answers have them"),
        (ASKED, Reply(text="", attachments=(FILE,)), "text: missing; the bot's answers need one"),
        (ASKED, Reply(text="a", quick_replies=("",)), "quick_replies.0.text: "),
        (ASKED, Reply(text="a", quick_replies=("b",) * 21), "quick_replies: 21, at most 20 are sent"),
        (ASKED, Reply(text="a", attachments=(FILE,) * 21), "attachments: 21, at most 20 are sent"),
        (CLIENT, Reply(text="a", attachments=(Attachment(name="a.jpg"),)), "attachments.0.url: Field required"),
        (
            CLIENT,
            Reply(text="a", attachments=(FILE, Attachment(name="a.jpg", url="file:///etc/passwd"))),
            "attachments.1.url: String should match pattern",
        ),
        (
            CLIENT,
            Reply(text="a", attachments=(Attachment(name="offer", url="https://files.example/1"),)),
            'attachments.0: name: without an ending (".jpg")',
        ),
    ],
)
def test_what_edna_does_not_take_is_refused_by_name(to: dict[str, object], reply: Reply, words: str) -> None:
    calls, outcome = walk(adapter.send(a_delivery(to=to, reply=reply), an_account()), [])
    assert calls == []
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert outcome.detail.startswith(words)


async def test_a_long_text_is_sent_in_parts_and_never_over_the_limit(fake: Edna) -> None:
    text = "Sentence number one. " * 300
    assert await deliver(at(fake), CLIENT, reply=Reply(text=text)) == Sent(reference="1, 2, 3, 4")
    said = [body["text"] for _, body in fake.sent]
    assert " ".join(said).split() == text.split()
    assert fake.refused == []


async def test_a_closed_thread_and_an_unknown_client(fake: Edna) -> None:
    fake.threads[902]["status"] = "CLOSED"
    outcome = await deliver(at(fake), {"thread": "902"})
    assert outcome == Failed(reason="invalid", detail='400: {"message": "the thread is closed"}', permanent=True)
    outcome = await deliver(at(fake), {"threads_client_id": 99})
    assert outcome == Failed(reason="not_found", detail='404: {"message": "no such client"}', permanent=True)


async def test_an_outage_is_temporary(fake: Edna) -> None:
    fake.log_in_answers.append(Say(status=503, body="down"))
    assert await deliver(at(fake), CLIENT) == Failed(reason="unavailable", detail="log-in: 503: down")
    fake.answers.append(Say(status=429, headers={"Retry-After": "7"}, body=""))
    outcome = await deliver(at(fake), CLIENT)
    assert outcome == Failed(reason="rate_limited", detail="429: no explanation", retry_after=7.0)
    assert fake.sent == []


async def test_a_log_in_without_an_answer_is_made_again_and_a_message_is_unknown(fake: Edna) -> None:
    account = at(fake)
    fake.log_in_answers.append("reset")
    outcome = await deliver(account, CLIENT)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("network", False)
    fake.answers.append("reset")
    assert isinstance(await deliver(account, CLIENT), Unknown)
    assert len(fake.sent) == 1


async def test_a_repeated_answer_of_the_bot_has_the_same_id(fake: Edna) -> None:
    account = at(fake)
    fake.answers.append("reset")
    assert isinstance(await deliver(account, ASKED), Unknown)
    assert await deliver(account, ASKED) == Sent(reference="1")
    assert len(fake.sent) == 1
