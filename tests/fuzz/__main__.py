"""Fuzz the bridge by hand: `python -m tests.fuzz --seconds 60` bends rule files, templates, events and webhooks.

A case must end in a sound result or in an error for a person, within bounds of time and memory. What does not is
printed and kept as a file; `python -m tests.fuzz CASE...` tries such files again. What was found once and mended is in
tests/test_fuzz.py.
"""

import argparse
import faulthandler
import random
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.fuzz.targets import Target, targets

SECONDS = 5.0
"""CPU time that one case may take: the largest have the size of a whole rulebook."""
MEMORY = 2 * 1024**3
"""Bytes that the whole process may have."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("case", nargs="*", type=Path, help="files of cases to try again")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--only", help="the name of one target")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "replybridge-fuzz")
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory() as folder:
        chosen = [one for one in targets(Path(folder)) if asked.only in (None, one.name)]
        if asked.case:
            return sum(not _again(path, chosen) for path in asked.case)
        return _for_a_while(chosen, asked.seconds, asked.seed, asked.keep)


def _again(path: Path, chosen: list[Target]) -> bool:
    name = path.name.partition("-")[0]
    case = path.read_bytes().decode("utf-8", "surrogatepass")
    return all(_tried(one, case) is None for one in chosen if one.name == name)


def _for_a_while(chosen: list[Target], seconds: float, seed: int, keep: Path) -> int:
    draw, end = random.Random(seed), time.monotonic() + seconds
    tried, slowest, found = dict.fromkeys((one.name for one in chosen), 0), (0.0, "", ""), set[str]()
    while time.monotonic() < end:
        target = chosen[sum(tried.values()) % len(chosen)]
        case = target.case(draw)
        began = time.process_time()
        fault = _tried(target, case)
        took = time.process_time() - began
        tried[target.name] += 1
        slowest = max(slowest, (took, target.name, case[:60]))
        if fault is not None and fault not in found:
            found.add(fault)
            _kept(keep, target.name, case, len(found))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"seed {seed}: {tried}; slowest {slowest[0]:.2f} s ({slowest[1]}: {slowest[2]!r}); {most:.0f} MB at most")
    print(f"{len(found)} findings" + (f", kept in {keep}" if found else ""))
    return len(found)


def _tried(target: Target, case: str) -> str | None:
    """Where a case fails, or None."""
    faulthandler.dump_traceback_later(120, exit=True)
    began = time.process_time()
    try:
        target.attempt(case)
    except Exception as error:  # noqa: BLE001 - any exception is what is looked for
        traceback.print_exc()
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {last.filename}:{last.lineno}"
    finally:
        faulthandler.cancel_dump_traceback_later()
    took = time.process_time() - began
    if took > SECONDS:
        print(f"{target.name}: {took:.1f} s of CPU time", file=sys.stderr)
        return f"{target.name} takes too long"
    return None


def _kept(keep: Path, name: str, case: str, number: int) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    path = keep / f"{name}-{number}"
    path.write_bytes(case.encode("utf-8", "surrogatepass"))
    print(f"found: {path}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
