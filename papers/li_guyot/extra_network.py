"""Is the additional network what costs Li and Guyot's method accuracy, as Wu et al. say?

    python -m rdbench.papers.li_guyot.extra_network --out results/li_guyot

One energy is trained for every slope (`rdbench.estimators.li_guyot`). Then F = R + beta D of that
same energy is found in four ways, and compared with F* and with each other:

- ``mine``: R by a statistics network that sees x and y (MINE), plus beta D. The method's claim.
- ``mine, lemma``: the same with -beta rho(x, y) given to the network.
- ``integral``: with q fixed, dF/d beta is the mean distortion of p_beta(y|x) ~ q exp(-beta rho),
  so that F(beta) = int_0^beta D_b db, D_b by the energy's own chains. No network takes part.
- ``audit``: what rdbench reports of q.

The columns: ``value`` is F in nats, ``excess`` F - F*, ``lo`` and ``hi`` a 95% interval of the
excess where there is one (``integral``: of the symbols and chains, not of what chains never
reach), ``rate`` and ``distortion`` the two parts, ``cpu_s`` the CPU seconds of this evaluation of
one slope, training of the statistics network included; those of the energy are in ``fit_cpu_s``.
"""

from __future__ import annotations

import argparse
import importlib
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.polynomial.legendre import leggauss
from torch import Generator

from rdbench.audit import SIZES, audit
from rdbench.estimators.li_guyot import LiGuyot
from rdbench.estimators.li_guyot.frozen import Frozen
from rdbench.estimators.li_guyot.training import Fit
from rdbench.fitting import Task, standardised
from rdbench.run.monitor import TryMonitor
from rdbench.run.seeds import seed_for
from rdbench.run.views import make_view
from rdbench.types import Case, Claim, Refusal, TestChannel

CASES = {
    ("vector_gaussian", "ramp-d2"): (0.3, 2.0, 6.0),
    ("vector_gaussian", "ramp-d5"): (1.0, 4.0, 12.0),
    ("vector_gaussian", "ramp-d10"): (1.0, 8.0, 25.0),
    ("planar", "paper-d2"): (0.32, 1.9, 6.0),
}
"""(suite, case) -> rates in nats."""
Row = dict[str, Any]
_SEED = 0
_NODES, _LEAST = 20, 1e-5  # of the integral over log b, which begins at this part of beta
_SYMBOLS, _DRAWS, _ROUNDS = 4000, 1, 3


def main(out: Path) -> None:
    """Run the cases and write the tables."""
    rows: list[Row] = []
    for (suite, name), rates in CASES.items():
        rows += run(_case(suite, name), rates, LiGuyot())
        pd.DataFrame(rows).to_csv(out / "extra_network.csv", index=False)
        (out / "extra_network.md").write_text(table(rows), encoding="utf-8")
        print(f"{name}: done", flush=True)


def _case(suite: str, name: str) -> Case:
    found = importlib.import_module(f"rdbench.suites.{suite}").SUITE
    dims = None if found.dim_range is None else (int(name.rpartition("-d")[2]),)
    matching: Case = next(case for case in found.cases(dims) if case.name == name)
    return matching


def run(case: Case, rates: tuple[float, ...], config: LiGuyot) -> list[Row]:
    """The rows of one case.

    Args:
        case: the problem and its truth.
        rates: true rates in nats.
        config: of the fit; its ``critic`` is set here.
    """
    betas = [case.reference.slope(rate) for rate in rates]
    generator = torch.Generator().manual_seed(seed_for("extra network", case.name, _SEED, "fit"))
    data = torch.Generator().manual_seed(seed_for("extra network", case.name, _SEED, "data"))
    view, _ = make_view(case.problem, LiGuyot.info.needs, data, torch.device("cpu"))
    costs: list[tuple[str, float, float, float]] = []

    def method(task: Task) -> Iterator[TestChannel | Refusal]:
        yield from _evaluated(config, task, costs)

    rows: list[Row] = []
    found = standardised(method, view, betas, generator, TryMonitor(1.0), warm=config.warm_draws)
    for channel in found:
        assert isinstance(channel, TestChannel)
        reading, cpu, fit_cpu, error = costs[-1]
        claim, beta = channel.claim, channel.beta
        value = claim.rate + beta * claim.distortion
        row = _row(case, beta, reading, value, (claim.rate, claim.distortion))
        half = 1.96 * error
        row |= {"lo": row["excess"] - half, "hi": row["excess"] + half}
        rows.append(row | {"cpu_s": cpu, "fit_cpu_s": fit_cpu})
        if reading == "integral":
            rows.append(_audited(case, channel) | {"fit_cpu_s": fit_cpu})
    return rows


