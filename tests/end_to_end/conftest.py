"""What the tests of whole servers share: a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.fakes.chromium import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running
