"""GroupAlarm's rooms: every operation through the real door; and that doc.md says what the code does."""

import json
import re
import tomllib
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.adapter.account import Account
from bridge.adapter.protocol import HttpAnswer, HttpCall, Steps
from bridge.adapter.secret import Surroundings
from bridge.model.delivery import Failed, Outcome, Sent, Unknown
from bridge.platforms import groupalarm
from bridge.platforms.groupalarm import adapter
from bridge.platforms.groupalarm.account import GroupAlarmAccount, Paths
from bridge.platforms.groupalarm.rooms import MOST_PAGES, Room, Rooms, rooms
from bridge.rulebook.action_forms import ActionForm
from tests.fakes.groupalarm import DEFAULT_ROOM, ORGANIZATION, TOKEN, GroupAlarm
from tests.platforms.driving import drive

DOC = (Path(groupalarm.__file__).parent / "doc.md").read_text(encoding="utf-8")
PICTURE = bytes(range(256))


def an_account(**options: Any) -> GroupAlarmAccount:
    return GroupAlarmAccount(**{"name": "duty", "organization": ORGANIZATION, "api_token": TOKEN, **options})


def the_steps(name: str, account: GroupAlarmAccount, to: dict[str, object], arguments: dict[str, Any]) -> Steps:
    operation = adapter.operations[name]
    return operation.steps(operation.arguments(**arguments), to, account)


@pytest.fixture
async def fake() -> AsyncIterator[GroupAlarm]:
    async with GroupAlarm() as opened:
        opened.add_room(5, assignedUsers=[7, 8], name="Fire brigade")
        opened.add_room(6, eventID=91, type="event")
        opened.add_room(7, organizationID=18)
        yield opened


async def perform(
    fake: GroupAlarm,
    operation: str,
    to: dict[str, object] | None = None,
    options: dict[str, Any] | None = None,
    **given: Any,
) -> Outcome:
    account = an_account(base_url=fake.url, **(options or {}))
    return await drive(the_steps(operation, account, to or {}, given))


def numbers(outcome: Outcome) -> tuple[list[int], int | None]:
    """The rooms of a list, and how many there are in all."""
    if isinstance(outcome, Rooms):
        return [room.id for room in outcome.rooms], outcome.total
    assert isinstance(outcome, Sent)
    assert isinstance(outcome.found, dict)
    return [room["id"] for room in outcome.found["rooms"]], outcome.found["total"]


def known(outcome: Outcome) -> Room:
    """What was found of one room."""
    assert isinstance(outcome, Sent)
    assert isinstance(outcome.found, dict)
    users = outcome.found["users"]
    room = Room(**{**outcome.found, "users": None if users is None else tuple(users)})
    assert outcome.reference == str(room.id)
    return room


async def test_a_room_by_its_number_and_by_its_event(fake: GroupAlarm) -> None:
    found = await perform(fake, "room", {"room": 5})
    fire = Room(id=5, name="Fire brigade", type="custom", organization=ORGANIZATION, users=(7, 8))
    assert known(found) == fire
    assert known(await perform(fake, "room", {"event": 91})).id == 6
    assert isinstance(await perform(fake, "room", {"event": 91, "organization": 18}), Failed)


async def test_a_page_of_rooms(fake: GroupAlarm) -> None:
    for number in range(20, 40):
        fake.add_room(number)
    assert numbers(await perform(fake, "rooms")) == ([5, 6, *range(20, 28)], 22)
    assert numbers(await perform(fake, "rooms", limit=2, offset=21)) == ([39], 22)
    assert numbers(await perform(fake, "rooms", limit="2", offset=" 21 ")) == ([39], 22)
    assert numbers(await perform(fake, "rooms", all=True)) == ([5, 6, *range(20, 40)], 22)
    assert numbers(await perform(fake, "rooms", {"organization": 18})) == ([7], 1)
    assert numbers(await perform(fake, "rooms", {"organization": 19})) == ([], 0)
    assert fake.refused == []


