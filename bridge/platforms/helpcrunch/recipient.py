"""Whom a `to:` means: the number of a chat, or of a customer. What is not known is looked up.

The steps here only look up, but for `begin_chat`; they give a number, or the failure that ends the delivery.
"""

from collections.abc import Generator

import orjson

from bridge.adapter.answers import is_taken, never
from bridge.adapter.number import whole_number
from bridge.adapter.protocol import HttpAnswer, Step
from bridge.model.delivery import Failed
from bridge.model.event import Address
from bridge.platforms.helpcrunch.account import HelpCrunchAccount
from bridge.platforms.helpcrunch.calls import a_call, number_in, refusal, unreadable
from bridge.platforms.helpcrunch.search import Search, first_customer, newest_chat, search_for

Found = Generator[Step, HttpAnswer, int | Failed]


def find_chat(to: Address, account: HelpCrunchAccount, *, begin: bool = False) -> Found:
    """The number of the chat that is meant; with `begin`, one is begun where the customer has none and may have one."""
    try:
        number = _chat_in(to)
        if number is not None:
            return number
        search = search_for(to)
    except ValueError as error:
        return never(str(error))
    if search is None:
        return never("to: write one of chat, customer, email, user_id")
    answer = yield a_call(account, "POST", "/chats/search", search.for_chats(), safe=True)
    if not is_taken(answer):
        return refusal(answer)
    try:
        found = newest_chat(answer.body, search, account.is_closed)
    except ValueError as error:
        return unreadable("the search for a chat", error)
    if found is not None:
        return found
    if begin and account.application is not None:
        return (yield from _begin_chat(search, account, account.application))
    # Which customer it was is not said, because details are logged and an e-mail address is personal.
    return never(f"to.{search.key}: no chat of such a customer", "not_found")


def find_customer(to: Address, account: HelpCrunchAccount) -> Found:
    """The number of the customer that is meant; for a chat, the customer's who is in it."""
    try:
        chat, search = _chat_in(to), search_for(to)
    except ValueError as error:
        return never(str(error))
    if search is not None:
        return (yield from _customer(search, account))
    if chat is None:
        return never("to: write one of chat, customer, email, user_id")
    answer = yield a_call(account, "GET", f"/chats/{chat}", safe=True)
    if not is_taken(answer):
        return refusal(answer)
    try:
        read = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        return unreadable("the look-up of the chat", error)
    customer = read.get("customer") if isinstance(read, dict) else None
    number = whole_number(customer.get("id")) if isinstance(customer, dict) else None
    return unreadable("the look-up of the chat", "it names no customer") if number is None else number


def _chat_in(to: Address) -> int | None:
    """Raises ValueError for a chat that is no number."""
    if to.get("chat") is None:
        return None
    number = whole_number(to["chat"])
    if number is None:
        raise ValueError("to.chat: it is the number of a chat in HelpCrunch, 1 or above")
    return number


def _customer(search: Search, account: HelpCrunchAccount) -> Found:
    if isinstance(search.value, int):
        return search.value
    answer = yield a_call(account, "POST", "/customers/search", search.for_customers(), safe=True)
    if not is_taken(answer):
        return refusal(answer)
    try:
        found = first_customer(answer.body, search)
    except ValueError as error:
        return unreadable("the search for a customer", error)
    if found is None:
        return never(f"to.{search.key}: no such customer", "not_found")
    return found


def _begin_chat(search: Search, account: HelpCrunchAccount, application: int) -> Found:
    """Begin a chat with the customer. Source: https://docs.helpcrunch.com/rest-api-v1/create-chat-v1.

    It counts as safe to be made twice, because the reply has certainly not been sent yet when its answer does not
    come, and the next attempt looks for the chat before it begins another one.
    """
    customer = yield from _customer(search, account)
    if isinstance(customer, Failed):
        return customer
    body = {"customer": customer, "application": application}
    answer = yield a_call(account, "POST", "/chats", body, safe=True)
    if not is_taken(answer):
        return refusal(answer)
    number = number_in(answer.body)
    return unreadable("the beginning of a chat", "it names no chat") if number is None else number
