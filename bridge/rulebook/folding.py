"""Text as conditions compare it: without upper and lower case, in whole words.

Words are found with Python's own character classes and not with RE2: a pattern such as `[^\\pL\\pN\\pM_]` takes RE2 two
milliseconds and 300 kB for each rule (measured), and its `\\b` knows ASCII only.
"""

import re
from functools import lru_cache
from unicodedata import category, normalize

_RUN = re.compile(r"\w+")
_ASCII_RUNS = bytes(code if _RUN.match(chr(code)) else ord(" ") for code in range(128)).ljust(256)
_BLANKS = re.compile(r"\s+")
_PIECE = 1024
MOST = 16 * 1024
"""Characters of a text that conditions look at; the rest is as if it were not there.

So a message of a megabyte with the words of every rule in it, which somebody may send over and over, takes ten thousand
rules tens of milliseconds and not seconds, in which nobody else would be answered.
"""


class Folded:
    """A customer's text in the forms that conditions need; each form is made once, when it is first needed.

    `text` is NFC and case-folded, with each stretch of white space as one blank and none around it. Of a long text it
    is the beginning only.
    """

    __slots__ = ("_raw", "_runs", "_utf8", "_words", "text")

    def __init__(self, raw: str) -> None:
        self._raw = raw[:MOST]
        self._runs: frozenset[str] | None = None
        self._words: frozenset[str] | None = None
        self._utf8: bytes | None = None
        self.text = " ".join(fold(self._raw).split())

    @property
    def runs(self) -> frozenset[str]:
        """The stretches of letters, digits and underscores in the text."""
        if self._runs is None:
            self._runs = frozenset(runs_of(self.text))
        return self._runs

    @property
    def words(self) -> frozenset[str]:
        """The runs with the marks in them: what has no word going on before or after it."""
        if self._words is None:
            marks = {ord(character): "_" for character in set(self.text) if category(character)[0] == "M"}
            found = _RUN.finditer(self.text.translate(marks)) if marks else ()
            self._words = frozenset(self.text[one.start() : one.end()] for one in found) if marks else self.runs
        return self._words

    @property
    def utf8(self) -> bytes:
        """The text as it came, for RE2. A lone surrogate has no UTF-8 form and stands as "?"."""
        if self._utf8 is None:
            self._utf8 = self._raw.encode("utf-8", "replace")
        return self._utf8

    def has_phrase(self, phrase: str) -> bool:
        """Whether `phrase` (as `phrase_of` gives it) stands in the text with no word going on before or after it."""
        if phrase.isalnum():
            # A single word need not be searched for, which in a long text takes long.
            return phrase in self.words
        text, size = self.text, len(phrase)
        start = text.find(phrase)
        while start >= 0:
            end = start + size
            if not (start and _in_word(text[start - 1])) and not (end < len(text) and _in_word(text[end])):
                return True
            start = text.find(phrase, start + 1)
        return False


def folded(text: str) -> Folded:
    """The forms of `text`. The last ones are kept, as many rules look at the same message; of long ones only one."""
    return _recent(text) if len(text) <= MOST else _recent_long(text)


_recent = lru_cache(maxsize=8)(Folded)
_recent_long = lru_cache(maxsize=1)(Folded)


def fold(text: str) -> str:
    """NFC and case-folded, in time linear in the length of `text`."""
    if text.isascii():
        return text.lower()
    if len(text) <= _PIECE:
        return _fold(text)
    return "".join(map(_fold, _pieces(text)))


def _fold(text: str) -> str:
    return normalize("NFC", normalize("NFC", text).casefold())


def _pieces(text: str) -> list[str]:
    """Long text is normalised in pieces, cut at blanks: a long run of combining marks takes quadratic time."""
    pieces, start = [], 0
    while start < len(text):
        end = start + _PIECE
        blank = text.rfind(" ", start + 1, end) if end < len(text) else -1
        end = blank if blank > 0 else end
        pieces.append(text[start:end])
        start = end
    return pieces


def phrase_of(text: str) -> str:
    """A word or phrase of a rule in the form in which it is searched for."""
    return " ".join(fold(text).split())


def piece_of(text: str) -> str:
    """A piece of text, blanks at its ends included, in the form in which it is searched for."""
    return _BLANKS.sub(" ", fold(text))


def runs_of(phrase: str) -> list[str]:
    """The runs in a phrase. A text that has the phrase as whole words has each of them among its own `runs`."""
    if phrase.isascii():
        # The same in a third of the time.
        return phrase.encode().translate(_ASCII_RUNS).decode().split()
    return _RUN.findall(phrase)


def _in_word(character: str) -> bool:
    """Letters, digits and underscore (`\\w`), and the marks that Indic and Arabic vowels are written with."""
    return character.isalnum() or character == "_" or category(character)[0] == "M"
