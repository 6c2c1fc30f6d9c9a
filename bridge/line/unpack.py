"""Unpack: the body of a request as it was before its sender packed it, however little it takes to send much.

The web server does not do it: it would for requests that nobody wants, and take what breaks off for whole.
"""

import re
import zlib

from bridge.adapter.answers import excerpt
from bridge.errors import Refused

_ZLIB, _GZIP, _BARE = zlib.MAX_WBITS, zlib.MAX_WBITS | 16, -zlib.MAX_WBITS
_WITH_HEAD = re.compile(rb"[\x08\x18\x28\x38\x48\x58\x68\x78].", re.DOTALL)


def unpack(body: bytes, coding: str, most: int) -> bytes:
    """What was packed as the header `Content-Encoding` says (RFC 9110, section 8.4).

    Raises Refused: 415 for a coding that is none of the three, 413 for what has more than `most` bytes, 400 for what is
    not packed so, or not whole.
    """
    name = coding.strip().lower()
    if name in ("", "identity"):
        return body
    if name in ("gzip", "x-gzip"):
        return _inflated(body, _GZIP, name, most)
    if name == "deflate":
        # It means the form with a head, and many send the one without.
        has_head = _WITH_HEAD.match(body) and int.from_bytes(body[:2]) % 31 == 0
        return _inflated(body, _ZLIB if has_head else _BARE, name, most)
    raise Refused(415, f"content-encoding: {excerpt(coding, 80)} is not taken, only gzip, deflate or none")


def _inflated(body: bytes, form: int, name: str, most: int) -> bytes:
    packer = zlib.decompressobj(form)
    try:
        unpacked = packer.decompress(body, most + 1)
    except zlib.error:
        raise Refused(400, f"body: not packed by {name}, as its content-encoding says") from None
    if len(unpacked) > most:
        raise Refused(413, f"the body has more than {most} bytes")
    if not packer.eof:
        raise Refused(400, f"body: what was packed by {name} is not whole")
    if packer.unused_data:
        raise Refused(400, f"body: something follows what was packed by {name}")
    return unpacked
