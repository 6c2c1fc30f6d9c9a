"""Ids that are numbers: as such, or as the texts of digits that templates and platforms make of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter.number import LARGEST, whole_number


@given(st.integers(1, LARGEST))
def test_a_number_and_its_digits_are_the_same(number: int) -> None:
    assert whole_number(number) == whole_number(str(number)) == number


@given(st.integers(-(2**80), 2**80), st.integers(0, 3))
def test_too_small_and_too_large_ones_are_none(number: int, least: int) -> None:
    known = number if least <= number <= LARGEST else None
    assert whole_number(number, least=least) == whole_number(str(number), least=least) == known


@pytest.mark.parametrize("text", [" 5", "5 ", "\n5\t", f"{' ' * 98}5"])
def test_blanks_are_for_texts_of_templates(text: str) -> None:
    assert (whole_number(text), whole_number(text, blanks=True)) == (None, 5)


@pytest.mark.parametrize(
    "given_value",
    [None, True, False, 5.0, "", "5.0", "+5", "-5", "5 6", "٥", "²", b"5", [5], f"{' ' * 99}5", "1" * 20, "9" * 10_000],
)
@pytest.mark.parametrize("blanks", [True, False])
def test_anything_else_is_none(given_value: object, blanks: bool) -> None:
    assert whole_number(given_value, least=0, blanks=blanks) is None
