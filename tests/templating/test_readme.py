"""Every example of templates/README.md does what the page says."""

import json
import re
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from bridge.errors import Place
from bridge.templating import Templates

README = Path(__file__).parents[2] / "templates" / "README.md"
FENCES = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
VALUES = json.loads(FENCES[0][2])
VALUES["now"] = datetime.fromisoformat(VALUES["now"])
EXAMPLES = [
    (name, source, result)
    for (kind, name, source), (next_kind, _, result) in pairwise(FENCES)
    if (kind, next_kind) == ("jinja", "text")
]
FILES = [(name, source) for kind, name, source in FENCES if kind == "jinja" and name]


@pytest.fixture
def templates(tmp_path: Path) -> Templates:
    for name, source in FILES:
        (tmp_path / name).write_text(source, encoding="utf-8")
    return Templates.load(tmp_path)


def test_the_page_has_its_examples() -> None:
    assert len(EXAMPLES) == 8
    assert [name for name, _ in FILES] == ["question.md.j2", "signature.md.j2", "answer.md.j2"]


@pytest.mark.parametrize(("name", "source", "result"), EXAMPLES)
def test_an_example_gives_the_text_below_it(templates: Templates, name: str, source: str, result: str) -> None:
    place = Place(file="rules/a.yaml", line=1, column=1)
    template = templates.file(name, place) if name else templates.inline(source, place)
    assert template.render(VALUES) == result.rstrip("\n")


def test_every_filter_of_the_page_exists_and_every_filter_is_on_the_page(templates: Templates) -> None:
    page = README.read_text(encoding="utf-8")
    table = page[page.index("| filter | gives |") : page.index("`date` knows")]
    cells = [line.split("|")[1] for line in table.splitlines()[2:] if line.startswith("|")]
    on_page = set(re.findall(r"`(\w+)", " ".join(cells)))
    for name in on_page:
        templates.inline("{{ x | " + name + " }}", Place(file="a", line=1, column=1))
    assert on_page == set(templates.filters)