async def test_all_rooms_page_by_page(fake: GroupAlarm) -> None:
    for number in range(20, 150):
        fake.add_room(number)
    account = an_account(base_url=fake.url)
    assert numbers(await drive(rooms(account))) == ([5, 6, *range(20, 150)], 132)
    assert fake.asked == [f"GET /chatrooms?organization_id=17&limit=50&offset={at}" for at in (0, 50, 100)]
    assert numbers(await drive(rooms(account, 18))) == ([7], 1)
    assert numbers(await drive(rooms(an_account(base_url=fake.url, organization=None))))[1] == 133


async def test_rooms_with_very_many_users_are_listed_in_smaller_pages(fake: GroupAlarm) -> None:
    for number in range(20, 40):
        fake.add_room(number, assignedUsers=list(range(100_000, 101_000)))
    assert numbers(await drive(rooms(an_account(base_url=fake.url)))) == ([5, 6, *range(20, 40)], 22)
    assert "GET /chatrooms?organization_id=17&limit=6&offset=0" in fake.asked


def test_pages_that_never_change_come_to_an_end() -> None:
    page = HttpAnswer(status=200, body=json.dumps({"entries": [{"id": 1, "name": "a"}], "total": 9}).encode())
    steps = rooms(an_account())
    next(steps)
    steps.send(page)
    with pytest.raises(StopIteration) as end:
        steps.send(page)
    assert numbers(end.value.value) == ([1], 9)


def test_a_list_without_an_end_is_given_up() -> None:
    pages = [b'{"entries":[{"id":%d}],"total":99999}' % number for number in range(1, MOST_PAGES + 1)]
    steps = rooms(an_account())
    next(steps)
    for page in pages[:-1]:
        steps.send(HttpAnswer(status=200, body=page))
    with pytest.raises(StopIteration) as end:
        steps.send(HttpAnswer(status=200, body=pages[-1]))
    assert isinstance(end.value.value, Failed)
    assert end.value.value.detail == f"the list of rooms cannot be read: it does not end after {MOST_PAGES} pages"


async def test_a_custom_room_is_created_changed_and_deleted(fake: GroupAlarm) -> None:
    made = await perform(fake, "create_room", name=" Night duty ", users=[7])
    assert known(made).id == 8
    assert (fake.rooms[8]["name"], fake.rooms[8]["assignedUsers"]) == ("Night duty", [7])
    await perform(fake, "rename_room", {"room": 8}, name="Day duty")
    assert (fake.rooms[8]["name"], fake.rooms[8]["assignedUsers"]) == ("Day duty", [7])
    await perform(fake, "update_room", {"room": 8}, users=[])
    assert (fake.rooms[8]["name"], fake.rooms[8]["assignedUsers"]) == ("Day duty", [])
    changed = await perform(fake, "update_room", {"room": 8}, users=[9], name="Duty")
    assert known(changed) == Room(id=8, name="Duty", type="custom", organization=ORGANIZATION, users=(9,))
    assert await perform(fake, "delete_room", {"room": 8}) == Sent(reference="8")
    assert 8 not in fake.rooms
    assert fake.refused == []


@pytest.mark.parametrize("users", [None, [{"id": 7}], "7"])
async def test_users_that_cannot_be_read_are_not_removed_by_a_new_name(fake: GroupAlarm, users: object) -> None:
    fake.rooms[5]["assignedUsers"] = users
    outcome = await perform(fake, "rename_room", {"room": 5}, name="Duty")
    if users is None:
        assert fake.rooms[5]["assignedUsers"] == []
    else:
        assert isinstance(outcome, Failed)
        assert "say them all, by update_room" in outcome.detail
        assert (fake.rooms[5]["name"], fake.rooms[5]["assignedUsers"]) == ("Fire brigade", users)
    assert isinstance(await perform(fake, "update_room", {"room": 5}, users=[9]), Sent)


