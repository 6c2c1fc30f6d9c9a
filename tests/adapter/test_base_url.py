"""The base URL of an account: one spelling, and no password in what is said of a wrong one."""

from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from bridge.adapter.base_url import a_base_url

OPTION: TypeAdapter[str] = TypeAdapter(Annotated[str, a_base_url("https://api.example.com/v1")])


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://api.example.com/v1", "https://api.example.com/v1"),
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://api.example.com:65535/a/b.c", "https://api.example.com:65535/a/b.c"),
    ],
)
def test_it_is_kept_without_a_slash_at_its_end(text: str, kept: str) -> None:
    assert OPTION.validate_python(text) == kept


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("api.example.com", '"api.example.com"'),
        ("ftp://api.example.com", '"ftp://api.example.com"'),
        ("https://api.example.com/?a=b", '"https://api.example.com/?a=b"'),
        ("https://api.example.com//", '"https://api.example.com//"'),
        ("https://api.example.com:0", '"https://api.example.com:0"'),
        ("https://api.example.com:65536", '"https://api.example.com:65536"'),
        ("https://api.example.com/\n", '"https://api.example.com/\n"'),
        ("https://me:hidden@api.example.com", "a URL with a user"),
    ],
)
def test_a_wrong_one_is_shown_unless_a_password_may_be_in_it(text: str, shown: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OPTION.validate_python(text)
    (problem,) = caught.value.errors()
    assert problem["msg"] == (f'Value error, {shown} is not a base URL: write for example "https://api.example.com/v1"')
