"""Guarded calls: which addresses are public, and that the door calls the very address that was checked."""

from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter.failures import NeverSent
from bridge.adapter.guard import Guard, Inside, Unresolved, is_public
from bridge.adapter.http import Door
from bridge.adapter.protocol import HttpCall
from bridge.clock import SetClock
from tests.fakes.sockets import polite, serving
from tests.values import NOON

PATIENT = timedelta(seconds=20)


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("8.8.8.8", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.31.0.1", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("192.0.2.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("2606:4700::1111", True),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("::ffff:8.8.8.8", True),
        ("::ffff:127.0.0.1", False),
        ("::127.0.0.1", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::808:808", False),
        ("2002:808:808::", True),
        ("2002:7f00:1::", False),
        ("2001:0:808:808::f7f7:f7f7", False),
        ("2001:0:808:808:0:0:80ff:fffe", False),
    ],
)
def test_public_addresses(text: str, public: bool) -> None:
    assert is_public(ip_address(text)) is public


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_another_form_is_as_public_as_itself(address: object) -> None:
    plain = ip_address(str(address))
    for form in (f"::ffff:{plain}", f"64:ff9b::{int(plain) >> 16:x}:{int(plain) & 0xFFFF:x}"):
        assert is_public(ip_address(form)) is is_public(plain)


class Names:
    """Answers of a name server, one after the other."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0)


async def test_one_address_inside_is_enough_to_refuse() -> None:
    assert await Guard(Names(["8.8.8.8", "9.9.9.9"])).address("a.example") == "8.8.8.8"
    with pytest.raises(Inside, match=r"it is at 10\.0\.0\.1"):
        await Guard(Names(["8.8.8.8", "10.0.0.1"])).address("a.example")
    with pytest.raises(Inside, match="fe80::1"):
        await Guard(Names(["fe80::1%eth0"])).address("a.example")
    with pytest.raises(Unresolved):
        await Guard(Names([])).address("a.example")


async def test_an_address_needs_no_name_server() -> None:
    names = Names()
    assert await Guard(names).address("8.8.8.8") == "8.8.8.8"
    assert await Guard(names).address("[2606:4700::1111]") == "2606:4700::1111"
    assert names.asked == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433", "127.1", "[::ffff:127.0.0.1]", "0"]
)
async def test_what_is_inside_is_never_called(host: str) -> None:
    async with serving(polite) as server, Door(SetClock(NOON)) as door:
        url = server.url.replace("127.0.0.1", host)
        with pytest.raises(NeverSent) as caught:
            await door.call(HttpCall(method="GET", url=url, guarded=True), timeout=PATIENT)
        assert caught.value.reason == "refused"
        assert "may not be called: it is at" in caught.value.detail
        assert server.connections == 0
        await door.call(HttpCall(method="GET", url=server.url), timeout=PATIENT)


async def test_an_unknown_name_was_never_sent() -> None:
    async with Door(SetClock(NOON)) as door:
        with pytest.raises(NeverSent) as caught:
            await door.call(HttpCall(method="GET", url="http://no-such.invalid/", guarded=True), timeout=PATIENT)
    assert caught.value.reason in ("network", "timeout")


async def test_the_address_that_was_checked_is_called() -> None:
    """The name is nobody's: were it looked up again, nothing could be reached."""
    names = Names(["127.0.0.1"], ["127.0.0.1"])
    async with serving(polite) as server, Door(SetClock(NOON), guard=Guard(names, may=lambda _: True)) as door:
        url = server.url.replace("127.0.0.1", "hooks.invalid")
        for _ in range(2):
            answer = await door.call(HttpCall(method="GET", url=url, guarded=True), timeout=PATIENT)
            assert answer.status == 200
        host = url.removeprefix("http://").encode()
        assert b"host: " + host in server.requests[0].lower()
        assert server.connections == 1
    assert names.asked == ["hooks.invalid", "hooks.invalid"]
