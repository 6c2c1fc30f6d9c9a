"""A request -> what it says: the documents in it, each with the key that tells a repeat."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qsl, unquote_to_bytes

from bridge.adapter.body import media_type, read_json, read_object
from bridge.adapter.mapping import find, line_of
from bridge.adapter.protocol import Webhook
from bridge.adapter.repeat import REPEAT_WITHIN, digest
from bridge.errors import Refused
from bridge.platforms.webhook.account import WebhookAccount

MOST_EVENTS = 100
"""Events in one batch."""

MOST_FIELDS = 200
"""Fields of a form."""

LONGEST = 500
"""Characters of an id."""

_BATCH = "application/cloudevents-batch"
_STRUCTURED = "application/cloudevents"
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """One document; `place` is where it stands in the body ("[3]." in a batch)."""

    key: str
    document: Mapping[str, object]
    place: str = ""
    repeat_within: timedelta | None = None


def open_envelopes(webhook: Webhook, account: WebhookAccount) -> tuple[Envelope, ...]:
    """Raises Refused: 400 naming the place, 413 for too large a batch, 415 for what is not JSON (nor a form)."""
    if account.scheme == "cloudevents":
        return tuple(_cloud_events(webhook))
    document = _document(webhook, account)
    if account.scheme == "standard":
        return (Envelope(key=webhook.headers["webhook-id"], document=document),)
    path = account.path("id")
    key = line_of(find(document, path), path, LONGEST)
    if key is not None:
        return (Envelope(key=key, document=document),)
    return (Envelope(key=f"body:{digest(webhook.body)}", document=document, repeat_within=REPEAT_WITHIN),)


def _document(webhook: Webhook, account: WebhookAccount) -> Mapping[str, object]:
    """JSON whatever its type says, as long as nobody said that it is a form."""
    media = _media(webhook)
    if account.scheme == "header" and media == _FORM:
        return _form(webhook.body)
    if media.startswith("multipart/"):
        raise Refused(415, f'content-type: "{media[:80]}" is not taken, only JSON' + _or_form(account))
    return read_object(webhook.body)


def _or_form(account: WebhookAccount) -> str:
    return f" and {_FORM}" if account.scheme == "header" else ""


def _form(body: bytes) -> dict[str, object]:
    """The fields of a form as a browser sends it; one that comes several times is a list."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except UnicodeError:
        raise Refused(400, "body: a form is in ASCII, with UTF-8 in percent signs") from None
    except ValueError:
        raise Refused(400, f"body: a form has at most {MOST_FIELDS} fields") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}


def _media(webhook: Webhook) -> str:
    return media_type(webhook.headers.get("content-type", ""))


def _cloud_events(webhook: Webhook) -> Iterator[Envelope]:
    """The content type tells the mode: a batch, one structured event, or the attributes in `ce-` headers."""
    media = _media(webhook)
    if media.startswith(_BATCH):
        _check_json(media)
        batch = read_json(webhook.body)
        if not isinstance(batch, list):
            raise Refused(400, "body: a JSON list of events is expected")
        if len(batch) > MOST_EVENTS:
            raise Refused(413, f"body: {len(batch)} events, at most {MOST_EVENTS} are taken at once")
        for number, event in enumerate(batch):
            if not isinstance(event, dict):
                raise Refused(400, f"[{number}]: a JSON object is expected")
            yield _cloud_event(event, f"[{number}].")
    elif media.startswith(_STRUCTURED):
        _check_json(media)
        yield _cloud_event(read_object(webhook.body), "")
    else:
        document = _attributes(webhook.headers)
        if webhook.body:
            _check_json(media)
            document["data"] = read_json(webhook.body)
        yield _cloud_event(document, "", header="ce-")


def _check_json(media: str) -> None:
    if media != "application/json" and not media.endswith("+json"):
        raise Refused(415, f'content-type: "{media[:80]}" is not taken, only JSON')


def _attributes(headers: Mapping[str, str]) -> dict[str, object]:
    """The attributes in the headers, percent-decoded once. Raises Refused(400) for what is not UTF-8."""
    found: dict[str, object] = {}
    for name, value in headers.items():
        if name.lower().startswith("ce-"):
            try:
                found[name.lower()[3:]] = unquote_to_bytes(value.encode("utf-8", "surrogateescape")).decode()
            except UnicodeError:
                raise Refused(400, f"{name.lower()[:80]}: not UTF-8") from None
    return found


def _cloud_event(document: Mapping[str, object], place: str, header: str = "") -> Envelope:
    """`header` is what stands before an attribute's name where it came in a header."""
    named: dict[str, str] = {}
    for name in ("specversion", "id", "source", "type"):
        text = document.get(name)
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST or not text.isprintable():
            raise Refused(400, f"{place}{header}{name}: one line of 1 to {LONGEST} characters is expected")
        named[name] = text
    if named["specversion"] != "1.0":
        raise Refused(400, f'{place}{header}specversion: "{named["specversion"][:20]}" is not taken, only 1.0')
    if " " in named["source"]:
        raise Refused(400, f"{place}{header}source: a URI reference is expected")
    if "data_base64" in document:
        raise Refused(400, f"{place}data_base64: binary data is not taken; send JSON as data")
    return Envelope(key=f"{named['source']} {named['id']}", document=document, place=place)