def _evaluated(
    config: LiGuyot, task: Task, costs: list[tuple[str, float, float, float]]
) -> Iterator[TestChannel]:
    """A channel for every slope and reading; what it cost is noted just before it is yielded."""
    started = time.process_time()
    fit = Fit(replace(config, critic="plain"), task)
    fit.train_energies()
    share = len(task.betas)
    fit_cpu = (time.process_time() - started) / share
    readings = {"mine": fit, "mine, lemma": fit.with_critic(replace(config, critic="lemma"))}
    training = {}
    for name, one in readings.items():
        started = time.process_time()
        one.train_critics()
        training[name] = (time.process_time() - started) / share
    held_out = task.draws.held_out(config.claim_pairs // 2)
    x = task.draws.claim(config.claim_pairs)
    for i, beta in enumerate(task.betas):
        frozen = fit.frozen(i)
        for name, one in readings.items():
            started = time.process_time()
            claim = one.claim(i, frozen, x, held_out)
            costs.append((name, training[name] + time.process_time() - started, fit_cpu, math.nan))
            yield frozen.channel(beta, claim, "")
        started = time.process_time()
        symbols = task.draws.claim(_SYMBOLS)
        value, distortion, error = integral(frozen, symbols, beta, task)
        costs.append(("integral", time.process_time() - started, fit_cpu, error))
        yield frozen.channel(beta, Claim(value - beta * distortion, distortion, "estimate"), "")


def integral(
    frozen: Frozen, x: torch.Tensor, beta: float, task: Task
) -> tuple[float, float, float]:
    """(F, D, standard error of F): int_0^beta D_b db by Gauss and Legendre in log b.

    Args:
        frozen: the energy.
        x: symbols.
        beta: the slope.
        task: the distortion and the generator of all draws.
    """
    nodes, weights = leggauss(_NODES)
    length = -math.log(_LEAST)
    slopes = beta * np.exp(0.5 * length * (nodes - 1.0))

    def distortions(b: float) -> torch.Tensor:
        """The mean over draws of rho, for every symbol."""
        y = frozen.sample_conditional(x, _DRAWS, b, task.generator, _ROUNDS)
        wide = x[:, None].expand_as(y)
        return task.distortion.value_and_grad(wide, y)[0].mean(1)

    total, variance = 0.0, 0.0
    potential = torch.zeros(len(x), dtype=torch.float64)
    for b, weight in zip(slopes, weights, strict=True):
        found = distortions(float(b))
        potential += 0.5 * length * weight * float(b) * found
    # Below the first slope q is hardly tilted.
    potential += _LEAST * beta * distortions(_LEAST * beta)
    total = float(potential.mean())
    variance = float(potential.var()) / len(x)
    return total, float(distortions(beta).mean()), math.sqrt(variance)


def _row(case: Case, beta: float, reading: str, value: float, point: tuple[float, float]) -> Row:
    truth = case.reference.point(beta)
    return {
        "case": case.name, "true_rate": truth.rate.mid, "beta": beta, "reading": reading,
        "value": value, "excess": value - truth.lagrangian.mid, "rate": point[0],
        "distortion": point[1],
    }  # fmt: skip


def _audited(case: Case, channel: TestChannel) -> Row:
    started = time.process_time()
    g: Generator = torch.Generator().manual_seed(
        seed_for("extra network", case.name, _SEED, "audit")
    )
    size = replace(SIZES["default"], paper_draws=0)
    found = audit(
        replace(channel, start=None), case.problem, case.reference, size=size, generator=g
    )
    row = _row(case, channel.beta, "audit", found.lagrangian, (found.rate, found.distortion))
    cpu_s = time.process_time() - started
    gap = {"excess": found.gap, "lo": found.gap_lo, "hi": found.gap_hi}
    return row | gap | {"cpu_s": cpu_s}


def table(rows: list[Row]) -> str:
    """F - F* of every reading in nats, and the CPU seconds of a slope, as Markdown."""
    readings = ("mine", "mine, lemma", "integral", "audit")
    lines = [
        "| case | R* | " + " | ".join(readings) + " |",
        "|---|---|" + "---|" * len(readings),
    ]
    for name in dict.fromkeys(row["case"] for row in rows):
        for rate in dict.fromkeys(row["true_rate"] for row in rows if row["case"] == name):
            of = {r["reading"]: r for r in rows if r["case"] == name and r["true_rate"] == rate}
            cells = [_cell(of[reading]) for reading in readings]
            lines.append(f"| {name} | {rate:.3g} | " + " | ".join(cells) + " |")
    cost = [np.mean([row["cpu_s"] for row in rows if row["reading"] == one]) for one in readings]
    lines.append("| CPU s of a slope |  | " + " | ".join(f"{c:.1f}" for c in cost) + " |")
    return "\n".join(lines) + "\n"


def _cell(row: Row) -> str:
    text = f"{row['excess']:.3f}"
    return text if math.isnan(row["lo"]) else f"{text} [{row['lo']:.3f}, {row['hi']:.3f}]"


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("results/li_guyot"))
    main(parser.parse_args().out)
