"""All commands together."""

from importlib.metadata import version
from typing import Annotated

import typer

from bridge.cli.accounts import accounts
from bridge.cli.backtest import run_backtest
from bridge.cli.backup import backup
from bridge.cli.broadcasts import broadcasts
from bridge.cli.check import check
from bridge.cli.deliveries import deliveries
from bridge.cli.explain import explain_event
from bridge.cli.forget import forget
from bridge.cli.groupalarm import groupalarm
from bridge.cli.platforms import platforms
from bridge.cli.printing import out
from bridge.cli.reload import reload
from bridge.cli.schema import schema
from bridge.cli.send import do, send
from bridge.cli.serve import serve
from bridge.cli.simulate import simulate
from bridge.cli.talk import talk
from bridge.cli.tests import run_tests

app = typer.Typer(
    help="Connects chat events to actions: webhooks in, rules and templates, durable replies out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (serve, check, reload, simulate, schema, platforms, accounts, send, do, backup, forget):
    app.command()(command)
app.command("test")(run_tests)
app.command("try")(talk)
app.command("explain")(explain_event)
app.command("backtest")(run_backtest)
for group, name in ((broadcasts, "broadcasts"), (deliveries, "deliveries"), (groupalarm, "groupalarm")):
    app.add_typer(group, name=name)


def _say_version(asked: bool) -> None:
    if asked:
        out.print(f"replybridge {version('replybridge')}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Connects chat events to actions: webhooks in, rules and templates, durable replies out."""
