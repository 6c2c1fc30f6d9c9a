"""`replybridge serve`."""

import sys
from importlib.metadata import version

from rich.text import Text

from bridge.app.serve import Ready, note_ready
from bridge.app.serve import serve as serve_bridge
from bridge.cli.options import Config, settings_of
from bridge.cli.printing import err, explained, near, shown
from bridge.model.quantity import say_count
from bridge.observe import configure_logging
from bridge.settings import Settings
from bridge.settings.store_url import without_secrets


def serve(config: Config = None) -> None:
    """Take webhooks in, answer by the rules, deliver the replies."""
    with explained():
        settings = settings_of(config)
        configure_logging(settings.log.format, settings.log.level)
        if not sys.stderr.isatty() or settings.log.format == "json":
            serve_bridge(settings, note_ready)
            return
        serve_bridge(settings, lambda ready: err.print(_greeting(ready, settings), soft_wrap=True))


def _greeting(ready: Ready, settings: Settings) -> Text:
    """For a person at a terminal: where everything is, and what to do next."""
    told = [("listens at", ready.listen)]
    told += [("web chat", address) for address in ready.pages.values()]
    told += [("webhooks", f"{each}  (account {name})") for name, found in ready.webhooks.items() for each in found]
    told += [
        ("rules", f"{say_count(ready.rules, 'rule')} {_origin(ready, settings)}"),
        ("settings", near(settings.file) if settings.file else "the built-in ones, because there is no bridge.toml"),
        ("changes", _changes(settings)),
    ]
    if settings.store.file is None:
        told.append(("store", f"{without_secrets(settings.store.url)}, which other servers may share"))
    text = Text(f"\nreplybridge {version('replybridge')} is ready. Ctrl-C stops it.\n\n", style="bold")
    for name, value in told:
        text.append(f"  {name:10}  ", style="not bold dim").append(f"{shown(value)}\n", style="not bold")
    return text


def _origin(ready: Ready, settings: Settings) -> str:
    rules, templates = near(settings.rulebook.rules), near(settings.rulebook.templates)
    if ready.last_good:
        return f"of the last good rulebook, because {rules}/ or {templates}/ have an error, which is told above"
    return f"from {rules}/, templates from {templates}/"


def _changes(settings: Settings) -> str:
    how = "by themselves" if settings.rulebook.watch else "by `replybridge reload`"
    return f"of rules and templates go live {how}, as soon as all is sound"
