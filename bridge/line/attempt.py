"""Attempt: one try at a delivery, from its adapter's steps to their outcome."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import orjson
from msgspec.structs import replace
from pydantic import ValidationError

from bridge.adapter.answers import excerpt
from bridge.adapter.http import Door
from bridge.adapter.protocol import HttpAnswer, Post, Steps
from bridge.clock import Clock
from bridge.errors import StoreError, did_you_mean
from bridge.line.accounts import Known
from bridge.line.attachments import Attachments
from bridge.line.stream import Mailboxes
from bridge.model.delivery import Attempt, Command, Delivery, Failed, OnUnknown, Outcome, Unknown
from bridge.observe import log
from bridge.store import look
from bridge.store.store import Store

Turn = Callable[[], Awaitable[None]]


def can_be_asked(known: Known, command: Command | None = None) -> bool:
    """Whether a platform can be asked what came of an attempt: of replies only, and where its adapter knows how."""
    return command is None and known.adapter.reconcile is not None


def on_unknown(delivery: Delivery, known: Known) -> OnUnknown:
    """What happens where nobody can say whether it arrived."""
    return delivery.on_unknown or known.account.on_unknown


def is_held(delivery: Delivery, known: Known) -> bool:
    """Whether it is for a person to decide if nobody can say what came of an attempt."""
    return on_unknown(delivery, known) == "hold" and not can_be_asked(known, delivery.command)


class Attempts:
    """Makes attempts: over the door, into mailboxes, with the files that are kept.

    Whoever has one made has waited for the turn of its first call; `turn` waits until the account may make one more.
    """

    def __init__(self, *, door: Door, store: Store, mailboxes: Mailboxes, files: Attachments, clock: Clock) -> None:
        self._door = door
        self._store = store
        self._mailboxes = mailboxes
        self._files = files
        self._clock = clock

    def make(self, delivery: Delivery, known: Known, turn: Turn) -> Awaitable[Attempt]:
        """Send a reply, or do an operation."""
        return self._made(delivery, known, turn, _steps)

    async def ask(self, delivery: Delivery, known: Known, turn: Turn) -> Attempt | None:
        """Ask the platform what came of an earlier attempt; None where there is no doubt, or nobody to ask.

        The outcome is Sent, Failed where it was certainly not sent, and else Unknown.
        """
        since, reconcile = delivery.unsure_since, known.adapter.reconcile
        if since is None or reconcile is None or not can_be_asked(known, delivery.command):
            return None
        told: list[Outcome] = []

        def steps(delivery: Delivery, known: Known) -> Steps:
            outcome = yield from reconcile(delivery, known.account, since)
            told.append(outcome)
            return outcome

        attempt = replace(await self._made(delivery, known, turn, steps), note="asked what came of it")
        if isinstance(attempt.outcome, Failed) and not told:
            # Here it is the question that failed; the adapter's own Failed says that the message did not arrive.
            detail = f"it cannot be asked: {attempt.outcome.detail}"
            return replace(attempt, outcome=Unknown(reason=attempt.outcome.reason, detail=detail))
        return attempt

    async def _made(
        self, delivery: Delivery, known: Known, turn: Turn, steps: Callable[[Delivery, Known], Steps]
    ) -> Attempt:
        at, began = self._clock.now(), self._clock.monotonic()
        outcome: Outcome
        answer = None
        try:
            outcome, answer = await self._door.drive(
                steps(delivery, known), partial(self._post, delivery.id), known.account.timeout, turn, self._files.read
            )
        except StoreError as error:
            # The mail was not written, whole or in part, or a file not read; that may be better later.
            outcome = Failed(reason="unavailable", detail=str(error))
        except Exception as error:  # noqa: BLE001
            # A fault of an adapter must not stop the line; the delivery is kept for a person, with the reason.
            log(delivery=delivery.id).exception("the adapter failed", platform=known.adapter.name)
            detail = f"the adapter failed: {type(error).__name__}"
            outcome = Failed(reason="invalid", permanent=True, detail=detail)
        return Attempt(
            delivery=delivery.id,
            at=at,
            took=self._clock.monotonic() - began,
            outcome=outcome,
            status=answer.status if answer else None,
            answer=excerpt(answer.body) if answer else None,
        )

    async def _post(self, delivery: int, mail: Post) -> HttpAnswer:
        await self._store.write(
            look.post, look.Mail(mailbox=mail.mailbox, delivery=delivery, body=mail.body, at=self._clock.now())
        )
        self._mailboxes.notify(mail.mailbox)
        return HttpAnswer(status=200)


def _steps(delivery: Delivery, known: Known) -> Steps:
    command = delivery.command
    if command is None:
        return known.adapter.send(delivery, known.account)
    platform, _, name = command.operation.partition(".")
    operation = known.adapter.operations.get(name) if platform == known.adapter.name else None
    if operation is None:
        own = [f"{known.adapter.name}.{one}" for one in known.adapter.operations]
        near = did_you_mean(command.operation, own)
        return _never(f"the account {known.account.name} cannot do {command.operation[:100]}{near}")
    try:
        arguments = operation.arguments.model_validate_json(orjson.dumps(dict(command.arguments)))
    except (ValidationError, TypeError) as error:
        return _never(f"{command.operation}: {_wrong(error)}")
    return operation.begin(arguments, delivery, known.account)


def _wrong(error: ValidationError | TypeError) -> str:
    """Which argument it is, and what is wrong with it; never its value, which may be a customer's."""
    if isinstance(error, TypeError):
        return "an argument is not JSON"
    first: Mapping[str, Any] = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    words = first["msg"].removeprefix("Value error, ")
    return f"{place}: {words}" if place else words


def _never(detail: str) -> Steps:
    """The steps of what cannot be done: none."""
    yield from ()
    return Failed(reason="invalid", detail=detail, permanent=True)
