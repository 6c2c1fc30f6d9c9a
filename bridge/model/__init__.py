"""The nouns that travel along the line: frozen, keyword-only, standard library only."""
