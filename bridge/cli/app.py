"""All commands together."""

from importlib.metadata import version
from typing import Annotated

import typer

from bridge.cli.lazy import Lazy, on_demand

COMMANDS = {
    "serve": Lazy("bridge.cli.serve:serve", "Take webhooks in, answer by the rules, deliver the replies."),
    "check": Lazy(
        "bridge.cli.check:check",
        "Is everything sound: settings, rules, templates, examples, tests? What passes here may go live.",
    ),
    "test": Lazy(
        "bridge.cli.tests:run_tests",
        "Do the tests (*.test.yaml beside the rules) and the rules' examples pass, "
        "and which rules does none of them fire?",
    ),
    "try": Lazy(
        "bridge.cli.talk:talk",
        "A chat with your rules: write as a customer, and see what they answer, "
        "and why others do not. Nothing is sent.",
    ),
    "explain": Lazy(
        "bridge.cli.explain:explain_event",
        "Why did each rule fire or not? The present rules are asked, with the conversation as it was before the event.",
    ),
    "backtest": Lazy(
        "bridge.cli.backtest:run_backtest",
        "What would these rules have done about the recorded events? "
        "Each rule, then and now, and which replies differ.",
    ),
    "simulate": Lazy(
        "bridge.cli.simulate:simulate",
        "A recorded webhook through the rules: what would be sent. Nothing is sent, and nothing is kept.",
    ),
    "reload": Lazy(
        "bridge.cli.reload:reload",
        "Have the running server take up the rules and templates now, if they are sound.",
    ),
    "schema": Lazy(
        "bridge.cli.schema:schema",
        "The JSON Schema of a rule file, with the operations of every platform.",
    ),
    "platforms": Lazy(
        "bridge.cli.platforms:platforms",
        "What each platform can do: events in, replies out, operations.",
    ),
    "accounts": Lazy(
        "bridge.cli.accounts:accounts",
        "The configured accounts, with the webhook addresses to register.",
    ),
    "send": Lazy(
        "bridge.cli.send:send",
        "Send one message now, past the rules and the store. Exit code 1: it was not sent, or nobody knows.",
    ),
    "do": Lazy(
        "bridge.cli.send:do",
        "Have a platform do something now; `replybridge platforms NAME` tells what it can.",
    ),
    "broadcasts": Lazy(
        "bridge.cli.broadcasts:broadcasts",
        "One text for many: when it goes out, to whom, and how far it is.",
    ),
    "deliveries": Lazy(
        "bridge.cli.deliveries:deliveries",
        "Look at deliveries, send again what was given up, call off what is still to be sent.",
    ),
    "groupalarm": Lazy("bridge.cli.groupalarm:groupalarm", "Look at GroupAlarm's chat rooms."),
    "backup": Lazy(
        "bridge.cli.backup:backup",
        "Write the store as it is now, with customers' files, into one archive. The server may go on meanwhile.",
    ),
    "migrate": Lazy(
        "bridge.cli.store:migrate",
        "Make the tables of the store, or bring those of an older version up to this one. `serve` does it too.",
    ),
    "store": Lazy("bridge.cli.store:store", "Copy everything into another store: from SQLite to PostgreSQL, or back."),
    "forget": Lazy(
        "bridge.cli.forget:forget",
        "Delete everything about a person: conversations, events, deliveries, what is remembered, files. For good.",
    ),
}
"""Every command with the first line of its help."""

app = typer.Typer(
    cls=on_demand(COMMANDS),
    help="Connects chat events to actions: webhooks in, rules and templates, durable replies out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"replybridge {version('replybridge')}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Connects chat events to actions: webhooks in, rules and templates, durable replies out."""
