"""One bridge for all tests of what comes over the wire."""

from collections.abc import Iterator

import pytest

from tests.line.served import Served, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running
