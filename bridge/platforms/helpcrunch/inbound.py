"""HelpCrunch's webhooks are not taken in this version: no route leads here, and whoever calls is refused."""

from typing import NoReturn

from bridge.adapter.protocol import Webhook
from bridge.errors import Refused
from bridge.platforms.helpcrunch.account import HelpCrunchAccount


def refuse_all(webhook: Webhook, account: HelpCrunchAccount) -> NoReturn:
    raise Refused(404, "HelpCrunch webhooks are not available in this version")