async def test_the_avatar_is_set_and_removed(fake: GroupAlarm) -> None:
    content = b64encode(PICTURE).decode()
    assert await perform(fake, "avatar", {"room": 5}, content=content[:100] + "\n" + content[100:]) == Sent(
        reference="5"
    )
    assert fake.avatars == {5: PICTURE}
    assert await perform(fake, "remove_avatar", {"room": 5}) == Sent(reference="5")
    assert fake.avatars == {}
    assert isinstance(await perform(fake, "remove_avatar", {"event": 91}), Failed), "not a custom room"


async def test_the_default_room_is_created_and_removed_where_its_path_is_known(fake: GroupAlarm) -> None:
    where = {"paths": {"default_room": DEFAULT_ROOM}}
    assert known(await perform(fake, "create_default_room", options=where)).id == 8
    assert fake.rooms[8]["type"] == "default"
    assert await perform(fake, "remove_default_room", {"organization": "17"}, options=where) == Sent()
    assert 8 not in fake.rooms
    for name in ("create_default_room", "remove_default_room"):
        unknown = await perform(fake, name)
        assert isinstance(unknown, Failed)
        assert unknown.detail.startswith("accounts.duty.paths.default_room: missing")
    assert fake.refused == []


@pytest.mark.parametrize("name", ["create_room", "delete_room", "remove_avatar"])
async def test_what_may_be_repeated_is_and_what_may_not_is_unknown(fake: GroupAlarm, name: str) -> None:
    fake.answers.append("reset")
    to: dict[str, object] = {} if name == "create_room" else {"room": 5}
    given: dict[str, Any] = {"name": "Duty"} if name == "create_room" else {}
    outcome = await perform(fake, name, to, **given)
    assert isinstance(outcome, Unknown if name == "create_room" else Failed)
    assert not isinstance(outcome, Failed) or not outcome.permanent


@pytest.mark.parametrize(
    ("name", "to", "given", "words"),
    [
        ("room", {}, {}, "to: write one of room, event"),
        ("rooms", {"room": 5}, {}, "to.room: it has no use here; write organization"),
        ("create_room", {"room": 5}, {"name": "Duty"}, "to.room: it has no use here; write organization"),
        ("create_room", {}, {"name": "Duty"}, "to.organization: missing; write it there or into accounts.duty"),
        ("delete_room", {"room": "all"}, {}, "to.room: it is a number in GroupAlarm, 1 or above"),
        ("rename_room", {"event": 91}, {"name": "Duty"}, "to.organization: missing"),
        ("remove_default_room", {}, {}, "to.organization: missing"),
    ],
)
def test_an_address_is_refused_by_name(name: str, to: dict[str, object], given: dict[str, Any], words: str) -> None:
    with pytest.raises(StopIteration) as end:
        next(the_steps(name, an_account(organization=None), to, given))
    assert isinstance(end.value.value, Failed)
    assert re.match(re.escape(words), end.value.value.detail)


