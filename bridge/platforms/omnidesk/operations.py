"""The nine operations and their fields, as https://docs.omnidesk.io/omnidesk/api-specification/chat describes them.

This table is the one place that parsing, errors and doc.md's table are taken from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bridge.errors import Refused, did_you_mean
from bridge.platforms.omnidesk.fields import Field, File, Flag, Number, Text, Usual, is_name, matches, shorten

EVENTS = ("startedtyping", "stoppedtyping", "expandedchat", "minimizedchat")

_ID_BOUND = 255
"""Conversations are looked up by their id, and no index takes a key of any length."""

_NO_BLANK = r"[^@\s\x00-\x20\x7f-\x9f\ud800-\udfff]+"

_chat_server = Text(
    name="chatServer",
    required=True,
    least=5,
    bound=_ID_BOUND,
    pattern=r"^[a-zA-Z0-9\.\:\/\-]+$",
    accepts=matches(r"[a-zA-Z0-9.:/-]+"),
    says="may hold only letters, digits and . : / -",
)
_token = Text(
    name="chatAccountToken",
    required=True,
    least=10,
    bound=_ID_BOUND,
    pattern=r"^[a-zA-Z0-9]+$",
    accepts=matches(r"[a-zA-Z0-9]+"),
    says="may hold only letters and digits",
    secret=True,
)
_session = Text(
    name="chatSessionID",
    required=True,
    least=10,
    bound=_ID_BOUND,
    pattern=r"^[a-zA-Z0-9\-]+$",
    accepts=matches(r"[a-zA-Z0-9-]+"),
    says="may hold only letters, digits and -",
)


def _session_or_phone(most: int | None) -> Text:
    return Text(
        name="chatSessionID",
        required=True,
        least=10,
        most=most,
        bound=_ID_BOUND,
        pattern=r"^\+?[a-zA-Z0-9\-]+$",
        accepts=matches(r"\+?[a-zA-Z0-9-]+"),
        says="may hold only letters, digits and -, with a + in front if need be",
    )


def _phone(pattern: str, says: str) -> Text:
    return Text(
        name="phoneNumber", bound=_ID_BOUND, pattern=f"^{pattern}$", accepts=matches(pattern), says=says, least=0
    )


_Taker = tuple[str, bool, *Usual, Callable[[object], object]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One call of the API. Where it takes a `file`, that comes in the body and the fields in the query."""

    name: str
    fields: tuple[Field, ...] = ()
    method: Literal["GET", "POST"] = "POST"
    file: File | None = None
    names: frozenset[str] = field(init=False, default=frozenset())
    _takers: tuple[_Taker, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "_takers", tuple((f.name, f.required, *f.usual, f.take) for f in self.fields))
        object.__setattr__(self, "names", frozenset(f.name for f in (*self.fields, *filter(None, [self.file]))))

    def read(self, given: Mapping[str, object]) -> dict[str, Any]:
        """The fields of this operation among `given`, each of the type that its `take` gives; those absent, null or
        empty are left out. Raises Refused(400)."""
        said: dict[str, Any] = {}
        for name, required, least, most, plain, take in self._takers:
            value = given.get(name)
            # Nearly every value is a text that passes here: each call has a dozen of them.
            if value.__class__ is str and least <= len(value) <= most and plain(value):
                said[name] = value
            elif value is not None and value != "":
                said[name] = take(value)
            elif required:
                raise Refused(400, f"{name}: missing" if value is None else f"{name}: is empty, and required")
        return said


OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation(name="requestChatConfig", fields=(_chat_server, _token)),
        Operation(
            name="notifyUserNewChatMessage",
            fields=(
                _chat_server,
                _session_or_phone(65),
                _token,
                Number(name="channelID", least=1, default="8"),
                Text(name="message", required=True, bound=100_000),
                Text(name="url"),
                Number(name="messageNumber", least=1, most=50, default="1"),
                Flag(name="usedPredefinedUserInput", default="false"),
                Text(name="additionalData"),
                Text(name="externalAddressOverwrite"),
                Text(
                    name="customerName",
                    least=0,
                    bound=_ID_BOUND,
                    pattern="^[a-zA-Z 0-9]+$",
                    accepts=is_name,
                    says="may hold only letters, digits, blanks and ' ’ . -",
                ),
                Text(
                    name="emailAddress",
                    least=0,
                    bound=254,
                    accepts=matches(rf"{_NO_BLANK}@{_NO_BLANK}"),
                    says="is not an e-mail address",
                    type="string, email",
                ),
                _phone(r"\+[0-9]+", "must be a + and digits"),
            ),
        ),
        Operation(
            name="notifyUserNewChatEvent",
            fields=(
                _chat_server,
                _session,
                Text(
                    name="event",
                    required=True,
                    least=0,
                    accepts=frozenset(EVENTS).__contains__,
                    says=f"is not one of {', '.join(EVENTS)}",
                    type=f"one of {', '.join(EVENTS)}",
                ),
            ),
        ),
        Operation(name="notifyUserVisited", fields=(_chat_server, _session, Text(name="url", required=True, least=4))),
        Operation(name="notifyUserEndChat", fields=(_chat_server, _session)),
        Operation(
            name="addAttachment",
            fields=(
                _chat_server,
                _session_or_phone(None),
                _token,
                _phone(r"\+?[0-9]+", "must be digits, with a + in front if need be"),
                Number(name="messageNumber"),
            ),
            file=File(name="file"),
        ),
        Operation(
            name="checkOriginAndIP",
            fields=(
                _chat_server,
                _token,
                Text(
                    name="origin",
                    required=True,
                    bound=_ID_BOUND,
                    pattern=r"^[a-zA-Z0-9\.\-]+$",
                    accepts=matches(r"[a-zA-Z0-9.-]+"),
                    says="may hold only letters, digits, . and -: it is a host name",
                ),
                Text(name="ip", required=True, least=5, bound=_ID_BOUND),
            ),
        ),
        Operation(name="whitelistedDomainsAndBlacklistedIPs", method="GET"),
        Operation(name="requestChatQueue", fields=(_token,)),
    )
}


def find(name: str, method: str) -> Operation:
    """The operation of this name. Raises Refused: 404 for an unknown one, 405 for the wrong method."""
    operation = OPERATIONS.get(name)
    if operation is None:
        near = did_you_mean(name[:80], tuple(OPERATIONS))
        raise Refused(404, f"operation: {shorten(name)} is unknown{near}; the nine are {', '.join(OPERATIONS)}")
    if operation.method != ("GET" if method == "HEAD" else method):
        raise Refused(405, f"{operation.name}: {operation.method} is expected, not {method[:10]}")
    return operation
