"""What HelpCrunch can do beside sending: assign, close, tag, ... Each is one call, after a look-up where one is needed.

Sources: https://docs.helpcrunch.com/rest-api-v1, the pages on chats, customers and events.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Literal

from bridge.adapter.answers import is_taken, never
from bridge.adapter.argument import Nothing
from bridge.adapter.protocol import HttpAnswer, HttpCall, Operation, Step, Steps
from bridge.model.delivery import Failed, Sent
from bridge.model.event import Address
from bridge.platforms.helpcrunch.account import HelpCrunchAccount
from bridge.platforms.helpcrunch.arguments import (
    Assign,
    Customer,
    Department,
    MarkRead,
    Rate,
    SendEvent,
    Snooze,
    Status,
    Tags,
)
from bridge.platforms.helpcrunch.calls import a_call, number_in, refusal
from bridge.platforms.helpcrunch.recipient import find_chat, find_customer


def _done(call: HttpCall, number: int) -> Generator[Step, HttpAnswer, Sent | Failed]:
    """Make the last call; the reference is the number of what was changed."""
    answer = yield call
    return Sent(reference=str(number)) if is_taken(answer) else refusal(answer)


def _change_chat(to: Address, account: HelpCrunchAccount, what: str, change: Mapping[str, object]) -> Steps:
    """The chat's number stands in the body, not in the path. A change made twice is the same change."""
    chat = yield from find_chat(to, account)
    if isinstance(chat, Failed):
        return chat
    return (yield from _done(a_call(account, "PUT", f"/chats/{what}", {"id": chat, **change}, safe=True), chat))


def assign(arguments: Assign, to: Address, account: HelpCrunchAccount) -> Steps:
    return _change_chat(to, account, "assignee", {"assignee": arguments.agent})


def unassign(arguments: Nothing, to: Address, account: HelpCrunchAccount) -> Steps:
    return _change_chat(to, account, "assignee", {"assignee": None})


def department(arguments: Department, to: Address, account: HelpCrunchAccount) -> Steps:
    return _change_chat(to, account, "department", {"department": arguments.department})


def status(arguments: Status, to: Address, account: HelpCrunchAccount) -> Steps:
    return _change_chat(to, account, "status", {"status": arguments.status})


def close(arguments: Nothing, to: Address, account: HelpCrunchAccount) -> Steps:
    return _change_chat(to, account, "status", {"status": "closed"})


def snooze(arguments: Snooze, to: Address, account: HelpCrunchAccount) -> Steps:
    seconds = int(arguments.until.timestamp())
    until = str(seconds) if account.snooze_as == "text" else seconds
    return _change_chat(to, account, "snooze", {"snoozedUntil": until})


def unsnooze(arguments: Nothing, to: Address, account: HelpCrunchAccount) -> Steps:
    return _change_chat(to, account, "snooze", {"snoozedUntil": None})


def rate(arguments: Rate, to: Address, account: HelpCrunchAccount) -> Steps:
    return _change_chat(to, account, "rate", {"rating": arguments.rating})


def mark_read(arguments: MarkRead, to: Address, account: HelpCrunchAccount) -> Steps:
    what = "readByAgent" if arguments.by == "agent" else "readByCustomer"
    return _change_chat(to, account, what, {what: True} if account.read_flag else {})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tagging:
    """`tag` and `untag` are the same call but for the method."""

    method: Literal["PUT", "DELETE"]

    def __call__(self, arguments: Tags, to: Address, account: HelpCrunchAccount) -> Steps:
        customer = yield from find_customer(to, account)
        if isinstance(customer, Failed):
            return customer
        tags = arguments.written()
        body = {"tags": tags} if account.tags_as == "object" else tags
        return (
            yield from _done(a_call(account, self.method, f"/customers/{customer}/tags", body, safe=True), customer)
        )


def update_customer(arguments: Customer, to: Address, account: HelpCrunchAccount) -> Steps:
    change = arguments.written()
    if not change:
        return never("update_customer: nothing to change is given: write for example `company: Acme`")
    customer = yield from find_customer(to, account)
    if isinstance(customer, Failed):
        return customer
    return (yield from _done(a_call(account, "PATCH", f"/customers/{customer}", change, safe=True), customer))


def create_customer(arguments: Customer, to: Address, account: HelpCrunchAccount) -> Steps:
    """Nobody is looked for: `to` is not read. What is found is the new customer's number."""
    answer = yield a_call(account, "POST", "/customers", arguments.written())
    if not is_taken(answer):
        return refusal(answer)
    number = number_in(answer.body)
    return Sent(reference=None if number is None else str(number), found=None if number is None else {"id": number})


def send_event(arguments: SendEvent, to: Address, account: HelpCrunchAccount) -> Steps:
    customer = yield from find_customer(to, account)
    if isinstance(customer, Failed):
        return customer
    body = {"customer": customer, "name": arguments.name, "data": arguments.data}
    return (yield from _done(a_call(account, "POST", "/events", body), customer))


OPERATIONS: Mapping[str, Operation[HelpCrunchAccount]] = {
    "assign": Operation(arguments=Assign, steps=assign, about="Gives the chat to an agent."),
    "unassign": Operation(arguments=Nothing, steps=unassign, about="Takes the chat from whoever has it."),
    "department": Operation(arguments=Department, steps=department, about="Gives the chat to a department."),
    "status": Operation(arguments=Status, steps=status, about="Sets the chat's status."),
    "close": Operation(arguments=Nothing, steps=close, about="Closes the chat."),
    "snooze": Operation(arguments=Snooze, steps=snooze, about="Puts the chat aside until a time."),
    "unsnooze": Operation(arguments=Nothing, steps=unsnooze, about="Brings a snoozed chat back."),
    "rate": Operation(arguments=Rate, steps=rate, about="Rates the chat."),
    "mark_read": Operation(arguments=MarkRead, steps=mark_read, about="Marks the chat as read."),
    "tag": Operation(arguments=Tags, steps=_Tagging(method="PUT"), about="Tags the customer."),
    "untag": Operation(arguments=Tags, steps=_Tagging(method="DELETE"), about="Takes tags from the customer."),
    "update_customer": Operation(arguments=Customer, steps=update_customer, about="Changes facts of the customer."),
    "create_customer": Operation(
        arguments=Customer, steps=create_customer, about="Makes a new customer.", finds=("id",), always=("id",)
    ),
    "send_event": Operation(arguments=SendEvent, steps=send_event, about="Records an event of the customer."),
}
