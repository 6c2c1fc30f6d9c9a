"""Several users of chayns in one address, and their members asked for page by page."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.platforms.chayns import adapter
from bridge.platforms.chayns.account import ChaynsAccount
from bridge.platforms.chayns.receivers import intercom

CLUB = {"name": "club", "location_id": 378, "tapp_id": 77889, "secret": "tapp-secret-1234"}
ACCOUNT = ChaynsAccount.model_validate(CLUB)


def all_of(*some: Mapping[str, object]) -> Mapping[str, object] | None:
    assert adapter.together is not None
    return adapter.together.address(some, ACCOUNT)


@given(st.lists(st.integers(1, 2**63 - 1), min_size=1, max_size=50, unique=True))
def test_users_are_one_list_and_each_has_a_chat_of_their_own(users: list[int]) -> None:
    together = all_of(*({"users": number} for number in users))
    assert together is not None
    assert intercom(together) == {"UserIds": users, "UseGroupChat": False}


@pytest.mark.parametrize(
    "other",
    [
        {"users": 2, "group_chat": True},
        {"users": 2, "thread_name": "Training"},
        {"uac_groups": 3},
        {"user_access_token": "token"},
        {"users": "nobody"},
        {"users": 0},
        {},
    ],
)
def test_whose_address_says_more_goes_alone(other: Mapping[str, object]) -> None:
    assert all_of({"users": 1}, other) is None
    assert all_of(other) is None


@pytest.mark.parametrize("query", ["skip={offset}", "skip={offset}&take=100&fields=userId", ""])
def test_a_query_may_ask_for_pages(query: str) -> None:
    assert ChaynsAccount.model_validate({**CLUB, "members_query": query}).members_query == query


@pytest.mark.parametrize("query", ["skip={ofset}", "{", "a b", "?skip=1", "#"])
def test_a_query_that_is_none_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match="is not a query: write for example"):
        ChaynsAccount.model_validate({**CLUB, "members_query": query})
