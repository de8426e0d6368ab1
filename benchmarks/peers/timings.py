"""Blahut-Arimoto against dit: what one contender took for one aim in one round, and the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.peers.tables import Table, digits, middle


@dataclass(frozen=True)
class Timing:
    """A row of blahut_arimoto.csv."""

    problem: str
    n: int
    beta: float
    """In nats."""
    aim: str
    target: float
    """Nats: what F - F*, or the certified gap, has to fall to."""
    contender: str
    """``dit``; ``classical``, ours with the same iteration; ``default``, our interior point."""
    round: int
    iterations: int
    """0: dit does not say."""
    cpu_s: float
    excess: float
    """F(w) - F* in nats at the weights it ended with; nan where ``scaled``."""
    certified: float
    """log max c(w) in nats, likewise."""
    scaled: bool
    """CPU seconds of so many iterations by those of fewer."""
    reached: bool
    """False: so many iterations do not reach the target."""
    versions: str


HEADER = [
    "problem", "to reach", "iterations of dit", "dit, ms", "ours, same iteration, ms",
    "ours, default, ms", "dit / same iteration", "dit / default",
]  # fmt: skip


def table(rows: Sequence[Timing]) -> Table:
    """One line per problem and aim: medians over the rounds, ratios within a round."""
    groups: dict[tuple[str, str], list[Timing]] = {}
    for row in rows:
        key = row.aim if row.aim.startswith("dit") else f"{row.aim} ≤ {row.target:g}"
        groups.setdefault((row.problem, key), []).append(row)
    return [HEADER, *(_line(problem, aim, found) for (problem, aim), found in groups.items())]


def _line(problem: str, aim: str, rows: Sequence[Timing]) -> list[str]:
    by = {name: {r.round: r for r in rows if r.contender == name} for name in _CONTENDERS}
    dit = list(by["dit"].values())
    one = dit[0]
    if aim.startswith("dit"):
        aim += f": {digits(median(r.target for r in dit))}"
    more = "" if one.reached else "> "
    cells = [problem, aim, f"{more}{one.iterations}" if one.iterations else "≤ 100"]
    for name in _CONTENDERS:
        mark = "" if all(r.reached for r in by[name].values()) else "> "
        cells.append(mark + _ms(r.cpu_s for r in by[name].values()) + "*" * by[name][0].scaled)
    for name in _CONTENDERS[1:]:
        ours = by[name]
        ratios = [by["dit"][k].cpu_s / ours[k].cpu_s for k in sorted(by["dit"]) if k in ours]
        # where neither gets there, both made as many iterations
        sign = "> " if not one.reached and ours[0].reached else ""
        cells.append(sign + middle(median(ratios), ratios, "round"))
    return cells


_CONTENDERS = ("dit", "classical", "default")


def _ms(seconds: Iterable[float]) -> str:
    return digits(1e3 * median(seconds), 3)
