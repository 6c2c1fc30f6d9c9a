"""The body of a request -> its fields and files, each name once, whatever form it came in.

The API's description says multipart/form-data, but its samples carry JSON under that very content type, without a
boundary. So multipart, urlencoded and JSON are taken, and the samples' mixture too.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from urllib.parse import unquote, unquote_to_bytes

import orjson
from msgspec import Struct
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from bridge.adapter.body import media_type
from bridge.adapter.protocol import Upload
from bridge.errors import Refused
from bridge.platforms.omnidesk.fields import check_text, kind_of, shorten

LARGEST = 2**20
"""Our own bound for all fields of a call together, in bytes; a file comes on top of it."""
MOST_FIELDS = 64
DEEPEST = 20
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]", re.ASCII)
# RFC 7578 forbids this form, and older HTTP libraries send it for names that are not ASCII.
_EXTENDED_NAME = re.compile(r";\s?filename\*=utf-8''([^;\s]*)", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_PLAIN_TYPE = re.compile(r"multipart/form-data; ?boundary=([0-9A-Za-z_-]{1,70})", re.ASCII)
_PLAIN_HEAD = re.compile(rb'\r\nContent-Disposition: form-data; name="([0-9A-Za-z_.-]{1,100})"\r\n\r\n')
_THE_END = (b"--", b"--\r\n")
_AS_IT_IS = ("7bit", "8bit", "binary")


class Body(Struct, frozen=True, kw_only=True):
    """The fields by name (texts, or any JSON value) and the files by the name of their field.

    The name of a file is the sender's, and not to be trusted.
    """

    fields: dict[str, object] = {}
    files: dict[str, Upload] = {}


def read_body(content_type: str, body: bytes) -> Body:
    """Raises Refused: 415 for a content type that is not one of the three, 400 for a body that is not what it says."""
    media = media_type(content_type)
    if media == "application/json":
        return Body(fields=_json(body))
    if media == "multipart/form-data":
        plain = _PLAIN_TYPE.fullmatch(content_type)
        if plain is not None and (fields := _plain_multipart(plain[1].encode(), body)) is not None:
            return Body(fields=fields)
        boundary = parse_options_header(content_type)[1].get("boundary")
        if boundary is not None:
            return _multipart(boundary, body)
        if body.lstrip()[:1] == b"{":
            return Body(fields=_json(body))
        raise Refused(400, "content-type: multipart/form-data without a boundary, and the body is no JSON object")
    if media == "application/x-www-form-urlencoded":
        return Body(fields=_urlencoded(body))
    given = f"{shorten(media)} is not taken" if media else "missing"
    known = "multipart/form-data, application/x-www-form-urlencoded or application/json"
    raise Refused(415, f"content-type: {given}; send {known}")


def check_others(given: dict[str, object], known: frozenset[str]) -> None:
    """Fields that the description does not name are kept, so their names and values must be storable too."""
    if given.keys() <= known:
        return
    if len(given) > MOST_FIELDS:
        raise Refused(400, f"body: {len(given)} fields, at most {MOST_FIELDS} are taken")
    for name, value in given.items():
        if name not in known:
            check_text("a field's name", name)
            _check_value(name, value, DEEPEST)


def _check_value(name: str, value: object, room: int) -> None:
    if isinstance(value, str):
        check_text(shorten(name), value)
    elif isinstance(value, dict | list):
        if room == 0:
            raise Refused(400, f"{shorten(name)}: nested more than {DEEPEST} deep")
        for part in (*value, *value.values()) if isinstance(value, dict) else value:
            _check_value(name, part, room - 1)


def _json(body: bytes) -> dict[str, object]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"body: not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise Refused(400, f"body: {kind_of(fields)} is given where a JSON object is expected")
    # orjson lets the last of two equal keys win. Each key and each text takes two quotation marks, so if there are
    # no more of them than what is left needs, nothing was lost; else (an escaped mark, a nested object) the slower
    # parser of the standard library looks at every pair.
    marks = 2 * (len(fields) + list(map(type, fields.values())).count(str))
    if body.count(b'"') != marks:
        try:
            _EVERY_PAIR.decode(body.decode())
        except RecursionError:
            raise Refused(400, f"body: nested more than {DEEPEST} deep") from None
    return fields


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """The pairs as a mapping. Raises Refused(400) for a name that stands there twice."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise Refused(400, f"{shorten(twice)[1:-1]}: given more than once")
    return fields


