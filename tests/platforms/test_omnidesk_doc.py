"""doc.md says what the code does: its tables, settings, commands and answers are run here."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from bridge.adapter.account import Account
from bridge.adapter.protocol import HttpCall, Notice, Standing, Webhook
from bridge.adapter.secret import Surroundings
from bridge.adapter.signatures import sign_standard
from bridge.errors import Refused
from bridge.model.delivery import Reply
from bridge.model.quantity import say_duration
from bridge.platforms import omnidesk
from bridge.platforms.omnidesk import adapter
from bridge.platforms.omnidesk.account import OmnideskAccount
from bridge.platforms.omnidesk.operations import OPERATIONS, Operation
from tests.platforms.omnidesk_calls import KEY, NOON, SESSION, a_call, a_form, a_webhook, answered
from tests.values import a_delivery

DOC = (Path(omnidesk.__file__).parent / "doc.md").read_text(encoding="utf-8")
HEADINGS = [
    "Set up",
    "Settings",
    "Operations and their fields",
    "What an event becomes",
    "Answers",
    "Operations for rules",
    "Sending",
    "What is not known",
    "Limits",
]


def section(heading: str) -> str:
    return DOC.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def table(heading: str) -> list[list[str]]:
    """The rows of the first table of a section, without its head."""
    lines = [line for line in section(heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```$", DOC, re.DOTALL | re.MULTILINE)
    return [str(block) for block in found]


def documented_account() -> OmnideskAccount:
    around = Surroundings(environ={"SITE_API_KEY": KEY})
    site = tomllib.loads(blocks("toml")[0])["accounts"]["site"]
    return OmnideskAccount.model_validate({"name": "site", **site}, context=around)


def rows_of(operation: Operation) -> list[list[str]]:
    def code(text: str) -> str:
        return f"`{text}`" if text else ""

    fields = [*operation.fields, *([operation.file] if operation.file else [])]
    if not fields:
        return [[code(operation.name), *[""] * 7]]
    return [
        [
            code(operation.name),
            code(field.name),
            field.type,
            "yes" if field.required else "no",
            str(field.least or ""),
            str(field.most or ""),
            code(field.pattern),
            code(field.default),
        ]
        for field in fields
    ]


def test_the_headings() -> None:
    assert re.findall(r"^## (.*)$", DOC, re.MULTILINE) == HEADINGS


def test_the_table_of_fields_is_the_table_of_the_code() -> None:
    expected = [row for operation in OPERATIONS.values() for row in rows_of(operation)]
    assert table("Operations and their fields") == expected


def test_every_setting_is_described_with_its_default() -> None:
    own = {name: field for name, field in OmnideskAccount.model_fields.items() if name not in Account.model_fields}
    described = {row[0].strip("`"): row[1] for row in table("Settings")}
    assert set(described) == {*own, "platform", "base_url"}
    for name, field in own.items():
        if field.is_required():
            assert described[name] == "required"
            continue
        default = field.get_default(call_default_factory=True)
        written = say_duration(default) if isinstance(default, timedelta) else default
        text = described[name].strip("`")
        assert (None if text == "none" else tomllib.loads(f"x = {text}")["x"]) == written


def test_the_table_of_operations_is_that_of_the_code() -> None:
    def listed(names: Iterable[str]) -> str:
        return ", ".join(f"`{name}`" for name in names)

    rows = [
        # What is passed on comes from the event, so a rule gives no arguments.
        [
            f"`{name}`",
            listed(operation.arguments.model_fields if operation.of_event is None else ()),
            listed(operation.finds),
            operation.about,
        ]
        for name, operation in adapter.operations.items()
    ]
    assert table("Operations for rules") == rows


def test_the_documented_accounts_are_accounts() -> None:
    secrets = {"SITE_API_KEY": KEY, "OMNIDESK_API_KEY": "key", "OMNIDESK_WEBHOOK_SECRET": "any-secret"}
    desk, tickets, mapping = (tomllib.loads(block) for block in blocks("toml")[1:])
    accounts = {**desk["accounts"], **tickets["accounts"]}
    accounts["tickets"] |= mapping
    around = Surroundings(environ=secrets)
    read = {n: OmnideskAccount.model_validate({"name": n, **one}, context=around) for n, one in accounts.items()}
    assert (read["desk"].base_url, read["tickets"].webhook_path("text")) == (
        "https://company.omnidesk.com",
        "data.text",
    )


def test_the_documented_mapping_reads_the_documented_body() -> None:
    body = re.findall(r'`(\{"type": "chat.message".*?\}\})`', section("Set up"))[0].encode()
    tickets = tomllib.loads(blocks("toml")[2])["accounts"]["tickets"] | tomllib.loads(blocks("toml")[3])
    around = Surroundings(environ={"OMNIDESK_WEBHOOK_SECRET": "any-secret"})
    account = OmnideskAccount.model_validate({"name": "tickets", **tickets}, context=around)
    signed = sign_standard(account.webhook_secrets, "msg_1", NOON, body)
    request = a_webhook("", body, headers=signed)
    adapter.verify(request, account)
    (event,) = adapter.parse(request, account).events
    assert (event.kind, event.sender, event.conversation, event.text) == ("message", "agent", SESSION, "10 €")


def as_request(command: str) -> Webhook:
    """What a documented curl command sends."""
    words = shlex.split(command.replace("\\\n", " ").replace("$SITE_API_KEY", KEY))
    assert words[0] == "curl"
    url = urlsplit(words[1])
    options = list(zip(words[2::2], words[3::2], strict=True))
    headers = {name.lower(): value for flag, line in options if flag == "-H" for name, value in [line.split(": ", 1)]}
    forms = {"-F": multipart, "-d": urlencoded}
    bodies = [flag for flag in forms if any(flag == option for option, _ in options)]
    content_type, body = forms[bodies[0]]([value for flag, value in options if flag == bodies[0]])
    return a_webhook(
        url.path.rpartition("/")[2],
        body,
        path=url.path,
        query=dict(parse_qsl(url.query)),
        headers={"content-type": content_type, **headers},
    )


def multipart(values: list[str]) -> tuple[str, bytes]:
    content_type, body = a_form(dict(value.split("=", 1) for value in values))
    return content_type, body.replace(b'name="file"\r\n\r\n@photo.png', b'name="file"; filename="photo.png"\r\n\r\nPNG')


def urlencoded(values: list[str]) -> tuple[str, bytes]:
    if values[0].startswith("{"):
        return "application/json", values[0].encode()
    return "application/x-www-form-urlencoded", "&".join(values).encode()


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        (0, "message", "How much is it?"),
        (1, "message", "How much is it?"),
        (2, "typing", None),
        (3, "attachment", None),
    ],
)
def test_the_commands_work(number: int, kind: str, text: str | None) -> None:
    request, account = as_request(blocks("sh")[number]), documented_account()
    adapter.verify(request, account)
    (event,) = adapter.parse(request, account).events
    assert (event.kind, event.text, event.conversation) == (kind, text, SESSION)
    assert len(blocks("sh")) == 4


@pytest.mark.parametrize("row", table("Answers"), ids=lambda row: row[0])
def test_the_answers_are_those_that_are_given(row: list[str]) -> None:
    operation, documented = row[0].strip("`"), json.loads(row[1].strip("`"))
    notice: Notice = adapter.parse(a_call(operation), documented_account())
    assert answered(notice, Standing(online=True, open=5, waiting=2)) == documented


def test_the_documented_refusal() -> None:
    with pytest.raises(Refused) as caught:
        adapter.parse(a_call("notifyUserEndChat", chatSessionID="abc"), documented_account())
    body = adapter.refuse(caught.value.status, caught.value.message).body.decode()
    assert f"`{body}`" in section("Answers")


def test_the_documented_call_is_the_one_that_is_made() -> None:
    to = {"session": SESSION, "chat_server": "https://chat.example.com"}
    call = next(adapter.send(a_delivery(to=to, reply=Reply(text="It is 10 €.")), documented_account()))
    assert isinstance(call, HttpCall)
    assert (call.method, call.url) == ("POST", "https://chat.example.com/messageForCustomer")
    assert call.body == blocks("json")[0].strip().encode()
