"""GroupAlarm Messenger: texts into the chat rooms of an organization, and the care of those rooms. Sends only.

The API: https://developer.groupalarm.com/api/chat.html, whose text names no paths; account.py guesses them.
"""

from bridge.adapter.protocol import Adapter, no_webhooks
from bridge.platforms.groupalarm.account import GroupAlarmAccount
from bridge.platforms.groupalarm.operations import OPERATIONS
from bridge.platforms.groupalarm.outbound import probe, send
from bridge.platforms.groupalarm.target import KEYS

adapter = Adapter(
    name="groupalarm",
    account=GroupAlarmAccount,
    to_keys=KEYS,
    verify=no_webhooks("GroupAlarm Messenger"),
    parse=no_webhooks("GroupAlarm Messenger"),
    send=send,
    operations=OPERATIONS,
    probe=probe,
)
