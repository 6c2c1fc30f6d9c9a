"""From files in `rules/` to an immutable Rulebook: read, checked whole, compiled, indexed."""
