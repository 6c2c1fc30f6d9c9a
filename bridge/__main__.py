"""`python -m bridge` is `replybridge`."""

from bridge.cli import main

main()
