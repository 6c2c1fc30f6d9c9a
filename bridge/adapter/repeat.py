"""What tells a repeat: of a webhook that comes twice, and of a request that goes out again."""

from datetime import timedelta
from hashlib import blake2b

from bridge.adapter.account import Account
from bridge.clock import to_ms
from bridge.model.delivery import Delivery

REPEAT_WITHIN = timedelta(seconds=10)
"""How long the same content counts as a repeat where nothing in it tells two of a kind apart: people do write "yes"
twice."""


def digest(content: bytes) -> str:
    """The same for the same content, in 32 hexadecimal digits: a key where the sender gives none."""
    return blake2b(content, digest_size=16).hexdigest()


def name_of(delivery: Delivery, account: Account) -> str:
    """The same at every attempt, and another for the same number in a store that was begun anew."""
    return f"{account.name}-{delivery.id}-{to_ms(delivery.created_at)}"
