"""Anything else that can POST: Standard Webhooks, CloudEvents, or JSON with a shared secret; replies go out signed.

Standard Webhooks 1.0.0: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
CloudEvents 1.0 over HTTP: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
and its webhooks: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md
"""

from bridge.adapter.protocol import Adapter, Route
from bridge.platforms.webhook.account import WebhookAccount
from bridge.platforms.webhook.inbound import parse, verify
from bridge.platforms.webhook.operations import OPERATIONS
from bridge.platforms.webhook.outbound import send

adapter = Adapter(
    name="webhook",
    account=WebhookAccount,
    to_keys=(),
    routes=(Route(method="POST", path="/hooks/{account}"),),
    verify=verify,
    parse=parse,
    send=send,
    operations=OPERATIONS,
    can=frozenset({"private", "attachments", "quick_replies"}),
)
