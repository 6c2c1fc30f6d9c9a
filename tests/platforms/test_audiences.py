"""Platforms' own lists of people, tried on every platform that has one with the recordings in its folder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.adapter.protocol import HttpAnswer, HttpCall, Pages, People
from bridge.errors import Problem
from bridge.lab.dry_run import refusal_of_audience
from bridge.line.accounts import Known
from bridge.model.broadcast import Batch, ChaynsAudience, CustomerFilter, HelpCrunchAudience
from bridge.model.delivery import REASONS, Failed
from tests.platforms.recordings import FOLDERS, Recording, adapter_of, answers_of, as_recorded, plain, recordings

ASKED: Mapping[str, type[Any]] = {"helpcrunch": HelpCrunchAudience, "chayns": ChaynsAudience}
RECORDED = recordings("audience")
WITH_CALLS = [one for one in RECORDED if one.read()["calls"]]
HOSTILE = [b"", b"<html>\xff\0</html>", b"[" * 100_000, b"null", b"[]", b'{"data":7}', b'{"data":[7,null,[],{}]}']


def people_of(recording: Recording) -> People[Any]:
    people = recording.adapter.audience
    assert people is not None
    return people


def pages_of(recording: Recording) -> Pages:
    recorded = recording.read()
    asked = msgspec.convert(recorded["asked"], ASKED[recording.folder])
    return people_of(recording).page(asked, recording.account(), recorded.get("cursor"))


def walk(pages: Pages, answers: Sequence[HttpAnswer]) -> tuple[list[HttpCall], Batch | Failed]:
    """The calls that are made with these answers, of which the last is given again and again; and what comes of it."""
    calls: list[HttpCall] = []
    try:
        step = next(pages)
        while True:
            assert isinstance(step, HttpCall)
            assert len(calls) < 100
            calls.append(step)
            step = pages.send(answers[min(len(calls), len(answers)) - 1])
    except StopIteration as end:
        result: Batch | Failed = end.value
        return calls, result


@pytest.mark.parametrize("recording", RECORDED, ids=str)
def test_a_recorded_page_is_asked_for_and_read(recording: Recording) -> None:
    recorded = recording.read()
    calls, result = walk(pages_of(recording), answers_of(recorded))
    made = [as_recorded(call, expected, None) for call, expected in zip(calls, recorded["calls"], strict=True)]
    assert made == recorded["calls"]
    if isinstance(result, Failed):
        assert plain(result.detail) == recorded["failed"]["detail"]
        assert (result.reason, result.permanent) == (recorded["failed"]["reason"], recorded["failed"]["permanent"])
        return
    assert json.loads(msgspec.json.encode(result.people)) == recorded["people"]
    assert result.cursor == recorded["next"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_every_list_of_people_is_recorded_whole_in_pages_and_refused(folder: Path) -> None:
    mine = [one.read() for one in RECORDED if one.folder == folder.name]
    if adapter_of(folder.name).audience is None:
        assert mine == []
        return
    assert any("people" in one and one["next"] is None for one in mine)
    assert any(one.get("next") for one in mine)
    assert any(one.get("cursor") for one in mine)
    assert any(one.get("failed", {}).get("reason") == "auth" for one in mine)


@pytest.mark.parametrize("recording", RECORDED, ids=str)
def test_people_have_what_is_said_of_them_and_can_be_written_to(recording: Recording) -> None:
    people = people_of(recording)
    _, result = walk(pages_of(recording), answers_of(recording.read()))
    for one in result.people if isinstance(result, Batch) and recording.read()["calls"] else ():
        if not isinstance(one, Problem):
            assert set(people.always) <= set(one.variables) <= set(people.knows)
            assert one.address
            assert set(one.address) <= set(recording.adapter.to_keys)


@pytest.mark.parametrize("recording", WITH_CALLS, ids=str)
def test_every_call_is_safe_and_asks_for_long_answers(recording: Recording) -> None:
    calls, _ = walk(pages_of(recording), answers_of(recording.read()))
    assert [(call.safe, (call.most or 0) > 1_000_000) for call in calls] == [(True, True)] * len(calls)


@pytest.mark.parametrize("recording", WITH_CALLS, ids=str)
@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
def test_hostile_answers_are_failures_or_people(recording: Recording, status: int) -> None:
    for body in HOSTILE:
        _, result = walk(pages_of(recording), [HttpAnswer(status=status, body=body)])
        if isinstance(result, Failed):
            assert result.reason in REASONS
            assert result.detail.isprintable()
            assert result.permanent or status in (200, 429, 500)
        else:
            assert status == 200


def known(platform: str, **options: object) -> Known:
    adapter = adapter_of(platform)
    return Known(account=adapter.account.model_validate({"name": "mine", **options}), adapter=adapter)


SHOP = {"api_key": "hc-key-1234567890abcdef", "agent": 4188}


@pytest.mark.parametrize(
    ("field", "operator", "value", "why"),
    [
        ("customers.city", "=", "Berlin", None),
        ("customers.tagsData", "=", "vip", None),
        ("customers.id", ">", 17, None),
        ("customers.lastSeen", ">=", 1_700_000_000, None),
        ("customers.lastSeen", ">=", "2026-01-01", None),
        ("customers.citty", "=", "x", 'filter 1: HelpCrunch finds no customers by "citty" (did you mean "city"?)'),
        ("city", "=", "x", 'filter 1: write "customers.city" in place of "city"'),
        ("customers.city", ">", "x", "filter 1: customers.city cannot be asked by >, only by =, !=, ~, !~"),
        ("customers.tagsData", "~", "x", "filter 1: customers.tagsData cannot be asked by ~, only by ="),
        ("customers.id", "=", "x", "filter 1: customers.id is a whole number, 1 or above"),
        ("customers.phone", "=", 380, "filter 1: customers.phone is one line of 1 to 1,000 characters"),
        ("customers.name", "=", True, "filter 1: customers.name is never true or false"),
        ("customers.lastSeen", ">", float("inf"), "filter 1: customers.lastSeen is a time in seconds since 1970"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_any_call(
    field: str, operator: str, value: Any, why: str | None
) -> None:
    asked = HelpCrunchAudience(account="mine", filter=(CustomerFilter(field=field, operator=operator, value=value),))
    said = refusal_of_audience(asked, known("helpcrunch", **SHOP))
    assert said is None if why is None else str(said).startswith(why)


def test_who_has_no_list_of_people_says_so() -> None:
    room = known("webchat")
    assert refusal_of_audience(ChaynsAudience(account="mine", uac_groups=(3,)), room) == "webchat has no list of people"
