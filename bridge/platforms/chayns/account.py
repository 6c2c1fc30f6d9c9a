"""The options of a chayns account: which location it sends from, and the tapp whose secret says so."""

import re
from base64 import b64encode
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bridge.adapter.account import Account, NumberOption
from bridge.adapter.base_url import a_base_url
from bridge.adapter.secret import SecretOption, one_word

OFFSET = "{offset}"
"""Where a query has it, members are asked for page by page: it stands for how many were read."""
_QUERY = re.compile(r"([A-Za-z0-9_.~%&=,-]|\{offset\}){0,200}")


def _query(text: str) -> str:
    if not _QUERY.fullmatch(text):
        raise ValueError(f'"{text[:80]}" is not a query: write for example "fields=userId", without a question mark')
    return text


class ChaynsAccount(Account):
    """One location of chayns, reached by the secret of one of its tapps. doc.md describes every option.

    `member_field` and `members_query` say how the members of a UAC group are read; chayns does not publish it.
    """

    platform: Literal["chayns"] = "chayns"
    base_url: Annotated[str, a_base_url("https://api.chayns.net/v2.0")] = "https://api.chayns.net/v2.0"
    location_id: NumberOption
    tapp_id: NumberOption
    secret: Annotated[SecretOption, one_word("a tapp's secret")]
    member_field: str = Field(default="userId", min_length=1, max_length=100)
    members_query: Annotated[str, AfterValidator(_query)] = ""
    together: int = Field(default=100, ge=1, le=1000)
    """Users whom a broadcast writes the same text to by one message."""

    def authorization(self) -> str:
        """The value of the header of that name: RFC 7617 with the tapp as the user."""
        return "Basic " + b64encode(f"{self.tapp_id}:{self.secret.reveal()}".encode()).decode()
