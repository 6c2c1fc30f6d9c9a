"""HelpCrunch: its chats' events by webhook, and replies into them in the name of an agent.

The API: https://docs.helpcrunch.com/rest-api-v1/api-setup-v1
Messages: https://docs.helpcrunch.com/rest-api-v1/create-message-v1
Webhooks: https://docs.helpcrunch.com/webhooks/setting-up-webhooks
"""

from bridge.adapter.protocol import Adapter, Route
from bridge.platforms.helpcrunch.account import HelpCrunchAccount
from bridge.platforms.helpcrunch.audience import PEOPLE
from bridge.platforms.helpcrunch.inbound import MEANINGS, parse, verify
from bridge.platforms.helpcrunch.operations import OPERATIONS
from bridge.platforms.helpcrunch.outbound import CAN, probe, send
from bridge.platforms.helpcrunch.reconcile import reconcile

adapter = Adapter(
    name="helpcrunch",
    account=HelpCrunchAccount,
    to_keys=("chat", "customer", "email", "user_id"),
    routes=(Route(method="POST", path="/hooks/{account}"),),
    verify=verify,
    parse=parse,
    send=send,
    operations=OPERATIONS,
    can=CAN,
    sends=frozenset(kind for kind, _ in MEANINGS.values()),
    probe=probe,
    reconcile=reconcile,
    audience=PEOPLE,
)
