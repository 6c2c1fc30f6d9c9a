"""What the bridge asks of a real Omnidesk, as operations of rules: passing on what happens in chats, and questions."""

from collections.abc import Mapping

from pydantic import Field

from bridge.adapter.account import Options
from bridge.adapter.argument import Nothing
from bridge.adapter.protocol import Operation, Steps
from bridge.errors import Refused
from bridge.model.delivery import Sent
from bridge.model.event import Address
from bridge.platforms.omnidesk.account import OmnideskAccount
from bridge.platforms.omnidesk.calls import Called, make, needed, never
from bridge.platforms.omnidesk.forward import Forward, forward, of_event
from bridge.platforms.omnidesk.operations import OPERATIONS as CALLS


class Queue(Options):
    """The token is the first of the account's, unless one is given."""

    account_token: str | None = Field(default=None, max_length=255)


class Config(Queue):
    """The chat server is that of the conversation, or `forward_chat_server`, unless one is given."""

    chat_server: str | None = Field(default=None, max_length=255)


class Check(Config):
    origin: str
    ip: str


def request_chat_config(arguments: Config, to: Address, account: OmnideskAccount) -> Steps:
    return _ask(account, "requestChatConfig", chatServer=_server(arguments, to, account), **_token(arguments, account))


def check_origin(arguments: Check, to: Address, account: OmnideskAccount) -> Steps:
    server, token = _server(arguments, to, account), _token(arguments, account)
    return _ask(account, "checkOriginAndIP", chatServer=server, **token, origin=arguments.origin, ip=arguments.ip)


def whitelist(arguments: Nothing, to: Address, account: OmnideskAccount) -> Steps:
    return _ask(account, "whitelistedDomainsAndBlacklistedIPs")


def queue(arguments: Queue, to: Address, account: OmnideskAccount) -> Steps:
    return _ask(account, "requestChatQueue", **_token(arguments, account))


def probe(account: OmnideskAccount) -> Steps:
    """Ask Omnidesk for its lists, which needs the key and changes nothing. Who does not call it has nothing to ask."""
    if account.base_url is None:
        return Sent()
    return (yield from whitelist(Nothing(), {}, account))


def _ask(account: OmnideskAccount, name: str, **fields: object) -> Called:
    try:
        checked = CALLS[name].read(fields)
    except Refused as refusal:
        return never(refusal.message)
    return needed((yield from make(account, name, checked)), name)


def _server(arguments: Config, to: Address, account: OmnideskAccount) -> object:
    return arguments.chat_server or account.forward_chat_server or to.get("chat_server")


def _token(arguments: Queue, account: OmnideskAccount) -> dict[str, object]:
    return {"chatAccountToken": arguments.account_token or next(iter(account.chat_account_tokens), None)}


_ANSWER = ("item", "message")
"""What is in an item is not published, so all of it is found."""

OPERATIONS: Mapping[str, Operation[OmnideskAccount]] = {
    "forward": Operation(
        arguments=Forward,
        steps=forward,
        about="Passes on to Omnidesk what the chat server told: a message, typing, a visit, the end or a file.",
        finds=("ticketID", *_ANSWER),
        of_event=of_event,
    ),
    "request_chat_config": Operation(
        arguments=Config, steps=request_chat_config, about="Asks Omnidesk for the chat's configuration.", finds=_ANSWER
    ),
    "check_origin": Operation(
        arguments=Check,
        steps=check_origin,
        about="Asks Omnidesk whether a visitor may chat from a host name and an IP address.",
        finds=_ANSWER,
    ),
    "whitelist": Operation(
        arguments=Nothing,
        steps=whitelist,
        about="Asks Omnidesk for the whitelisted domains and blacklisted IP addresses.",
        finds=_ANSWER,
    ),
    "queue": Operation(arguments=Queue, steps=queue, about="Asks Omnidesk for the chat queue.", finds=_ANSWER),
}
