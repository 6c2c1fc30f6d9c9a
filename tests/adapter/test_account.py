"""What is wrong with given options, in a sentence."""

from typing import Any

import pytest
from pydantic import Field, ValidationError, field_validator

from bridge.adapter.account import NumberOption, Options, first_problem


class Given(Options):
    number: NumberOption | None = None
    names: list[str] = Field(default_factory=list)

    @field_validator("names")
    @classmethod
    def _some(cls, names: list[str]) -> list[str]:
        if "nobody" in names:
            raise ValueError("nobody is a name for no one")
        return names


@pytest.mark.parametrize(
    ("given", "around", "words"),
    [
        ({"number": "5"}, (), "number: Input should be a valid integer"),
        ({"number": 0}, (), "number: Input should be greater than or equal to 1"),
        ({"number": 2**63}, (), "number: Input should be less than or equal to 9223372036854775807"),
        ({"names": ["Anna", 5]}, ("files", "0"), "files.0.names.1: Input should be a valid string"),
        ({"names": ["nobody"]}, (), "names: nobody is a name for no one"),
        ({"x" * 100: 1}, (), f"{'x' * 40}: Extra inputs are not permitted"),
        ([], (), "body: Input should be a valid dictionary or instance of Given"),
        ([], ("files", "0"), "files.0: Input should be a valid dictionary or instance of Given"),
    ],
)
def test_it_names_the_place_and_never_the_value(given: Any, around: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Given.model_validate(given)
    assert first_problem(caught.value, *around) == words


def test_it_is_short() -> None:
    with pytest.raises(ValidationError) as caught:
        Given.model_validate([])
    assert len(first_problem(caught.value, "x" * 1000)) == 300
