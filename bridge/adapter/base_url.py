"""The base URL of a platform's API, as an option of its accounts, and URLs in errors."""

import re

from pydantic import AfterValidator

_BASE_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?::(?P<port>[0-9]{1,5}))?(/[A-Za-z0-9._~-]+)*", re.ASCII)


def quoted_url(text: str) -> str:
    """A URL as an error shows it: not at all where it has a user, since a password may be there."""
    return "a URL with a user" if "@" in text else f'"{text[:80]}"'


def a_base_url(example: str) -> AfterValidator:
    """Checks a base URL, and drops the slash at its end: `Annotated[str, a_base_url("https://api.example.com/v1")]`.

    It has no user, no query and no `%`. The error shows `example`, and what was given only where no password is in it.
    """

    def check(text: str) -> str:
        base = text.removesuffix("/")
        found = _BASE_URL.fullmatch(base)
        if found is None or not 0 < int(found["port"] or 443) < 65536:
            raise ValueError(f'{quoted_url(text)} is not a base URL: write for example "{example}"')
        return base

    return AfterValidator(check)
