"""platforms/README.md: the platform that it builds, built and tried."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bridge import platforms
from bridge.adapter.protocol import Adapter, HttpAnswer, HttpCall, Webhook
from bridge.errors import Refused
from bridge.model.delivery import Failed, Sent
from tests.values import NOON, a_delivery

GUIDE = (Path(platforms.__file__).parent / "README.md").read_text(encoding="utf-8")
PARTS = dict(re.findall(r"```python (\w+)\n(.*?)```", GUIDE, re.DOTALL))


@pytest.fixture
def adapter() -> Iterator[Adapter[Any]]:
    """The guide's code, as the package that it would be."""
    package = "bridge.platforms.example"
    built = {package: ModuleType(package)}
    built[package].__path__ = []
    sys.modules[package] = built[package]
    for part in ("account", "inbound", "outbound", "adapter"):
        name = package if part == "adapter" else f"{package}.{part}"
        module = built.setdefault(name, ModuleType(name))
        sys.modules[name] = module
        exec(compile(PARTS[part], f"{part}.py", "exec"), module.__dict__)
    yield built[package].adapter
    for name in built:
        del sys.modules[name]


def a_webhook(body: bytes, key: str = "k") -> Webhook:
    headers = {"x-example-key": key}
    return Webhook(method="POST", path="/hooks/shop", headers=headers, body=body, received_at=NOON)


def test_the_platform_of_the_guide(adapter: Adapter[Any]) -> None:
    account = adapter.account.model_validate({"name": "shop", "api_key": "k"})
    webhook = a_webhook(b'{"id": "1", "chat": "c", "text": "hello"}')
    adapter.verify(webhook, account)
    (event,) = adapter.parse(webhook, account).events
    assert (event.text, event.key, event.address) == ("hello", "1", {"chat": "c"})
    steps = adapter.send(a_delivery(to=event.address), account)
    call = next(steps)
    assert isinstance(call, HttpCall)
    assert call.url == "https://api.example.com/messages"
    with pytest.raises(StopIteration) as end:
        steps.send(HttpAnswer(status=200))
    assert end.value.value == Sent()
    with pytest.raises(StopIteration) as end:
        next(adapter.send(a_delivery(to={}), account))
    assert isinstance(end.value.value, Failed)


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"id": 1}', b'{"id": "1", "chat": null}', b"[" * 100_000])
def test_hostile_bytes_are_refused(adapter: Adapter[Any], body: bytes) -> None:
    account = adapter.account.model_validate({"name": "shop", "api_key": "k"})
    with pytest.raises(Refused) as caught:
        adapter.parse(a_webhook(body), account)
    assert caught.value.status == 400
    with pytest.raises(Refused) as caught:
        adapter.verify(a_webhook(body, key="another"), account)
    assert caught.value.status == 401


def test_the_folders_that_the_guide_points_at_are_there() -> None:
    named = set(re.findall(r"`(\w+)/`", GUIDE)) - {"fixtures"}
    assert len(named) == 3
    assert {name for name in named if not (Path(platforms.__file__).parent / name / "doc.md").is_file()} == set()
