"""A delivery -> a text in a GroupAlarm chat room; where `to:` names an event, its room is looked up first.

Source: https://developer.groupalarm.com/api/chat.html. What the answer holds is not published; any 2xx means sent.
"""

from bridge.adapter.ability import unsayable
from bridge.adapter.answers import is_taken, never
from bridge.adapter.dialect import sound, split, to_plain
from bridge.adapter.protocol import Steps
from bridge.model.delivery import Delivery, Failed, Sent, Unknown
from bridge.platforms.groupalarm.account import GroupAlarmAccount
from bridge.platforms.groupalarm.calls import ask, failed, json
from bridge.platforms.groupalarm.rooms import list_call
from bridge.platforms.groupalarm.target import room_number


def send(delivery: Delivery, account: GroupAlarmAccount) -> Steps:
    """Send the reply as plain text, in several messages where it is longer than `max_text`."""
    if (why := unsayable(delivery.reply, "groupalarm", frozenset())) is not None:
        return never(why)
    text = sound(to_plain(delivery.reply))
    if not text.strip():
        return never("reply: it has no text")
    room = yield from room_number(delivery.to, account)
    if isinstance(room, Failed):
        return room
    path = account.paths.message.replace("{room}", str(room))
    parts = split(text, account.max_text) if account.max_text else (text,)
    for number, part in enumerate(parts):
        answer = yield ask("POST", account, path, json(message=part))
        if not is_taken(answer):
            return _broken_off(failed(answer), number, len(parts))
    return Sent()


def probe(account: GroupAlarmAccount) -> Steps:
    """Read the list of rooms, one of them."""
    answer = yield list_call(account, None, limit=1)
    return Sent() if is_taken(answer) else failed(answer)


def _broken_off(failure: Failed, taken: int, parts: int) -> Failed | Unknown:
    """Once a part was taken, to try again is to say it twice: the account's `on_unknown` decides on that."""
    if not taken:
        return failure
    detail = f"{taken} of {parts} messages were taken, then {failure.detail}"
    if failure.permanent:
        return Failed(reason=failure.reason, detail=detail, permanent=True)
    return Unknown(reason=failure.reason, detail=detail)
