"""Reload: rules and templates are edited under a running bridge, and nobody has to be afraid of it.

folders.py    the files as they lie there: did they change, what do they say
kept.py       the last good ones, kept under the data directory for a restart in the middle of a broken edit
asked.py      how `replybridge reload` asks the server to look, and reads what came of it
examine.py    what is read, put before the gate (bridge/lab/gate.py)
reloader.py   looks, and swaps the behaviour of the line, whole
hang_up.py    the signal that asks for it
"""
