"""The composition root, and what it takes to serve: the one place that knows every concrete part."""
