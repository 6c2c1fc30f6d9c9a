"""chayns has no published webhooks: no route leads here, and whoever calls is refused."""

from typing import NoReturn

from bridge.adapter.protocol import Webhook
from bridge.errors import Refused
from bridge.platforms.chayns.account import ChaynsAccount


def refuse_all(webhook: Webhook, account: ChaynsAccount) -> NoReturn:
    raise Refused(404, "chayns sends no webhooks; this platform only sends")
