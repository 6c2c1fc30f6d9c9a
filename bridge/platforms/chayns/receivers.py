"""Who gets a message, in the words of `to:` and in those of chayns.

Source: https://github.com/TobitSoftware/chayns-backend/wiki/Reference-Intercom. A template makes texts of numbers, so
digits are numbers here, and "3, 5" is a list of them.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from bridge.adapter.address import only
from bridge.adapter.number import whole_number
from bridge.model.event import Address, Attachment

MOST = 1000
"""Numbers in one list: chayns names no limit, and a longer one wants a UAC group, or a broadcast."""
MOST_IMAGES = 10
_PICTURE = re.compile(r"\.(gif|jpe?g|png|webp)\Z", re.IGNORECASE | re.ASCII)

_TOKEN = re.compile(r"[!-~]{1,8000}")


def numbers(to: Address, key: str) -> list[int]:
    """The numbers that `to` gives by this key, each once; none where the key is not there.

    Raises ValueError naming the key for anything but whole numbers from 1.
    """
    given = to.get(key)
    if given is None:
        return []
    if isinstance(given, str):
        given = given.split(",", MOST + 1)
    listed = list(given) if isinstance(given, list | tuple) else [given]
    if len(listed) > MOST:
        raise ValueError(f"to.{key}: at most {MOST} numbers fit into one call")
    found = [whole_number(one, blanks=True) for one in listed]
    if None in found:
        raise ValueError(f"to.{key}: it is a list of numbers, 1 or above")
    return list(dict.fromkeys(number for number in found if number is not None))


def _token(given: object) -> str:
    # What was given is never quoted: it lets whoever reads it act as the user.
    if not isinstance(given, str) or not _TOKEN.fullmatch(given):
        raise ValueError("to.user_access_token: it is the user's tobitAccessToken, one word")
    return given


def _thread_name(given: object) -> str:
    name = given.strip() if isinstance(given, str) else ""
    if not name or len(name) > 300 or not name.isprintable():
        raise ValueError("to.thread_name: it is one line of 1 to 300 characters")
    return name


def _yes_or_no(given: object) -> bool:
    answer = {"true": True, "false": False}.get(str(given).strip().lower()) if isinstance(given, str | bool) else None
    if answer is None:
        raise ValueError("to.group_chat: it is true or false")
    return answer


def _images(given: object) -> list[dict[str, str]]:
    listed = list(given) if isinstance(given, list | tuple) else [given]
    urls = [url for url in listed if isinstance(url, str) and _is_url(url)]
    if len(urls) < len(listed) or len(urls) > MOST_IMAGES:
        raise ValueError(f"to.images: it is a list of at most {MOST_IMAGES} addresses that begin with https://")
    return [{"url": url} for url in urls]


def _is_url(text: str) -> bool:
    # The length comes first: what normalises a host takes quadratic time for a long run of combining marks.
    if len(text) > 2000 or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


_LISTS: Mapping[str, str] = {"users": "UserIds", "uac_groups": "UacIds", "sites": "ReceiverLocationIds"}
_BESIDE: Mapping[str, tuple[str, Callable[[object], object]]] = {
    "thread_name": ("ThreadName", _thread_name),
    "group_chat": ("UseGroupChat", _yes_or_no),
    "images": ("Images", _images),
}
KEYS = (*_LISTS, "user_access_token", *_BESIDE)


def intercom(to: Address) -> dict[str, object]:
    """The fields of an Intercom message beside its text. Raises ValueError for an address that means nobody."""
    only(to, KEYS, "an Intercom message has no such receiver")
    fields: dict[str, object] = dict(lists(to, tuple(_LISTS)))
    if to.get("user_access_token") is not None:
        fields["UserAccessToken"] = _token(to["user_access_token"])
    if not fields:
        raise ValueError("to: nobody is named; write one of users, uac_groups, sites, user_access_token")
    for key, (field, read) in _BESIDE.items():
        if to.get(key) is not None:
            fields[field] = read(to[key])
    return fields


def pictures(fields: Mapping[str, object], attachments: Sequence[Attachment]) -> dict[str, object]:
    """The fields with a reply's attachments among their images.

    Raises ValueError for what is no picture, because chayns takes no other files.
    """
    if not attachments:
        return dict(fields)
    images = fields.get("Images")
    shown: list[object] = list(images) if isinstance(images, list) else []
    for number, one in enumerate(attachments):
        kind = (one.type or "").lower()
        if not (kind.startswith("image/") if kind else _PICTURE.search(one.name)):
            raise ValueError(f"attachments.{number}: chayns can send pictures only, by their type or the name's ending")
        if one.url is None or not _is_url(one.url):
            raise ValueError(f"attachments.{number}.url: it is an address that begins with https://")
        shown.append({"url": one.url})
    if len(shown) > MOST_IMAGES:
        raise ValueError(f"attachments: {len(shown)} pictures, at most {MOST_IMAGES} are sent")
    return {**fields, "Images": shown}


def lists(to: Address, keys: tuple[str, ...]) -> dict[str, list[int]]:
    """The lists of receivers that are not empty, by the names that chayns has for them."""
    return {_LISTS[key]: found for key in keys if (found := numbers(to, key))}
