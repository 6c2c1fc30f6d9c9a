"""The file of addAttachment: found in the body, decoded, and given a name that is safe to keep."""

import base64
from collections.abc import Mapping

from bridge.adapter.protocol import Upload
from bridge.errors import Refused
from bridge.platforms.omnidesk.body import Body
from bridge.platforms.omnidesk.fields import kind_of, shorten

FIELD = "file"
UNNAMED = "attachment"
LONGEST_NAME = 255
"""In bytes of UTF-8: what file systems take."""


def merge(query: Mapping[str, object], body: Body) -> dict[str, object]:
    """The fields of the query and those of the body, which may say the same, never otherwise. Raises Refused(400)."""
    for name in query.keys() & body.fields.keys():
        if query[name] != body.fields[name] and str(query[name]) != str(body.fields[name]):
            raise Refused(400, f"{shorten(name)[1:-1]}: the query and the body say different things")
    return {**body.fields, **query}


def file_size(body: Body) -> int:
    """How many bytes of the body are the file, as it was sent."""
    text = body.fields.get(FIELD)
    return len(body.files[FIELD].content) if FIELD in body.files else len(text) if isinstance(text, str) else 0


def take_file(body: Body) -> Upload:
    """The file: a part of a multipart body with a file name, else base64. Raises Refused(400)."""
    if (sent := body.files.get(FIELD)) is not None:
        return Upload(name=safe_name(sent.name), content=sent.content)
    text = body.fields.get(FIELD)
    if text is None or text == "":
        raise Refused(400, f"{FIELD}: missing; send a part of multipart/form-data with a file name, or base64")
    if not isinstance(text, str):
        raise Refused(400, f"{FIELD}: {kind_of(text)} is given where base64 is expected")
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused(400, f"{FIELD}: not base64; a part that holds the file itself needs a file name") from None
    return Upload(name=UNNAMED, content=content)


def safe_name(name: str) -> str:
    """The last part of a path, printable, at most 255 bytes; what follows the last dot is kept if it is short."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(c for c in last if c.isprintable()).strip(" .")
    if not printable:
        return UNNAMED
    stem, dot, ending = printable.rpartition(".")
    if not dot or len(ending) > 10:
        stem, dot, ending = printable, "", ""
    room = LONGEST_NAME - len(f"{dot}{ending}".encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + ending
