"""What the caller of each operation reads.

The shapes (`result`, `item`, `error`) are the API's. The names inside `item` are ours: the description says
"No content" for these operations. doc.md lists them.
"""

from collections.abc import Callable, Mapping
from hashlib import blake2b

import orjson

from bridge.adapter.dialect import sound
from bridge.adapter.network import is_among
from bridge.adapter.protocol import Answer, Standing
from bridge.errors import Refused
from bridge.platforms.omnidesk.account import OmnideskAccount, host_name
from bridge.platforms.omnidesk.fields import shorten


def result(message: str) -> Answer:
    return Answer(body=orjson.dumps({"type": "result", "message": message}))


def item(content: dict[str, object]) -> Answer:
    return Answer(body=orjson.dumps({"type": "item", "item": content}))


def refuse(status: int, message: str) -> Answer:
    """A refusal in the API's own shape. The message may quote the sender, lone surrogates included."""
    return Answer(status=status, body=orjson.dumps({"status": "error", "message": sound(message)}))


def ticket(conversation: str) -> int:
    """A ticket's number: the same for a conversation at any time, from 1 to 2**53 - 1, exact in any JSON reader."""
    return int.from_bytes(blake2b(conversation.encode(), digest_size=8).digest()) >> 11 or 1


def message_sent(conversation: str) -> Answer:
    return Answer(body=b'{"type":"result","message":"Message sent.","ticketID":%d}' % ticket(conversation))


def forwarded(otherwise: Answer, found: object) -> Answer:
    """The answer with the ticket that Omnidesk told when the message was passed on; `otherwise` where it told none."""
    number = found.get("ticketID") if isinstance(found, Mapping) else None
    if not isinstance(number, int) or isinstance(number, bool):
        return otherwise
    return Answer(body=orjson.dumps({"type": "result", "message": "Message sent.", "ticketID": number}))


def config(account: OmnideskAccount) -> Callable[[Standing], Answer]:
    def answer(standing: Standing) -> Answer:
        return item(
            {"online": standing.online is not False, "greeting": account.greeting, "maxMessageLength": account.max_text}
        )

    return answer


def queue(standing: Standing) -> Answer:
    return item({"open": standing.open, "waiting": standing.waiting, "online": standing.online is not False})


def lists(account: OmnideskAccount) -> Answer:
    return item(
        {
            "whitelistedDomains": list(account.whitelisted_domains),
            "blacklistedIPs": [_shown(network) for network in map(str, account.blacklisted_ips)],
        }
    )


def check(account: OmnideskAccount, origin: str, ip: str) -> Answer:
    """Whether a visitor may chat from this host name and address. Raises Refused(400) for what is no address."""
    origin_allowed, ip_allowed = _origin_allowed(account, origin), _ip_allowed(account, ip)
    return item({"allowed": origin_allowed and ip_allowed, "originAllowed": origin_allowed, "ipAllowed": ip_allowed})


def _shown(network: str) -> str:
    return network.removesuffix("/128" if ":" in network else "/32")


def _origin_allowed(account: OmnideskAccount, origin: str) -> bool:
    if not account.whitelisted_domains:
        return True
    host = host_name(origin)
    return host is not None and any(
        host.endswith(domain[1:]) if domain.startswith("*.") else host == domain
        for domain in account.whitelisted_domains
    )


def _ip_allowed(account: OmnideskAccount, ip: str) -> bool:
    try:
        return not is_among(ip, account.blacklisted_ips)
    except ValueError:
        raise Refused(400, f"ip: {shorten(ip)} is not an IPv4 or IPv6 address") from None
