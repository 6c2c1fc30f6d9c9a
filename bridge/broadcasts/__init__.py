"""Broadcasts: when they go out, to whom, and how fast."""
