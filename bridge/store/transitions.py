"""Transitions: the statements that move deliveries from one state to another, made from the one table of them."""

from sqlalchemy import Update, update

from bridge.model.delivery import TRANSITIONS, State
from bridge.store.tables import deliveries


def move(before: State, after: State) -> Update:
    """An update of deliveries that are in one state, to another. Raises ValueError where there is no such way.

    A delivery that is in another state by now is left alone, because the statement names the state it comes from.
    """
    if after not in TRANSITIONS[before]:
        raise ValueError(f"a delivery that is {before} cannot become {after}")
    return stay(before).values(state=after)


def stay(state: State) -> Update:
    """An update of deliveries that are in a state, and remain in it."""
    return update(deliveries).where(deliveries.c.state == state)
