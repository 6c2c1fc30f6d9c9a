"""`make bench`: what matters in one table, each figure beside its target. `--quick` takes half a minute and is coarser.

`python -m benchmarks.line`, `.matching`, `.door`, `.delivery` and `.fairness` show more of each.
"""

import argparse
from dataclasses import dataclass

import uvloop

from benchmarks import check, delivery, door, fairness, line, matching
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


def main(quick: bool) -> None:
    events, rounds = (5_000, 1) if quick else (15_000, 3)
    rows = {row.name: row for row in line.measure(events, rounds)}
    acknowledged, replied = rows[line.ACKNOWLEDGED], rows[line.REPLIED]
    _, memory = line.idle()
    clients = uvloop.run(door.medians(5_000 if quick else 20_000, rounds))
    share = clients["door"][1] / clients["aiohttp"][1]
    print(f"{line.CONNECTIONS} connections; rates beside a bare aiohttp + uvloop JSON handler on the same core")
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
    ):
        print(figure)


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
    main(parser.parse_args().quick)
