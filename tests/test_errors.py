import pytest

from bridge.errors import (
    BridgeError,
    Place,
    Problem,
    Refused,
    RulebookError,
    SettingsError,
    StoreError,
    did_you_mean,
)


def test_a_place_counts_from_one_as_editors_do() -> None:
    assert str(Place(file="rules/a.yaml", line=3, column=7)) == "rules/a.yaml:3:7"
    assert str(Place(file="settings", line=0, column=0)) == "settings"


def test_a_rulebook_error_tells_every_problem_in_the_order_of_the_files() -> None:
    def problem(file: str, line: int, *, warning: bool = False) -> Problem:
        return Problem(place=Place(file=file, line=line, column=1), message="no", warning=warning)

    error = RulebookError([problem("b.yaml", 1), problem("a.yaml", 10, warning=True), problem("a.yaml", 9)])
    assert str(error) == "a.yaml:9:1: no\na.yaml:10:1: warning: no\nb.yaml:1:1: no"
    assert [found.place.line for found in error.problems] == [9, 10, 1]


@pytest.mark.parametrize("error", [SettingsError("x"), StoreError("x"), RulebookError([])])
def test_what_a_person_can_mend_is_one_family(error: BridgeError) -> None:
    assert isinstance(error, BridgeError)


def test_a_refusal_is_an_answer_and_not_a_fault_of_ours() -> None:
    refusal = Refused(429, "too many", retry_after=3)
    assert (refusal.status, refusal.message, refusal.retry_after, str(refusal)) == (429, "too many", 3, "too many")
    assert Refused(404, "no").retry_after is None
    assert not isinstance(refusal, BridgeError)


@pytest.mark.parametrize(
    ("word", "hint"),
    [("tekst", ' (did you mean "text"?)'), ("emails", ' (did you mean "email"?)'), ("zzz", ""), ("", "")],
)
def test_the_nearest_known_word(word: str, hint: str) -> None:
    assert did_you_mean(word, ["text", "email"]) == hint
