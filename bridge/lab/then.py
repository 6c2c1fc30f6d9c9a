"""Then: what was decided at the time, as the store has it, in the form in which a rehearsal tells it."""

from bridge.line.render import Rendered
from bridge.store.recorded import Told


def rendered_then(told: Told) -> Rendered:
    """What a recorded delivery was when it was decided, whatever became of it since."""
    made = told.delivery
    empty = made.command is None and not made.reply.text and not made.reply.attachments
    return Rendered(
        rule=made.rule,
        action=made.action,
        account=made.account,
        lane=made.lane,
        to=made.to,
        reply=made.reply,
        command=made.command,
        fault=(told.reason or "invalid", told.detail or "it came to nothing") if empty else None,
        held=told.detail or "it was held back" if told.held_back else None,
    )
