"""Which connection a request goes over, and how one is made: lookups, several addresses, TLS."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohappyeyeballs import AddrInfoType

from bridge.adapter.connections import Connections, look_up
from bridge.adapter.failures import NeverSent
from bridge.adapter.protocol import HttpAnswer
from bridge.adapter.target import target_of
from tests.fakes.sockets import answer, polite, self_signed, serving

PATIENT = 20.0
REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


@asynccontextmanager
async def opened(connections: Connections) -> AsyncIterator[Connections]:
    try:
        yield connections
    finally:
        await connections.close()


async def ask(connections: Connections, url: str, address: str | None = None) -> HttpAnswer:
    return await connections.ask(
        target_of(url), REQUEST, most=100, within=PATIENT, connect_within=PATIENT, address=address
    )


class Names:
    """Looks names up, all at the same addresses, as soon as it may; `asked` are the names."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []
        self.may = threading.Event()

    def __call__(self, host: str) -> Sequence[AddrInfoType]:
        self.asked.append(host)
        assert self.may.wait(60)
        return [one for address in self.addresses for one in look_up(address)]


async def test_a_connection_is_used_again_for_the_same_place_only() -> None:
    async with serving(polite) as server, opened(Connections()) as connections:
        for _ in range(3):
            assert (await ask(connections, server.url)).body == b"ok"
        assert server.connections == 1
        await ask(connections, server.url, "127.0.0.1")
        assert server.connections == 2
        await asyncio.gather(ask(connections, server.url), ask(connections, server.url))
        assert server.connections == 3


async def test_a_connection_that_was_idle_for_too_long_is_closed_and_not_used() -> None:
    async with serving(polite) as server, opened(Connections(idle_for=0)) as connections:
        for number in range(1, 4):
            await ask(connections, server.url)
            assert server.connections == number
        for _ in range(3):
            await server.left.acquire()


async def test_an_end_that_the_loop_has_not_seen_yet_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENT)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def take() -> socket.socket:
            taken, _ = listening.accept()
            assert taken.recv(len(REQUEST), socket.MSG_WAITALL) == REQUEST
            taken.sendall(answer())
            return taken

        async with opened(Connections(sure_for=0)) as connections:
            for _ in range(3):
                taken = asyncio.create_task(asyncio.to_thread(take))
                assert (await ask(connections, url)).body == b"ok"
                (await taken).close()


async def test_all_are_closed_at_the_end() -> None:
    async with serving(polite) as server:
        async with opened(Connections()) as connections:
            await asyncio.gather(*(ask(connections, server.url) for _ in range(5)))
        for _ in range(server.connections):
            await server.left.acquire()


async def test_who_waits_for_the_same_name_waits_for_the_same_lookup() -> None:
    names = Names("127.0.0.1")
    async with serving(polite) as server, opened(Connections(look_up=names)) as connections:
        url = server.url.replace("127.0.0.1", "a.invalid")
        asked = [asyncio.create_task(ask(connections, url)) for _ in range(3)]
        await asyncio.sleep(0)
        asked.pop().cancel()
        names.may.set()
        assert [answer.body for answer in await asyncio.gather(*asked)] == [b"ok", b"ok"]
        assert names.asked == ["a.invalid"]
        # What was found is not remembered: names move.
        await ask(connections, url.replace("a.invalid", "b.invalid"))
        assert names.asked == ["a.invalid", "b.invalid"]


async def test_the_next_address_is_tried_where_the_first_does_not_answer() -> None:
    names = Names("127.0.0.2", "127.0.0.1")
    names.may.set()
    async with serving(polite) as server, opened(Connections(look_up=names)) as connections:
        assert (await ask(connections, server.url.replace("127.0.0.1", "a.invalid"))).body == b"ok"


@pytest.mark.parametrize("host", ["no-such-host.invalid", f"{'a' * 64}.example", ".example"])
async def test_a_host_that_has_no_address_was_never_sent(host: str) -> None:
    async with opened(Connections()) as connections:
        for scheme in ("http", "https"):
            with pytest.raises(NeverSent) as caught:
                await ask(connections, f"{scheme}://{host}:9/")
            assert caught.value.detail.startswith(f"{scheme}://{host}:9: cannot connect: ")


async def test_a_name_nobody_waits_for_any_more_fails_in_silence() -> None:
    def fails(host: str) -> Sequence[AddrInfoType]:
        assert may.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    may = threading.Event()
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with opened(Connections(look_up=fails)) as connections:
        asked = asyncio.create_task(ask(connections, "http://a.invalid/"))
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        may.set()
        with pytest.raises(NeverSent, match="cannot connect: Temporary failure in name resolution"):
            await ask(connections, "http://a.invalid/")
    assert complaints == []


async def test_tls_is_spoken_over_a_connection_that_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    async with serving(polite, tls=context) as server, opened(Connections()) as connections:
        for _ in range(3):
            assert (await ask(connections, server.url)).body == b"ok"
        assert server.connections == 1
