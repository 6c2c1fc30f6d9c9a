"""What a template tells of itself, for those who prove that it will never miss a variable."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.meta import find_undeclared_variables

from bridge.errors import Place
from bridge.templating import Templates, has_attribute
from tests.values import NOON

PLACE = Place(file="rules/a.yaml", line=1, column=1)


@given(st.text("a {}\r\n\t#%.é", max_size=30).filter(lambda text: "{" not in text))
def test_a_text_without_gaps_says_what_it_would_say_compiled(text: str) -> None:
    templates = Templates()
    whole = templates.inline("{{ '' }}" + text, PLACE)
    assert templates.inline(text, PLACE).render({}) == whole.render({})
    assert (templates.inline(text, PLACE).names, templates.inline(text, PLACE).format) == (frozenset(), "plain")


@pytest.mark.parametrize(
    "source",
    [
        "{{ a.b }} {{ c['d'].e }} {{ f(g) }}",
        "{% if a %}{{ b }}{% elif c.d %}{{ e }}{% endif %}",
        "{% for a in b %}{{ a }}{{ loop.index }}{{ c }}{% endfor %}{{ a }}",
        "{% set a = b %}{{ a }}{{ c }}",
        "{% macro a(b) %}{{ b }}{{ c }}{% endmacro %}{{ a(d) }}",
        "{% block a %}{{ b }}{% endblock %}{{ self.a() }}",
        "{% with a = b %}{{ a }}{% endwith %}{{ a }}",
        "{{ range(a) | length }} {{ b | default(c) }} {{ d is defined }}",
    ],
)
def test_the_names_are_those_that_come_from_outside(source: str) -> None:
    template = Templates().inline(source, PLACE)
    sandbox = template._program.sandbox
    outside = find_undeclared_variables(sandbox.parse(source)) - sandbox.globals.keys()
    assert {name.partition(".")[0] for name in template.names} == outside


def test_a_name_is_found_where_it_has_no_default(tmp_path: Path) -> None:
    (tmp_path / "a.md.j2").write_text(
        "{{ x | default('') }}\n{{ y }}\n{{ x }} {{ x }}\n{% include 'b.md.j2' %}", encoding="utf-8"
    )
    (tmp_path / "b.md.j2").write_text("\n{{ z.u }} {{ v | default('') }}", encoding="utf-8")
    templates = Templates.load(tmp_path)
    template = templates.file("a.md.j2", PLACE)
    assert template.needs == {"x", "y", "z.u"}
    assert template.where("x") == ((tmp_path / "a.md.j2").as_posix(), 3)
    assert template.where("z.u") == ((tmp_path / "b.md.j2").as_posix(), 2)
    assert template.where("v") == ((tmp_path / "b.md.j2").as_posix(), 2)
    assert template.where("nothing") is None
    assert templates.inline("{{ x }}", PLACE).where("x") is None


def test_the_translations_of_a_template(tmp_path: Path) -> None:
    names = [
        "a.md.j2",
        "a.uk.md.j2",
        "a.pt-br.md.j2",
        "a.UK.md.j2",
        "a.b.c.md.j2",
        "a.uk.txt.j2",
        "b.de.md.j2",
        "ab.md.j2",
    ]
    for name in names:
        (tmp_path / name).write_text("x", encoding="utf-8")
    templates = Templates.load(tmp_path)
    assert templates.variants("a.md.j2") == ("a.md.j2", "a.pt-br.md.j2", "a.uk.md.j2")
    assert templates.variants("b.md.j2") == ("b.de.md.j2",)
    assert templates.variants("c.md.j2") == ()
    for tag in ("uk", "pt-BR"):
        assert templates.file("a.md.j2", PLACE, language=tag).where("x") is None


def test_the_names_of_an_expression() -> None:
    expression = Templates().expression("memory.n > 2 and contact.name is defined", PLACE)
    assert {"memory.n", "contact.name"} <= expression.names
    assert expression({"memory": {"n": 3}, "contact": {"name": "Ada"}}) is True
    assert expression.place == PLACE


@pytest.mark.parametrize(
    ("value", "name", "there"),
    [("a", "upper", True), ("a", "format", False), ({}, "items", True), ({"a": 1}, "a", True), ({}, "a", False),
     (NOON, "year", True), (NOON, "yaer", False), (NOON - NOON, "days", True), (1, "real", False)],
)  # fmt: skip
def test_what_is_found_in_a_value(value: object, name: str, there: bool) -> None:
    assert has_attribute(value, name) == there
