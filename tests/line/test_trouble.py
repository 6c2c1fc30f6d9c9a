"""Who is in trouble for an hour says so once, and once that it is over."""

from structlog.testing import capture_logs

from bridge.errors import StoreError
from bridge.line.trouble import Trouble


def test_trouble_is_told_when_it_begins_and_when_it_is_over() -> None:
    trouble = Trouble("look for due timers")
    with capture_logs() as lines:
        trouble.over()
        for why in ("the disk is full", "the disk is full", "another reason"):
            trouble.meets(StoreError(why))
        trouble.over()
        trouble.over()
        trouble.meets(StoreError("the disk is full"))
    begins = {"event": "cannot look for due timers; trying again and again", "log_level": "error"}
    assert lines == [
        {**begins, "error": "the disk is full"},
        {"event": "can look for due timers again", "log_level": "info"},
        {**begins, "error": "the disk is full"},
    ]
