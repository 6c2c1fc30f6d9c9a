"""chayns beside messages: push, e-mail and members through the real door; and that doc.md says what the code does."""

import json
import re
import tomllib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.adapter.account import Account
from bridge.adapter.protocol import HttpAnswer, HttpCall
from bridge.adapter.secret import Surroundings
from bridge.model.delivery import Failed, Outcome, Sent, Unknown
from bridge.model.event import Address
from bridge.platforms import chayns
from bridge.platforms.chayns import adapter
from bridge.platforms.chayns.account import ChaynsAccount
from bridge.platforms.chayns.operations import MOST_MEMBERS
from bridge.rulebook.action_forms import ActionForm
from tests.fakes.chayns import LOCATION, SECRET, TAPP, Chayns
from tests.platforms.driving import drive

DOC = (Path(chayns.__file__).parent / "doc.md").read_text(encoding="utf-8")
MAIL = {"subject": "Training", "text": "It is at 7"}


def an_account(**options: Any) -> ChaynsAccount:
    return ChaynsAccount(**{"name": "club", "location_id": LOCATION, "tapp_id": TAPP, "secret": SECRET, **options})


@pytest.fixture
async def fake() -> AsyncIterator[Chayns]:
    async with Chayns() as opened:
        opened.groups = {3: [1001, 1002], 5: [1002, 1003], 7: []}
        yield opened


async def perform(
    fake: Chayns, name: str, to: Address, arguments: Mapping[str, object] | None = None, **options: Any
) -> Outcome:
    operation = adapter.operations[name]
    steps = operation.steps(operation.arguments(**(arguments or {})), to, an_account(base_url=fake.url, **options))
    return await drive(steps)


async def test_a_push_goes_to_one_user_or_group(fake: Chayns) -> None:
    assert await perform(fake, "push", {"users": [1001]}, {"alert": "at 7 \ud83d"}) == Sent()
    assert await perform(fake, "push", {"uac_groups": "3"}, {"alert": "at 7"}) == Sent()
    assert fake.sent == [("/User/1001/Push", {"alert": "at 7 ?"}), ("/UAC/3/Push", {"alert": "at 7"})]
    assert fake.refused == []


async def test_an_email_goes_to_all(fake: Chayns) -> None:
    assert await perform(fake, "email", {"users": [1001, 1002], "uac_groups": 3}, MAIL) == Sent()
    whole = {**MAIL, "headline": "Today", "greeting": "Your club"}
    assert await perform(fake, "email", {"users": 1001}, whole) == Sent()
    written = {"Subject": "Training", "Text": "It is at 7"}
    assert fake.sent == [
        ("/Email", {"UserIds": [1001, 1002], "UacIds": [3], **written}),
        ("/Email", {"UserIds": [1001], **written, "Headline": "Today", "Greeting": "Your club"}),
    ]
    assert fake.refused == []


async def test_the_members_of_groups(fake: Chayns) -> None:
    assert await perform(fake, "members", {"uac_groups": [5, 3, 7]}) == Sent(
        found={"users": [1002, 1003, 1001], "count": 3}
    )
    assert await perform(fake, "members", {"uac_groups": 7}) == Sent(found={"users": [], "count": 0})
    missing = await perform(fake, "members", {"uac_groups": [3, 4]})
    assert isinstance(missing, Failed)
    assert (missing.reason, missing.permanent) == ("not_found", True)


async def test_members_without_an_answer_are_asked_for_again(fake: Chayns) -> None:
    fake.answers.append("reset")
    outcome = await perform(fake, "members", {"uac_groups": 3})
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("network", False)


async def test_a_group_that_is_longer_than_answers_are_read_is_not_cut(fake: Chayns) -> None:
    fake.groups[9] = list(range(1, 3000))
    outcome = await perform(fake, "members", {"uac_groups": 9})
    assert isinstance(outcome, Failed)
    assert "longer than answers are read" in outcome.detail
    assert outcome.permanent


