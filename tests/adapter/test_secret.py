import copy
import pickle
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from bridge.adapter.account import Options
from bridge.adapter.secret import Secret, SecretOption, Surroundings, any_is, one_word, resolve_secret

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


class Keys(Options):
    key: SecretOption
    more: tuple[SecretOption, ...] = ()


@given(st.text("0123456789", min_size=3))
def test_a_secret_never_prints(text: str) -> None:
    secret = Secret(text)
    keys = Keys(key=secret, more=(secret,))
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", repr([secret]), repr(keys), str(keys)):
        assert "<secret>" in shown
        assert text not in shown
    assert secret.reveal() == text


def test_a_secret_is_not_copied_or_pickled() -> None:
    for take in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="a secret is not pickled or copied"):
            take(Secret("sesame"))


@given(ANY_TEXT, ANY_TEXT)
def test_a_secret_is_equal_to_the_same_text_only(one: str, other: str) -> None:
    assert Secret(one).is_(other) == (one == other)
    assert (Secret(one) == Secret(other)) == (one == other)
    assert (Secret(one).digest() == Secret(other).digest()) == (one == other)
    assert Secret(one).is_(one)
    assert hash(Secret(one)) == hash(Secret(one))


def test_a_secret_is_not_equal_to_a_text() -> None:
    assert Secret("sesame") != "sesame"


def test_any_of_several() -> None:
    secrets = (Secret("new"), Secret("old"))
    assert any_is(secrets, "old")
    assert any_is(secrets, "new")
    assert not any_is(secrets, "older")
    assert not any_is((), "")


def test_where_secrets_come_from(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("  from the file\n")
    around = Surroundings(environ={"KEY": "from the environment"}, directory=tmp_path)
    assert resolve_secret("in place", around).reveal() == "in place"
    assert resolve_secret({"env": "KEY"}, around).reveal() == "from the environment"
    assert resolve_secret({"file": "key"}, around).reveal() == "from the file"
    assert resolve_secret({"file": str(tmp_path / "key")}).reveal() == "from the file"
    keys = Keys.model_validate_json('{"key": {"env": "KEY"}, "more": [{"file": "key"}]}', context=around)
    assert (keys.key.reveal(), keys.more[0].reveal()) == ("from the environment", "from the file")


def test_a_secret_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff")
    around = Surroundings(environ={"EMPTY": ""}, directory=tmp_path)
    for value, message in (
        ({"env": "NO_SUCH"}, "the environment variable NO_SUCH is not set"),
        ({"env": "EMPTY"}, "the environment variable EMPTY is not set"),
        ({"file": "no_such"}, "the file no_such cannot be read: No such file or directory"),
        ({"file": "."}, r"the file \. cannot be read: Is a directory"),
        ({"file": "binary"}, "the file binary cannot be read: it is not UTF-8 text"),
        ({"file": "empty"}, "the file empty is empty"),
    ):
        with pytest.raises(ValueError, match=f"^{message}$"):
            resolve_secret(value, around)


@pytest.mark.parametrize(
    "value", ["", None, 4242, ["4242"], {}, {"env": 4242}, {"env": "A", "file": "B"}, {"val": "4242"}]
)
def test_what_is_no_secret_is_not_shown(value: object) -> None:
    with pytest.raises(
        ValueError, match=r'^a secret is { env = "NAME" }, { file = "path" } or a text that is not empty$'
    ):
        resolve_secret(value)
    with pytest.raises(ValidationError) as caught:
        Keys.model_validate({"key": value})
    assert "4242" not in str(caught.value)


WORD: TypeAdapter[Secret] = TypeAdapter(
    Annotated[SecretOption, one_word("a key", "copy it again, without Bearer")],
    config={"arbitrary_types_allowed": True},
)


def test_a_secret_of_one_word() -> None:
    assert WORD.validate_python("!k~").reveal() == "!k~"


@pytest.mark.parametrize("text", ["hidden key", "hidden\n", " hidden", "hidden\x7f", "hidd\u00e9n", "hidden\ud83d"])
def test_what_cannot_go_into_a_header_is_refused_unseen(text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        WORD.validate_python(text)
    (problem,) = caught.value.errors(include_input=False, include_context=False)
    words = "a key has no blanks, line ends or letters outside ASCII: copy it again, without Bearer"
    assert problem["msg"] == f"Value error, {words}"
