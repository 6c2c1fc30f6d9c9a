"""What tells a repeat."""

from datetime import timedelta

from msgspec.structs import replace

from bridge.adapter.account import Account
from bridge.adapter.repeat import digest, name_of
from tests.values import a_delivery


def test_the_same_content_has_the_same_digest() -> None:
    assert digest(b"") == "cae66941d9efbd404e4d88758ea67670"
    assert digest(b"yes") == digest(b"".join([b"y", b"es"])) != digest(b"yes ")


def test_a_delivery_keeps_its_name_and_shares_it_with_no_other() -> None:
    account = Account(name="shop", platform="any")
    delivery = a_delivery()
    again = replace(delivery, attempts=3)
    others = [
        replace(delivery, id=delivery.id + 1),
        replace(delivery, created_at=delivery.created_at + timedelta(milliseconds=1)),
    ]
    assert name_of(delivery, account) == name_of(again, account)
    names = [name_of(one, account) for one in (delivery, *others)]
    names.append(name_of(delivery, Account(name="store", platform="any")))
    assert len(set(names)) == 4
