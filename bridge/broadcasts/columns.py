"""What is known of people without a file of them, apart from what reads the store, which `check` does not need."""

from bridge.model.facts import CONTACT_FIELDS

MET = (*CONTACT_FIELDS, "account")
"""The variables that those may have whom the bridge has met; everybody has the account by which they were met."""
