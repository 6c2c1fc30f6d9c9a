from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bridge.templating import Templates

Load = Callable[[Mapping[str, str]], Templates]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Writes template files and loads them all."""

    def write_and_load(files: Mapping[str, str]) -> Templates:
        for name, source in files.items():
            path = tmp_path / "templates" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")
        return Templates.load(tmp_path / "templates")

    return write_and_load
