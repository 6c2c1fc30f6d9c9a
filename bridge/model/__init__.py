"""The nouns that travel along the line: frozen, keyword-only, no I/O, nothing above them known."""
