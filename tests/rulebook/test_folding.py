"""Words: of a text in ASCII they are found in another way than of other texts, and are the same."""

import re

from hypothesis import given
from hypothesis import strategies as st

from bridge.rulebook.folding import Folded, runs_of

ASCII = st.text(st.characters(max_codepoint=127))


@given(ASCII | st.text())
def test_runs_are_the_stretches_of_word_characters(text: str) -> None:
    assert runs_of(text) == re.findall(r"\w+", text)


@given(ASCII)
def test_a_letter_of_another_script_changes_no_other_word(text: str) -> None:
    assert Folded(f"{text} é").runs == Folded(text).runs | {"é"}
