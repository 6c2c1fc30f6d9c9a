"""The options of a HelpCrunch account: whose key, and which agent the customer sees."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bridge.adapter.account import Account, Duration, RateOption
from bridge.adapter.base_url import a_base_url
from bridge.adapter.secret import Secret, SecretOption, one_word
from bridge.model.quantity import parse_rate
from bridge.platforms.helpcrunch.values import plain_status


def _without_brackets(key: Secret) -> Secret:
    text = key.reveal()
    if text.startswith("<") or text.endswith(">"):
        raise ValueError("the key is written without the < and > that stand around it in HelpCrunch's documentation")
    return key


class HelpCrunchAccount(Account):
    """One HelpCrunch organisation, reached by its public API. doc.md describes every option.

    `agent` is required: without one HelpCrunch would post replies in the name of the customer.
    """

    platform: Literal["helpcrunch"] = "helpcrunch"
    base_url: Annotated[str, a_base_url("https://api.helpcrunch.com/v1")] = "https://api.helpcrunch.com/v1"
    api_key: Annotated[SecretOption, AfterValidator(_without_brackets), one_word("a key")]
    signing_keys: list[SecretOption] = Field(default_factory=list)
    window: Duration = timedelta(hours=24)
    """A webhook whose last attempt is longer ago is refused; 0 takes any."""
    agent: int = Field(ge=1)
    bots: list[int] = Field(default_factory=list)
    """Further agents whose messages no human wrote."""
    application: int | None = Field(default=None, ge=1)
    """The application in which a chat is begun with a customer who has none; None: none is begun."""
    budget: RateOption = parse_rate("120/min")
    closed_statuses: list[str] = Field(default_factory=lambda: ["closed", "5"])
    """Chats in one of these are written to only where the customer has no other."""
    customers_per_page: int = Field(default=100, ge=20, le=100)
    """Customers that are asked for at once where a broadcast's audience is a search."""
    snooze_as: Literal["number", "text"] = "number"
    tags_as: Literal["object", "list"] = "object"
    read_flag: bool = True
    """These three: how to write what HelpCrunch's documentation does not say (doc.md, "What is not known")."""

    def is_closed(self, status: str) -> bool:
        return plain_status(status) in map(plain_status, self.closed_statuses)

    def is_bot(self, agent: int | None) -> bool:
        """Whether messages of this agent are ours, or another machine's."""
        return agent is not None and (agent == self.agent or agent in self.bots)
