"""How long `replybridge check` takes, as a whole process: what somebody waits for who has saved a rule.

The program is as an installer leaves it, its modules compiled to bytecode. Rules as people write them: words in three
scripts, patterns, addresses and memory; limits, follow-ups, template files, names in every second text; and for each
an example.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from benchmarks.matching import address_rule, memory_rule, pattern_rule, piece_rule, word

SIZES = (1, 100, 1_000)
IN_A_FILE = 50
_NAMES = ("friend", "{{ contact.name | default('friend') }}")
_QUIET = (pattern_rule, address_rule, memory_rule, piece_rule)


def folder_of(size: int, folder: Path) -> None:
    """A working directory with settings, so many rules, and a template for every tenth of them."""
    draw = Random(size)
    (folder / "rules").mkdir()
    (folder / "templates").mkdir()
    (folder / "bridge.toml").write_text('[accounts.chat]\nplatform = "webchat"\n')
    for first in range(0, size, IN_A_FILE):
        rules = "".join(_rule(draw, number) for number in range(first, min(size, first + IN_A_FILE)))
        (folder / f"rules/{first:06}.yaml").write_text(f"rules:\n{rules}")
    for number in range(0, size, 10):
        text = "{% if contact.name is defined %}{{ contact.name }}, {% endif %}" + word(draw)
        (folder / f"templates/t{number}.md.j2").write_text(text)


def _rule(draw: Random, number: int) -> str:
    """Every second one is fired by its example; the others leave theirs alone."""
    asked = word(draw)
    if number % 2:
        when, example, expect = _QUIET[number // 2 % len(_QUIET)](draw, number), f"{asked} {number}", "nothing"
    else:
        when = f'text: {{words: [{asked}, {word(draw)}, "{word(draw)} {word(draw)}"]}}'
        example, expect = f"{word(draw)} {asked.upper()}?", f"{{remember: {{asked: {number}}}}}"
    reply = f'text: "{asked}, {draw.choice(_NAMES)}"'
    if number % 10 == 0:
        reply = f"template: t{number}.md.j2"
    return f"""
  - name: rule {number}
    on: message
    when:
      {when}
      contact.memory.told: {{exists: false}}
    limit: {{times: 1, per: conversation, within: {number % 23 + 1}h}}
    do:
      - reply: {{{reply}}}
      - remember: {{asked: {number}}}
      - after: {number % 50 + 1}m
        unless: [agent_message, contact_message, ended]
        do: [reply: {{text: "{word(draw)}?"}}]
    examples:
      - message: "{example}"
        expect: {expect}
"""


def seconds(size: int, rounds: int = 3) -> float:
    """The best time of so many rounds: the others were disturbed. One before them leaves the bytecode."""
    with TemporaryDirectory() as name:
        folder_of(size, Path(name))
        _once(Path(name), size)
        return min(_once(Path(name), size) for _ in range(rounds))


def _once(folder: Path, size: int) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "check"],
        cwd=folder,
        env={**environment, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")},
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.perf_counter() - start
    if done.returncode or not done.stdout.startswith(f"{size:,} rule"):
        raise SystemExit(done.stdout + done.stderr)
    return took


def main() -> None:
    print(f"{'rules':>8}{'check':>10}")
    for size in SIZES:
        print(f"{size:>8,}{seconds(size):>8.2f} s", flush=True)


if __name__ == "__main__":
    main()
