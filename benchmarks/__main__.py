"""`make bench`: what matters in one table, each figure beside its target. `--quick` takes a minute and is coarser.

`python -m benchmarks.line`, `.matching`, `.door`, `.delivery`, `.replicas` and `.fairness` show more of each.
"""

import argparse
from dataclasses import dataclass
from statistics import median

import uvloop

from benchmarks import check, delivery, door, fairness, line, matching, replicas
from benchmarks.traffic import CONNECTIONS
from bridge.observe import configure_logging


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A measured figure; with `at_least` it should be no lower than `target`, else no higher."""

    name: str
    value: float
    form: str
    target: float
    at_least: bool = False

    def __str__(self) -> str:
        kept = self.value >= self.target if self.at_least else self.value <= self.target
        bound = ("at least " if self.at_least else "at most ") + self.form.format(self.target)
        return f"{self.name:62}{self.form.format(self.value):>10}   {bound:18}{'' if kept else 'missed'}"


def main(quick: bool, postgresql: str) -> None:
    events, rounds = (5_000, 1) if quick else (15_000, 3)
    rows = {row.name: row for row in line.measure(events, rounds)}
    acknowledged, replied = rows[line.ACKNOWLEDGED], rows[line.REPLIED]
    _, memory = line.idle()
    clients = uvloop.run(door.medians(5_000 if quick else 20_000, rounds))
    share = clients["door"][1] / clients["aiohttp"][1]
    print(f"{CONNECTIONS} connections; rates beside a bare aiohttp + uvloop JSON handler on the same core")
    many = rows[line.MANY].ratio / rows[line.FEW].ratio
    ratio, time, micro = "{:.2f}", "{:.1f} ms", "{:.1f} µs"
    for figure in (
        Figure(name=line.ACKNOWLEDGED, value=acknowledged.ratio, form=ratio, target=0.5, at_least=True),
        Figure(name=line.REPLIED, value=replied.ratio, form=ratio, target=0.2, at_least=True),
        Figure(name="  its time from webhook to reply, p99", value=replied.reply, form=time, target=30),
        Figure(name="  its rate at 1,000 rules, beside that at 10", value=many, form=ratio, target=0.9, at_least=True),
        *(
            Figure(
                name=f"matching among {size:,} rules of all kinds",
                value=matching.median_at(size),
                form=micro,
                target=60,
            )
            for size in matching.SIZES
        ),
        *_delivering(quick),
        Figure(name="check of 1,000 rules, the whole process", value=check.seconds(1_000), form="{:.2f} s", target=1),
        Figure(name="memory when idle", value=memory, form="{:.0f} MB", target=90),
        Figure(name="CPU of an outgoing request, beside aiohttp's client", value=share, form=ratio, target=1),
        *_on_postgresql(postgresql, quick),
    ):
        print(figure)


def _on_postgresql(store: str, quick: bool) -> list[Figure]:
    """The line beside SQLite's in the same run, and deliveries, all with a server that waits for its disk."""
    rounds = replicas.measure(store, 2_000, rounds=1) if quick else replicas.measure(store)
    waiting = 100_000 if quick else 1_000_000
    (few, many), memory = delivery.measure((10_000, waiting), 10_000 if quick else 20_000, store)
    rate = "  claimed and completed deliveries a second"
    return [
        _ratio("PostgreSQL: acknowledgements beside SQLite's", [(one.one[0], one.file[0]) for one in rounds], 0.5),
        _ratio("  delivered replies beside SQLite's", [(one.one[1], one.file[1]) for one in rounds], 0.5),
        _ratio("  acknowledgements by two servers beside one", [(one.two[0], one.one[0]) for one in rounds], 1),
        _ratio("  delivered replies by two servers beside one", [(one.two[1], one.one[1]) for one in rounds], 1),
        Figure(name=rate, value=few.both, form="{:,.0f}", target=20_000, at_least=True),
        Figure(name=f"  slower by, where {waiting:,} wait", value=few.both / many.both, form="{:.2f}", target=1.5),
        Figure(name="  memory that it takes, however many wait", value=memory, form="{:.1f} MB", target=20),
    ]


def _ratio(name: str, rates: list[tuple[float, float]], target: float) -> Figure:
    """What one rate is beside another of the same round, by the median."""
    value = median(one / other for one, other in rates)
    return Figure(name=name, value=value, form="{:.2f}", target=target, at_least=True)


def _delivering(quick: bool) -> list[Figure]:
    configure_logging(level="error")
    (few, many), memory = delivery.measure()
    _, share = fairness.share(300, rounds=2) if quick else fairness.share()
    rate, beside = "claimed and completed deliveries a second", "rate of accounts beside one that hangs"
    return [
        Figure(name=rate, value=few.both, form="{:,.0f}", target=20_000, at_least=True),
        Figure(name="  slower by, where 1,000,000 wait", value=few.both / many.both, form="{:.2f}", target=1.5),
        Figure(name="  memory that it takes, however many wait", value=memory, form="{:.1f} MB", target=20),
        Figure(name=beside, value=share, form="{:.2f}", target=0.95, at_least=True),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of fewer events")
    parser.add_argument(
        "--postgresql", default="postgresql", metavar="URL", help="a server to use; else one is started"
    )
    given = parser.parse_args()
    main(given.quick, given.postgresql)
