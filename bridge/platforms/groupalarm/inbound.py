"""GroupAlarm Messenger has no published webhooks: no route leads here, and whoever calls is refused."""

from typing import NoReturn

from bridge.adapter.protocol import Webhook
from bridge.errors import Refused
from bridge.platforms.groupalarm.account import GroupAlarmAccount


def refuse_all(webhook: Webhook, account: GroupAlarmAccount) -> NoReturn:
    raise Refused(404, "GroupAlarm Messenger sends no webhooks; this platform only sends")
