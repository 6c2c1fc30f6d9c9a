"""Every example of templates/README.md does what the page says."""

import json
import re
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from bridge.errors import Place
from bridge.model.event import Attachment
from bridge.model.facts import variables
from bridge.templating import TemplateFault, Templates
from tests.rulebook.books import facts
from tests.values import an_event

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


def test_every_name_of_the_page_is_there_for_an_event_that_has_everything() -> None:
    page = README.read_text(encoding="utf-8")
    table = page[page.index("| name | what it is |") :].split("\n\n", 1)[0]
    cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    file = Attachment(name="a.png", type="image/png", size=1, url="https://shop.example/a.png")
    event = an_event(text="x", url="https://shop.example", state="started", channel="web", attachment=file)
    names = variables(facts(event=event, conversation={"assigned": "Ann"}))
    assert set(re.findall(r"`(\w+)`", " ".join(cells))) == set(names)
    for dotted in re.findall(r"`(\w+)\.(\w+)`", table):
        inner = names[dotted[0]]
        assert isinstance(inner, dict)
        assert dotted[0] in ("contact", "match") or dotted[1] in inner
    assert names["messages"] == ["x"]


def test_of_a_burst_every_message_is_there() -> None:
    burst = facts(event=an_event(text="a\nb", messages=("a", "b")))
    assert variables(burst)["messages"] == ["a", "b"]
    assert "messages" not in variables(facts(event=an_event(kind="ended", text=None)))


def test_what_goes_wrong_only_with_values_does_so(templates: Templates) -> None:
    page = README.read_text(encoding="utf-8")
    (sentence,) = re.findall(r"only when there are values(.*?)it finds", page, re.DOTALL)
    sources = re.findall(r"`([^`]+)`", sentence)
    assert len(sources) == 3
    for source in sources:
        template = templates.inline(source, Place(file="rules/a.yaml", line=1, column=1))
        with pytest.raises(TemplateFault):
            template.render(VALUES)
