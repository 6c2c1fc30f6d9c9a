"""Stand-ins: names, e-mail addresses and phone numbers of people, each replaced by the same made-up one everywhere."""

import re
from collections.abc import Iterable

from msgspec.structs import replace

from bridge.model.event import NOBODY, Contact

_EMAIL = re.compile(r"[\w.+%'-]{1,64}@[\w.-]{1,180}\.\w{2,20}")
_PHONE = re.compile(r"(?<![\w.+])\+?[0-9][0-9()/ .-]{5,22}[0-9](?!\w)")
_NAMES = ("Ada", "Lovelace", "Grace", "Hopper", "Alan", "Turing", "Emmy", "Noether")
_DIGITS = 7
"""Fewer digits are no phone number, but perhaps that of an order."""


class StandIns:
    """What is known of `contacts` is replaced wherever it stands; other addresses and numbers where they look so."""

    def __init__(self, contacts: Iterable[Contact]) -> None:
        self._emails: dict[str, str] = {}
        self._phones: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        for contact in contacts:
            for word in (contact.name or "").split():
                if len(word) > 1 and "@" not in word:
                    number = len(self._names)
                    stand_in = _NAMES[number] if number < len(_NAMES) else f"Name{number + 1}"
                    self._names.setdefault(word.casefold(), stand_in)
            if contact.email:
                self._email(contact.email)
            if contact.phone:
                self._phone(contact.phone)
        words = sorted(map(re.escape, self._names), key=len, reverse=True)
        self._name = re.compile(rf"(?<!\w)({'|'.join(words)})(?!\w)", re.IGNORECASE) if words else None

    def text(self, text: str) -> str:
        """The text with stand-ins."""
        text = _EMAIL.sub(lambda found: self._email(found[0]), text)
        text = _PHONE.sub(lambda found: self._phone(found[0]), text)
        if self._name is not None:
            text = self._name.sub(lambda found: self._names.get(found[0].casefold(), found[0]), text)
        return text

    def contact(self, contact: Contact) -> Contact:
        """The contact with stand-ins. Further facts may be anything, so they are left out."""
        if contact == NOBODY:
            return contact
        return replace(
            contact,
            id=contact.id and self._ids.setdefault(contact.id, f"contact-{len(self._ids) + 1}"),
            name=contact.name and self.text(contact.name),
            email=contact.email and self._email(contact.email),
            phone=contact.phone and self._phone(contact.phone),
            extra={},
        )

    def _email(self, email: str) -> str:
        number = len(self._emails) + 1
        return self._emails.setdefault(email.casefold(), f"someone{number}@example.com")

    def _phone(self, phone: str) -> str:
        digits = re.sub("[^0-9]", "", phone)
        if len(digits) < _DIGITS:
            return phone
        return self._phones.setdefault(digits, f"+1 555 01{len(self._phones):02}00")
