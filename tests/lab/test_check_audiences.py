"""What `check` says of audiences that a platform is asked for, and of templates for such people."""

from pathlib import Path

import pytest

from bridge.adapter.account import Account
from bridge.line.accounts import Accounts
from bridge.platforms.chayns.account import ChaynsAccount
from bridge.platforms.helpcrunch.account import HelpCrunchAccount
from bridge.platforms.registry import ADAPTERS
from tests.lab.checking import found

SHOP = HelpCrunchAccount.model_validate({"name": "shop", "api_key": "hc-key-1234567890abcdef", "agent": 4188})
CLUB = ChaynsAccount.model_validate({"name": "club", "location_id": 378, "tapp_id": 77889, "secret": "tapp-secret-12"})
CITY = 'helpcrunch: {account: shop, filter: [{field: customers.city, operator: "=", value: Berlin}]}'
MEMBERS = "chayns: {account: club, uac_groups: [3, 5], each: true}"
MET = "met: {account: shop}"
GROUPS = "chayns: {account: club, uac_groups: [3, 5]}"


def said(
    tmp_path: Path, audience: str, text: str = "Hello", *, via: str = "shop", more: str = "", rules: str = ""
) -> list[str]:
    """What is found in a broadcast of this text to this audience, without its place."""
    book = f"""
audiences:
  those: {{{audience}}}
broadcasts:
  - {{name: offer, via: {via}, audience: those, text: "{text}"{more}}}
{rules}"""
    accounts: list[Account] = [SHOP, CLUB]
    return [one.partition(" ")[2] for one in found(tmp_path, book, accounts=Accounts(accounts, ADAPTERS))]


@pytest.mark.parametrize(
    ("audience", "text"),
    [
        (CITY, "Hello {{ name | default('you') }}, number {{ id }}"),
        (CITY, "{% if name is defined %}{{ name }}{% endif %} {{ contact.name | default('') }} {{ contact.id }}"),
        (CITY, "{{ custom.plan | default('none') }} {{ tags | join(', ') }} {{ broadcast.name }}"),
        (MEMBERS, "Hello {{ firstName | default('you') }}, number {{ id }}"),
        (GROUPS, "Hello all of you"),
        (MET, "{{ name | default('') }}{% if contact.email is defined %}{{ contact.email }}{% endif %} {{ account }}"),
    ],
)
def test_what_is_sound(tmp_path: Path, audience: str, text: str) -> None:
    assert said(tmp_path, audience, text, via="shop" if audience in (CITY, MET) else "club") == []


@pytest.mark.parametrize(
    ("audience", "text", "problem"),
    [
        (CITY, "{{ name }}", 'not everybody in the audience those has "name": give it a default'),
        (CITY, "{{ custom.plan }}", 'not everybody in the audience those has "custom.plan": give it a default'),
        (
            CITY,
            "{% if custom is defined %}{{ custom.plan }}{% endif %}",
            'not everybody in the audience those has "custom.plan"',
        ),
        (
            CITY,
            "{% if contact is defined %}{{ contact.email }}{% endif %}",
            'not everybody in the audience those has "contact',
        ),
        (CITY, "{{ contact.email }}", 'not everybody in the audience those has "contact.email": give it a default'),
        (CITY, "{{ nam | default('') }}", 'the audience those has no column "nam" (did you mean "name"?)'),
        (MET, "{{ city | default('') }}", 'the audience those has no column "city"; there are id, name, email, phone'),
        (MEMBERS, "{{ email | default('') }}", 'the audience those has no column "email"; there are id, name, first'),
        (GROUPS, "{{ name | default('') }}", 'the audience those has no column "name"; there are none'),
    ],
)
def test_variables_that_such_people_may_not_have(tmp_path: Path, audience: str, text: str, problem: str) -> None:
    [only] = said(tmp_path, audience, text, via="shop" if audience in (CITY, MET) else "club")
    assert only.startswith(problem)


@pytest.mark.parametrize(
    ("audience", "problem"),
    [
        (CITY, "the audience those is of account shop, and club sends it"),
        (CITY.replace("shop", "club"), "club is an account of chayns, and the audience is one of helpcrunch"),
    ],
)
def test_it_is_sent_by_the_account_that_is_asked(tmp_path: Path, audience: str, problem: str) -> None:
    assert said(tmp_path, audience, via="club") == [problem]


@pytest.mark.parametrize(
    ("audience", "problem"),
    [
        (
            CITY.replace(".city", ".town"),
            'audience those: filter 1: HelpCrunch finds no customers by "town"; it knows',
        ),
        (CITY.replace('"="', '">"'), "audience those: filter 1: customers.city cannot be asked by >, only by =, !="),
    ],
)
def test_what_a_platform_cannot_be_asked(tmp_path: Path, audience: str, problem: str) -> None:
    [only] = said(tmp_path, audience)
    assert only.startswith(problem)


def test_the_columns_of_an_address_are_for_files(tmp_path: Path) -> None:
    assert said(tmp_path, CITY, more=", to: {email: email}") == [
        '"to" names the columns of a file, and the audience those is none: leave it out'
    ]


ONE_GIVES_IT = """
rules:
  - name: one
    on: message
    account: shop
    when: {text: x}
    do: [{broadcast: {name: offer, variables: {said: "{{ text }}"}}}]
"""
ANOTHER = ONE_GIVES_IT.partition("rules:")[2].replace("one", "two").replace("text: x", "text: y")
NOT_GIVEN = 'not all that starts offer gives "said" (a schedule gives nothing): give it a default'


@pytest.mark.parametrize(
    ("rules", "more", "given"),
    [
        (ONE_GIVES_IT, "", True),
        (ONE_GIVES_IT + ANOTHER, "", True),
        (ONE_GIVES_IT + ANOTHER.replace("said:", "other:"), "", False),
        (ONE_GIVES_IT, ", schedule: {every: 2h}", False),
    ],
    ids=["by the only rule", "by both", "by one of two", "by a rule, and not by the schedule"],
)
def test_a_variable_is_there_if_whatever_starts_the_broadcast_gives_it(
    tmp_path: Path, rules: str, more: str, given: bool
) -> None:
    assert said(tmp_path, CITY, "{{ said }}", more=more, rules=rules) == ([] if given else [NOT_GIVEN])


def test_a_variable_with_a_default_may_be_given_by_some(tmp_path: Path) -> None:
    assert said(tmp_path, CITY, "{{ said | default('') }}", more=", schedule: {every: 2h}", rules=ONE_GIVES_IT) == []
