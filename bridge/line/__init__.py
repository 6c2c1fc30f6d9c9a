"""The line: receive -> normalise -> match -> render -> enqueue | deliver. `handle.py` is its table of contents."""
