"""RE2: regular expressions in time linear in the text, whatever the customer writes."""

import re
from typing import Any

import re2

MAX_PATTERN = 1000
_MEMORY = 4 * 1024**2
"""Bytes for one pattern: half of what RE2 takes by itself, and so half the time until it finds a pattern too large."""


def quiet() -> Any:
    """RE2's options; its own log would repeat our messages on stderr."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    return options


def compile_pattern(pattern: str) -> Any:
    """RE2's regular expression. Raises ValueError with RE2's reason and what to do."""
    if len(pattern) > MAX_PATTERN:
        raise ValueError(
            f"a pattern has at most {MAX_PATTERN} characters, this one {len(pattern)}; use words or a list"
        )
    try:
        return re2.compile(pattern, quiet())
    except re2.error as error:
        reason = error.args[0]
        said_so = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"not a pattern that RE2 takes: {said_so}{_pattern_hint(said_so)}") from None


def _pattern_hint(reason: str) -> str:
    if "(?=" in reason or "(?!" in reason or "(?<" in reason:
        return "; look-around does not exist in RE2: use two conditions, one of them in `not`"
    if re.search(r"invalid escape sequence: \\[1-9]", reason):
        return "; back-references do not exist in RE2: write the text out"
    if "too large" in reason or "repetition size" in reason:
        return "; repeat fewer times"
    return ""