async def test_more_members_than_can_be_found_are_not_cut(fake: Chayns) -> None:
    each = 500
    for group in range(100, 100 + MOST_MEMBERS // each + 1):
        fake.groups[group] = list(range(group * each, (group + 1) * each))
    most = await perform(fake, "members", {"uac_groups": list(range(100, 100 + MOST_MEMBERS // each))})
    assert isinstance(most, Sent)
    assert isinstance(most.found, dict)
    assert most.found["count"] == MOST_MEMBERS
    outcome = await perform(fake, "members", {"uac_groups": list(fake.groups)})
    assert isinstance(outcome, Failed)
    assert outcome.detail == f"to.uac_groups: more than {MOST_MEMBERS} users; ask for fewer groups at once"


@pytest.mark.parametrize("name", ["push", "email"])
async def test_what_reached_chayns_without_an_answer_is_unknown(fake: Chayns, name: str) -> None:
    fake.answers.append("reset")
    arguments: dict[str, object] = {"alert": "at 7"} if name == "push" else {**MAIL}
    assert isinstance(await perform(fake, name, {"users": 1001}, arguments), Unknown)
    assert len(fake.sent) == 1


@pytest.mark.parametrize(
    ("name", "to", "words"),
    [
        ("push", {}, "to: a push goes to one user or to one UAC group"),
        ("push", {"users": [1, 2]}, "to: a push goes to one user or to one UAC group"),
        ("push", {"sites": 379}, "to.sites: a push has no such receiver; write users, uac_groups"),
        ("push", {"users": "anna"}, "to.users: it is a list of numbers, 1 or above"),
        ("email", {}, "to: nobody is named; write one of users, uac_groups"),
        ("email", {"user_access_token": "x"}, "to.user_access_token: an e-mail has no such receiver"),
        ("members", {}, "to: no group is named; write uac_groups"),
        ("members", {"users": 5}, "to.users: a list of members has no such receiver"),
    ],
)
async def test_receivers_are_refused_by_name(fake: Chayns, name: str, to: dict[str, object], words: str) -> None:
    arguments: dict[str, dict[str, object]] = {"push": {"alert": "at 7"}, "email": {**MAIL}, "members": {}}
    outcome = await perform(fake, name, to, arguments[name])
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("invalid", True)
    assert outcome.detail.startswith(words)
    assert (fake.sent, fake.refused) == ([], [])


@pytest.mark.parametrize(
    ("name", "arguments", "field"),
    [
        ("push", {}, "alert"),
        ("push", {"alert": " "}, "alert"),
        ("push", {"alert": "x" * 20_001}, "alert"),
        ("push", {"alert": 7}, "alert"),
        ("push", {"alert": "x", "badge": 1}, "badge"),
        ("email", {**MAIL, "subject": "Hi\nBcc: all@club.example"}, "subject"),
        ("email", {**MAIL, "headline": ""}, "headline"),
        ("email", {"subject": "Hi"}, "text"),
        ("members", {"limit": 5}, "limit"),
    ],
)
def test_arguments_are_refused_by_name(name: str, arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        adapter.operations[name].arguments(**arguments)
    assert [problem["loc"] for problem in caught.value.errors()] == [(field,)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just("userId"), inner, max_size=4),
)


@given(st.integers(0, 999), st.binary() | JSON.map(lambda value: json.dumps({"data": value}).encode()))
def test_any_answer_about_members_comes_to_an_outcome(status: int, body: bytes) -> None:
    operation = adapter.operations["members"]
    steps = operation.steps(operation.arguments(), {"uac_groups": 3}, an_account())
    assert isinstance(next(steps), HttpCall)
    with pytest.raises(StopIteration) as end:
        steps.send(HttpAnswer(status=status, body=body))
    assert isinstance(end.value.value, Sent | Failed)


# The document.


def section(heading: str) -> str:
    return DOC.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def rows(heading: str) -> list[list[str]]:
    """The rows of the first table of a section, without its head."""
    table = section(heading).split("\n|", 1)[1].split("\n\n")[0].splitlines()
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table[2:]]


def test_the_headings() -> None:
    before, after = ["Set up", "Settings", "Sending", "Operations"], ["What is not known", "Limits"]
    headings = [*before, "Broadcasts to UAC groups", *after]
    assert re.findall(r"^## (.*)$", DOC, re.MULTILINE) == headings


def test_every_setting_is_described_with_its_default() -> None:
    inherited = set(Account.model_fields) - {"platform", "base_url"}
    own = {name: field for name, field in ChaynsAccount.model_fields.items() if name not in inherited}
    described = {row[0]: row[1] for row in rows("Settings")}
    assert set(described) == set(own)
    for name, field in own.items():
        required = field.is_required() or name == "platform"
        assert described[name] == ("required" if required else json.dumps(field.default))


def test_every_key_and_operation_is_described() -> None:
    assert tuple(row[0] for row in rows("Sending")) == adapter.to_keys
    described = {row[0]: (row[1], row[2]) for row in rows("Operations")}
    for name, operation in adapter.operations.items():
        fields = operation.arguments.model_fields.items()
        words = ", ".join(f"`{field}`" + ("" if info.is_required() else " (optional)") for field, info in fields)
        assert described[name][0] == (words.strip("`") or "none")
        assert described.pop(name)[1].startswith(operation.about)
    assert described == {}


def test_the_examples_of_the_document() -> None:
    settings = tomllib.loads(DOC.split("```toml\n")[1].split("```")[0].replace("   ", ""))["accounts"]["club"]
    around = Surroundings(environ={"CHAYNS_SECRET": SECRET})
    account = ChaynsAccount.model_validate({"name": "club", **settings}, context=around)
    assert (account.location_id, account.tapp_id, account.secret.reveal()) == (LOCATION, TAPP, SECRET)
    for action in yaml.safe_load(DOC.split("```yaml\n")[1].split("```")[0])["do"]:
        reply = ActionForm.model_validate(action).reply
        assert reply is not None
        assert set(reply.to or ()) <= set(adapter.to_keys)
