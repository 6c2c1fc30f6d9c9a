"""The only source of randomness: jitter and unguessable tokens. Tests fix it with a seed."""

import random
import secrets
from typing import Protocol


class Chance(Protocol):
    def between(self, low: float, high: float) -> float:
        """A number from low to high, evenly spread."""
        ...

    def token(self) -> str:
        """A URL-safe text of 256 random bits that nobody can guess."""
        ...


class SystemChance:
    """The operating system's randomness."""

    def between(self, low: float, high: float) -> float:
        return random.uniform(low, high)  # noqa: S311 - jitter, no secret

    def token(self) -> str:
        return secrets.token_urlsafe(32)


class SeededChance:
    """The same "random" values in every run."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - for tests

    def between(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def token(self) -> str:
        return f"{self._random.getrandbits(256):064x}"
