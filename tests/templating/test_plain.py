"""Code is made when it is first wanted, and only where nothing can be wrong with it that making it would tell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import Place, RulebookError
from bridge.templating import Templates

PLACE = Place(file="rules/a.yaml", line=3, column=9)
NAMES = st.sampled_from(["contact", "text", "self", "context", "environment", "loop", "missing", "t_1", "ﬁ", "True_"])
CONSTANTS = st.sampled_from(["1", "2.5", "1e400", "'a'", "'{{'", "true", "none", "9" * 19, "[]", "()", "{}"])


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    one, two = "{0}", "{0} {1}"
    shapes = [
        f"{one}.name", f"{one}['a']", f"{one}[0]", f"({one} | default('x'))", f"({one} | replace({one}, 'b'))",
        f"({one} is defined)", f"({one} is divisibleby 2)", f"{one}.strip({one})", f"(not {one})", f"(-{one})",
        f"(+{one})", f"[{one}, 1]", f"({one}, 1)", f"{{'a': {one}}}",
        *(f"({two.replace(' ', f' {sign} ')})" for sign in "+-*/%~<"), "({0} // {1})", "({0} and {1})", "({0} or {1})",
        "({0} in {1})", "({0} not in {1})", "({0} if {1} else 'x')", "({0} if {1})", "(1 < {0} <= {1})",
    ]  # fmt: skip

    def filled(shape: str, first: str, second: str) -> str:
        return shape.replace("{0}", first, 1).replace("{0}", first).replace("{1}", second)

    return st.builds(filled, st.sampled_from(shapes), inner, inner)


EXPRESSIONS = st.recursive(NAMES | CONSTANTS, grown, max_leaves=12)


def compiled(source: str) -> bool:
    """Whether the text is taken, with its code made; all of its mistakes came up before that."""
    try:
        template = Templates().inline(source, PLACE)
    except RulebookError:
        return False
    template._program.make()
    return True


@given(st.lists(EXPRESSIONS, min_size=1, max_size=3), st.booleans())
def test_what_is_taken_compiles(expressions: list[str], asked: bool) -> None:
    first, *rest = expressions
    text = "".join(f"{{{{ {one} }}}} and " for one in rest)
    compiled(
        f"{{% if {first} %}}{text}{{% elif x %}}y{{% else %}}z{{% endif %}}" if asked else f"{{{{ {first} }}}}{text}"
    )


DEEP = {
    "filters": ("(", " | default('x'))"),
    "arguments": ("'a' | default(", ")"),
    "names": ("", ".a"),
    "items": ("", "['a']"),
    "calls": ("", "()"),
    "tests": ("(", " is defined)"),
    "lists": ("[a, ", "]"),
    "tuples": ("(a, ", ")"),
    "mappings": ("{'a': ", "}"),
    "not": ("(not ", ")"),
    "minus": ("-", ""),
    "sums": ("(1 + ", ")"),
    "texts": ("('a' ~ ", ")"),
    "choices": ("('a' if b else ", ")"),
    "asked": ("('a' if ", " else b)"),
    "comparisons": ("(1 < ", ")"),
    "and": ("(a and ", ")"),
}


@pytest.mark.parametrize("shape", DEEP)
def test_what_is_as_deep_as_it_may_be_compiles(shape: str) -> None:
    before, after = DEEP[shape]
    depths = [depth for depth in range(60) if compiled(f"{{{{ {before * depth}x{after * depth} }}}}")]
    assert depths == list(range(len(depths)))
    assert 15 < len(depths) < 60


def test_conditions_as_deep_as_they_may_be_compile() -> None:
    depths = [depth for depth in range(60) if compiled("{% if a %}" * depth + "{{ x }}" + "{% endif %}" * depth)]
    assert depths == list(range(len(depths)))
    assert 15 < len(depths) < 60


@pytest.mark.parametrize(
    "source",
    [
        "{{ x | default(a=1, a=2) }}",
        "{{ x[1:2, 3] }}",
        "{{ 0x" + "f" * 5000 + " }}",
        "{% block a %}{% endblock %}{% block a %}{% endblock %}",
        "{% for a in x %}" * 25 + "{% endfor %}" * 25,
    ],
    ids=["argument twice", "slice in a list", "a long number", "block twice", "loops in loops"],
)
def test_what_only_the_making_of_code_refuses_is_refused_at_once(source: str) -> None:
    with pytest.raises(RulebookError):
        Templates().inline(source, PLACE)
    if "{{" in source:
        with pytest.raises(RulebookError):
            Templates().expression(source.strip("{} "), PLACE)


def test_a_plain_text_has_no_code_before_it_is_rendered() -> None:
    template = Templates().inline("{{ text }}!", PLACE)
    assert template._program._made is None
    assert template.render({"text": "hello"}) == "hello!"
    assert template._program._made is not None
    assert template._program.make() is template._program.compiled


def test_a_loop_has_its_code_at_once() -> None:
    assert Templates().inline("{% for a in x %}{{ a }}{% endfor %}", PLACE)._program._made is not None
