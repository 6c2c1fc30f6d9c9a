"""Secrets: a type that never prints, read from the environment, a file, or (for trying out) written in place."""

import hmac
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

_WORD = re.compile(r"[!-~]+")


class Secret:
    """A text that is shown as `<secret>` wherever it is printed, logged, compared in an error or serialised."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: only for the moment it is put into a request or compared."""
        return self._text

    def is_(self, given: str) -> bool:
        """Whether `given` is this secret, compared in constant time."""
        return hmac.compare_digest(_bytes(self._text), _bytes(given))

    def digest(self) -> bytes:
        """A one-way key for look-up tables, so that finding an account by its key leaks nothing by its timing."""
        return sha256(_bytes(self._text)).digest()

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.is_(other._text)

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled or copied")


def _bytes(text: str) -> bytes:
    """A header that is not UTF-8 reaches us with lone surrogates; it is a wrong key, not a failure of ours."""
    return text.encode("utf-8", "surrogatepass")


def one_word(what: str, advice: str = "copy it again") -> AfterValidator:
    """Checks a secret that goes into a header as one word: `Annotated[SecretOption, one_word("a key")]`.

    The error says `what` it is and has the `advice`, and nothing of the secret.
    """

    def check(secret: Secret) -> Secret:
        if not _WORD.fullmatch(secret.reveal()):
            raise ValueError(f"{what} has no blanks, line ends or letters outside ASCII: {advice}")
        return secret

    return AfterValidator(check)


def any_is(secrets: Iterable[Secret], given: str) -> bool:
    """Whether `given` is one of `secrets`; all are compared, so the time says nothing about which."""
    found = False
    for secret in secrets:
        found |= secret.is_(given)
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """Where secrets are looked up: the environment, and the directory that file names are relative to.

    Settings give it to pydantic as the validation context; without one, the process's own are used.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    directory: Path = Path()


def resolve_secret(value: object, around: Surroundings | None = None) -> Secret:
    """`{env = "NAME"}`, `{file = "path"}` or a text -> Secret. Raises ValueError with what to do."""
    around = around or Surroundings()
    match value:
        case Secret():
            return value
        case str() if value:
            return Secret(value)
        case {"env": str(name), **rest} if not rest:
            text = around.environ.get(name)
            if not text:
                raise ValueError(f"the environment variable {name} is not set")
            return Secret(text)
        case {"file": str(name), **rest} if not rest:
            return Secret(_read(name, around.directory))
    raise ValueError('a secret is { env = "NAME" }, { file = "path" } or a text that is not empty')


def _read(name: str, directory: Path) -> str:
    try:
        text = (directory / name).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"the file {name} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"the file {name} cannot be read: it is not UTF-8 text") from None
    if not text:
        raise ValueError(f"the file {name} is empty")
    return text


def _option(value: object, info: ValidationInfo) -> Secret:
    return resolve_secret(value, info.context if isinstance(info.context, Surroundings) else None)


SecretOption = Annotated[Secret, BeforeValidator(_option)]
"""The type of a secret in a pydantic model (which needs `arbitrary_types_allowed`)."""
