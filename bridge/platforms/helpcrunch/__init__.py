"""HelpCrunch: replies into its chats, in the name of an agent.

The API: https://docs.helpcrunch.com/rest-api-v1/api-setup-v1
Messages: https://docs.helpcrunch.com/rest-api-v1/create-message-v1
"""

from bridge.adapter.protocol import Adapter
from bridge.platforms.helpcrunch.account import HelpCrunchAccount
from bridge.platforms.helpcrunch.inbound import refuse_all
from bridge.platforms.helpcrunch.outbound import send

adapter = Adapter(
    name="helpcrunch",
    account=HelpCrunchAccount,
    to_keys=("chat", "customer", "email", "user_id"),
    verify=refuse_all,
    parse=refuse_all,
    send=send,
)