@pytest.mark.parametrize(
    ("name", "given", "place"),
    [
        ("rooms", {"limit": 51}, ("limit",)),
        ("rooms", {"limit": 0}, ("limit",)),
        ("rooms", {"offset": -1}, ("offset",)),
        ("rooms", {"offset": "-1"}, ("offset",)),
        ("rooms", {"limit": "abc"}, ("limit",)),
        ("create_room", {"name": "a", "users": ["abc"]}, ("users", 0)),
        ("rooms", {"all": True, "limit": 5}, ()),
        ("create_room", {}, ("name",)),
        ("create_room", {"name": " "}, ("name",)),
        ("create_room", {"name": "a\nb"}, ("name",)),
        ("create_room", {"name": "a", "users": [0]}, ("users", 0)),
        ("rename_room", {"users": [5], "name": "a"}, ("users",)),
        ("update_room", {}, ()),
        ("avatar", {"content": ""}, ("content",)),
        ("avatar", {"content": "no Base64!"}, ("content",)),
        ("avatar", {"content": "é"}, ("content",)),
        ("remove_avatar", {"content": "aGk="}, ("content",)),
    ],
)
def test_arguments_are_refused_by_name(name: str, given: dict[str, Any], place: tuple[object, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        adapter.operations[name].arguments(**given)
    assert [problem["loc"] for problem in caught.value.errors()] == [place]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
ROOMS = st.dictionaries(st.sampled_from(["id", "eventID", "name", "assignedUsers", "organizationID"]), JSON)
LISTS = st.fixed_dictionaries({"entries": st.lists(ROOMS) | JSON, "total": JSON})
ANSWERS = st.tuples(
    st.integers(0, 999) | st.just(200), st.binary() | (ROOMS | LISTS).map(lambda v: json.dumps(v).encode())
)


@given(st.sampled_from(["room", "rooms", "rename_room", "create_room", "every"]), ANSWERS, ANSWERS)
def test_any_answers_come_to_an_outcome(name: str, first: tuple[int, bytes], then: tuple[int, bytes]) -> None:
    given: dict[str, Any] = {"name": "Duty"} if name in ("rename_room", "create_room") else {}
    to: dict[str, object] = {"room": 5} if name in ("room", "rename_room") else {}
    steps = rooms(an_account()) if name == "every" else the_steps(name, an_account(), to, given)
    assert isinstance(next(steps), HttpCall)
    answers, outcome = [first, *[then] * 20], None
    try:
        for status, body in answers:
            steps.send(HttpAnswer(status=status, body=body))
    except StopIteration as end:
        outcome = end.value
    assert isinstance(outcome, Sent | Failed)


# The document.


def tables(heading: str) -> list[list[list[str]]]:
    """The rows of each table of a section, without their heads."""
    found = re.findall(r"(?:^\|.*\n)+", DOC.split(f"\n## {heading}\n")[1].split("\n## ")[0], re.MULTILINE)
    return [
        [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
        for table in found
    ]


def written(default: object) -> str:
    return "none" if default is None else json.dumps(default)


def test_the_headings() -> None:
    headings = ["Set up", "Settings", "Sending", "Operations", "What is not known", "Limits"]
    assert re.findall(r"^## (.*)$", DOC, re.MULTILINE) == headings


def test_every_setting_is_described_with_its_default() -> None:
    inherited = set(Account.model_fields) - {"platform", "base_url"}
    own = {name: field for name, field in GroupAlarmAccount.model_fields.items() if name not in inherited}
    settings, paths = tables("Settings")
    described = {row[0]: row[1] for row in settings}
    assert described.pop("platform") == "required"
    assert described.pop("paths") == "see below"
    assert described == {n: written(f.default) for n, f in own.items() if n not in ("platform", "paths")}
    assert {row[0]: row[1] for row in paths} == {n: written(f.default) for n, f in Paths.model_fields.items()}


def test_every_key_and_operation_is_described() -> None:
    assert tuple(row[0] for row in tables("Sending")[0]) == adapter.to_keys
    described = {row[0]: (row[2], row[3]) for row in tables("Operations")[0]}
    for name, operation in adapter.operations.items():
        fields = operation.arguments.model_fields.items()
        words = ", ".join(f"`{field}`" + ("" if info.is_required() else " (optional)") for field, info in fields)
        assert described.pop(name) == (words.strip("`") or "none", operation.about)
    assert described == {}


def test_the_examples_of_the_document() -> None:
    settings = tomllib.loads(DOC.split("```toml\n")[1].split("```")[0].replace("   ", ""))["accounts"]["duty"]
    around = Surroundings(environ={"GROUPALARM_TOKEN": TOKEN})
    account = GroupAlarmAccount.model_validate({"name": "duty", **settings}, context=around)
    assert (account.organization, account.token()) == (ORGANIZATION, {"API-TOKEN": TOKEN})
    for action in yaml.safe_load(DOC.split("```yaml\n")[1].split("```")[0])["do"]:
        reply = ActionForm.model_validate(action).reply
        assert reply is not None
        assert set(reply.to or ()) <= set(adapter.to_keys)
