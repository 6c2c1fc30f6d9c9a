"""The servers under measure: started in a folder of their own, kept to one core, and what CPU they use."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from urllib.request import urlopen

from benchmarks.matching import mixed_rule

ROOT = Path(__file__).parent.parent
SERVE = (sys.executable, "-m", "bridge", "serve")
API_KEY = "key-for-benchmarks"


def write_folder(folder: Path, port: int, platform: int, rules: int, store: str = "sqlite:///data/bridge.db") -> None:
    """Settings and so many rules of all kinds, of which one may answer."""
    (folder / "rules").mkdir()
    (folder / "templates").mkdir()
    price = "The price of {{ match.mark }} is 9 €, {{ contact.name | default('friend') }}.\n"
    (folder / "templates" / "price.txt.j2").write_text(price)
    lines, draw = ["rules:"], Random(rules)
    for number in range(rules - 1):
        lines += [f"  - name: rule-{number}", "    on: message", f"    when: {{{mixed_rule(draw, number)}}}"]
        lines += ["    do: [reply: {text: hello}]"]
    lines += ["  - name: price", "    on: message", "    when:"]
    lines += ['      text: {matches: "(?i)how much is (?P<mark>mark \\\\d+)"}', "    do:"]
    lines += ["      - reply: {template: price.txt.j2}"]
    (folder / "rules" / "rules.yaml").write_text("\n".join(lines) + "\n")
    (folder / "bridge.toml").write_text(
        f"""[server]
listen = "127.0.0.1:{port}"

[log]
format = "json"

[store]
url = "{store}"

[accounts.site]
platform = "omnidesk"
api_keys = ["{API_KEY}"]
chat_servers = ["http://127.0.0.1:{platform}"]
max_in_flight = 64
"""
    )


@contextmanager
def running(
    command: Sequence[str], folder: Path, port: int, core: int | None = 0
) -> Iterator["subprocess.Popen[bytes]"]:
    """A server on the first core, ready to take requests; without `core`, on any."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.DEVNULL, preexec_fn=on_core(core)
    )
    try:
        _wait_for(port, process)
        yield process
    finally:
        process.terminate()
        process.wait(15)


def on_core(core: int | None) -> Callable[[], None]:
    """What keeps a process on one core; None lets it have all again."""

    def pin() -> None:
        cores = os.cpu_count() or 1
        if cores > 1:
            os.sched_setaffinity(0, range(cores) if core is None else {core})

    return pin


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(3000):
        if process.poll() is not None:
            raise SystemExit(f"the server ended with {process.returncode}")
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return
        except OSError as error:
            if getattr(error, "code", None):
                return
            time.sleep(0.005)
    raise SystemExit("the server did not become ready")


def cpu(process: int) -> float:
    """Seconds of CPU that all threads of a process have used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