_EVERY_PAIR = json.JSONDecoder(object_pairs_hook=_once)


def _urlencoded(body: bytes) -> dict[str, object]:
    # Unquoting is slow enough for these two to matter: 0.1 s for a MiB of escapes, five times that for broken ones.
    if len(body) > LARGEST:
        raise Refused(
            413, f"body: {len(body)} bytes of a form, at most {LARGEST}; send a large file as multipart/form-data"
        )
    if _BROKEN_ESCAPE.search(body):
        raise Refused(400, "body: a % that no two hexadecimal digits follow; a % itself is written %25")
    if body.count(b"&") >= MOST_FIELDS:
        raise Refused(400, f"body: more than {MOST_FIELDS} fields")
    parts = [part.partition(b"=") for part in body.split(b"&") if part]
    try:
        return _once([(_unquoted(name), _unquoted(value)) for name, _, value in parts])
    except UnicodeDecodeError:
        raise Refused(400, "body: not UTF-8") from None


def _unquoted(part: bytes) -> str:
    return unquote_to_bytes(part.replace(b"+", b" ")).decode()


def _plain_multipart(boundary: bytes, body: bytes) -> dict[str, object] | None:
    """The fields of a body that has nothing but fields, each with the one header it needs; None for any other.

    Most chat servers write theirs so, and it takes a fraction of the time of the parser that understands everything.
    """
    if len(body) > LARGEST:
        return None
    first, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary, MOST_FIELDS + 1)
    if first or len(parts) < 2 or parts.pop() not in _THE_END:
        return None
    fields: dict[str, object] = {}
    for part in parts:
        head = _PLAIN_HEAD.match(part)
        if head is None:
            return None
        try:
            fields[head[1].decode()] = part[head.end() :].decode()
        except UnicodeDecodeError:
            return None
    return fields if len(fields) == len(parts) else None


def _multipart(boundary: str, body: bytes) -> Body:
    if not _BOUNDARY.fullmatch(boundary):
        raise Refused(400, f"content-type: the boundary {shorten(boundary)} is not one (RFC 2046, section 5.1.1)")
    fields: dict[str, object] = {}
    files: dict[str, Upload] = {}
    parts: list[bytes] = []
    segment: MultipartSegment | None = None
    try:
        with PushMultipartParser(boundary, max_segment_count=MOST_FIELDS, strict=True) as parser:
            for event in parser.parse(body):
                if isinstance(event, MultipartSegment):
                    segment, parts = event, []
                elif event is not None:
                    parts.append(event)
                elif segment is not None:
                    _keep(segment, b"".join(parts), fields, files)
    except MultipartError as error:
        raise Refused(400, f"body: not multipart/form-data: {error.args[0]}") from None
    return Body(fields=fields, files=files)


def _keep(segment: MultipartSegment, content: bytes, fields: dict[str, object], files: dict[str, Upload]) -> None:
    name = segment.name or ""
    if name in fields or name in files:
        raise Refused(400, f"{shorten(name)[1:-1]}: given more than once")
    if len(segment.headerlist) > 1:
        encoding = segment.header("Content-Transfer-Encoding")
        if encoding is not None and encoding.strip().lower() not in _AS_IT_IS:
            raise Refused(400, f"{shorten(name)[1:-1]}: the Content-Transfer-Encoding {shorten(encoding)} is not taken")
    filename = _file_name(segment)
    if filename is not None:
        files[name] = Upload(name=filename, content=content)
        return
    try:
        fields[name] = content.decode()
    except UnicodeDecodeError:
        raise Refused(400, f"{shorten(name)[1:-1]}: not UTF-8") from None


def _file_name(segment: MultipartSegment) -> str | None:
    if segment.filename is not None:
        return str(segment.filename)
    for _, value in segment.headerlist:
        if extended := _EXTENDED_NAME.search(value):
            return unquote(extended[1], errors="replace")
    return None
