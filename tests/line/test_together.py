"""Who may go in one call: those of the same run who are told the same, and no more than the platform takes."""

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.line.accounts import Known
from bridge.line.together import companions, joined
from bridge.model.delivery import Command, Delivery, Reply
from bridge.platforms.chayns import adapter
from bridge.platforms.chayns.account import ChaynsAccount
from bridge.platforms.registry import ADAPTERS
from tests.values import NOON, a_delivery

CLUB = {"name": "club", "location_id": 378, "tapp_id": 77889, "secret": "tapp-secret-1234"}


def club(together: int = 3) -> Known:
    return Known(account=ChaynsAccount.model_validate({**CLUB, "together": together}), adapter=adapter)


def to(user: int, text: str = "Dues are due", run: str = "1", **more: object) -> Delivery:
    made = a_delivery(id=user, rule="broadcast dues", action=run, to={"users": user}, reply=Reply(text=text))
    return replace(made, **{"account": "club", "urgency": "broadcast", **more})


def numbers(some: Sequence[Delivery]) -> list[int]:
    return [one.id for one in some]


def test_only_fresh_ones_of_the_same_run_with_the_same_text() -> None:
    others = [
        to(2, text="Something else"),
        to(3, run="2"),
        to(4, expires_at=NOON),
        to(5, unsure_since=NOON - timedelta(minutes=1)),
        to(6, command=Command(operation="chayns.push")),
        to(7, to={"users": 7, "group_chat": True}),
        to(8, to={"users": 1}),
        to(9, expires_at=NOON + timedelta(seconds=1)),
        to(10),
    ]
    assert numbers(companions(to(1), others, club(), NOON)) == [9, 10]


def test_who_does_not_go_with_others_has_no_companions() -> None:
    waiting = [to(2), to(3)]
    for alone in (to(1, urgency="live"), to(1, expires_at=NOON), to(1, to={"uac_groups": 3}), to(1, unsure_since=NOON)):
        assert companions(alone, waiting, club(), NOON) == []
    assert companions(to(1), waiting, club(1), NOON) == []
    assert companions(to(1), [], club(), NOON) == []
    elsewhere = Known(account=club().account, adapter=ADAPTERS["webchat"])
    assert companions(to(1), waiting, elsewhere, NOON) == []


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from("ab"), st.sampled_from("12"))), st.integers(1, 20))
def test_one_call_is_for_each_once_and_for_no_more_than_fit(people: list[tuple[int, str, str]], most: int) -> None:
    first, waiting = to(99, "a"), [to(user, text, run) for user, text, run in people]
    found = companions(first, waiting, club(most), NOON)
    assert all((one.reply, one.action) == (first.reply, first.action) for one in found)
    fitting = {user for user, text, run in people if (text, run) == ("a", "1")}
    assert len(found) == min(most - 1, len(fitting))
    if found:
        users = joined([first, *found], club(most)).to["users"]
        assert users == [99, *numbers(found)]
        assert len(set(numbers(found))) == len(found)
