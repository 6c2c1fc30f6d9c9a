"""Refusals: told in the log, seldom, and never in the words of a customer."""

from typing import Any

from structlog.testing import capture_logs

from bridge.clock import SetClock
from bridge.line.refusals import EVERY, Refusals
from tests.values import NOON

HOOK = "/hooks/{account}"


def line(**fields: object) -> dict[str, Any]:
    return {"event": "refused", "log_level": "warning", "route": HOOK, **fields}


def test_a_wrong_key_is_told_with_its_reason() -> None:
    with capture_logs() as lines:
        Refusals(SetClock(NOON)).note(HOOK, "shop", 401, "x-helpcrunch-signature: missing")
    assert lines == [line(account="shop", status=401, why="x-helpcrunch-signature: missing")]


def test_of_a_bad_request_only_the_field_is_told() -> None:
    with capture_logs() as lines:
        Refusals(SetClock(NOON)).note(HOOK, None, 400, 'emailAddress: "anna@shop.example?" is no e-mail address')
    assert lines == [line(status=400, why="emailAddress")]


def test_the_same_is_told_once_a_minute_with_a_count() -> None:
    clock = SetClock(NOON)
    refusals = Refusals(clock)
    with capture_logs() as lines:
        for _ in range(4):
            refusals.note(HOOK, "shop", 401, "wrong")
        refusals.note(HOOK, "crm", 401, "wrong")
        refusals.note(HOOK, "shop", 403, "wrong")
        clock.advance(EVERY)
        for _ in range(2):
            refusals.note(HOOK, "shop", 401, "wrong")
    assert lines == [
        line(account="shop", status=401, why="wrong"),
        line(account="crm", status=401, why="wrong"),
        line(account="shop", status=403, why="wrong"),
        line(account="shop", status=401, why="wrong", more=3),
    ]
