"""Whether the audit's intervals of R and D hold what plain sums say, on every built-in case.

For every case and every rung of its ladder, two channels that are not optimal: 200 atoms at draws
of the source pulled towards their mean, and under squared error a Gaussian density fitted to draws.
R and D are audited with three seeds and computed again by plain means over 40,000 other draws
(exact sums over a finite source), with E[rho | x] in closed form. The difference counts as inside
where it is at most the root of the sum of the squares of both half widths.

    python benchmarks/studies/audit_rates.py [--out results/audit/rates.csv] [--cases GLOB]

A row that is in the CSV is not computed again: an interrupted run goes on where it was.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy is imported

import argparse
import csv
import dataclasses
import math
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Generator, Tensor

from rdbench import registry
from rdbench.audit import SIZES, audit
from rdbench.audit.possible import impossibility
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import (
    Atoms,
    Case,
    Claim,
    Density,
    HasSupport,
    Marginal,
    OutOfRange,
    TestChannel,
)

SIZE = dataclasses.replace(SIZES["default"], paper_draws=0, conditional_symbols=0)
SEEDS = (1101, 1102, 1103)
_PLAIN = 40_000
_ATOMS = 200
_PULL = 0.8


@dataclasses.dataclass(frozen=True)
class Plain:
    """R and D by plain means, with half of their 95% intervals."""

    rate: float
    distortion: float
    rate_half: float
    distortion_half: float


def cases(pattern: str) -> Iterator[tuple[str, Case]]:
    """Every built-in case of a suite's default dimensions; the suite ``paper`` repeats others."""
    for name in registry.names("suite"):
        if name != "paper":
            for case in registry.load_suite(name).cases():
                if fnmatchcase(f"{name}/{case.name}", pattern):
                    yield f"{name}/{case.name}", case


def atoms(case: Case) -> Atoms:
    """Draws pulled to their mean; the letters where there is an alphabet or no geometry."""
    source = case.problem.source
    alphabet = case.problem.alphabet
    if alphabet is not None:
        points = alphabet.double()
    else:
        points = source.sample(_ATOMS, Generator().manual_seed(31)).double()
        if case.problem.distortion.name != "hamming":
            points = points.mean(0) + _PULL * (points - points.mean(0))
        points = torch.unique(points, dim=0)
    n = len(points)
    return Atoms(points, torch.full((n,), -math.log(n), dtype=torch.float64))


def gaussian(case: Case, beta: float) -> GaussianMixture:
    """The Gaussian of the source's moments less the noise of slope beta, never quite singular."""
    x = case.problem.source.sample(20_000, Generator().manual_seed(32)).double()
    values, vectors = torch.linalg.eigh(torch.cov(x.T).reshape(x.shape[1], x.shape[1]))
    kept = (values - 0.5 / beta).clamp(min=0.02 * float(values.max()))
    return GaussianMixture(
        torch.ones(1, dtype=torch.float64), x.mean(0)[None], ((vectors * kept) @ vectors.T)[None]
    )


def plain(case: Case, beta: float, of: Atoms | GaussianMixture) -> Plain:
    """R and D by means over plain draws, or exact sums."""
    source = case.problem.source
    weights = None
    if isinstance(source, HasSupport):
        x, weights = source.support.double(), source.pmf.double()
    else:
        x = source.sample(_PLAIN, Generator().manual_seed(33)).double()
    parts = [_rows(case, part, beta, of) for part in x.split(5000)]
    rate, distortion = (torch.cat(rows) for rows in zip(*parts, strict=True))
    if weights is not None:
        return Plain(float(weights @ rate), float(weights @ distortion), 0.0, 0.0)
    halves = [1.96 * float(v.std()) / math.sqrt(len(v)) for v in (rate, distortion)]
    return Plain(float(rate.mean()), float(distortion.mean()), *halves)


def _rows(case: Case, x: Tensor, beta: float, of: Atoms | GaussianMixture) -> tuple[Tensor, Tensor]:
    if isinstance(of, Atoms):
        rho = case.problem.distortion.pairwise(x, of.points)
        exponent = of.log_weights - beta * rho
        distortion = (torch.softmax(exponent, 1) * rho).sum(1)
        return -torch.logsumexp(exponent, 1) - beta * distortion, distortion
    # p(y|x) is N(m + G (x - m), v G), v = 1 / (2 beta), G = S (S + v I)^-1.
    v = 0.5 / beta
    values, vectors = torch.linalg.eigh(of.covs[0])
    gain = values / (values + v)
    z = (x - of.means[0]) @ vectors
    distortion = (z * (1.0 - gain)).square().sum(1) + v * gain.sum()
    return -of.log_partition(x, beta) - beta * distortion, distortion


def _copies(x: Tensor, k: int, _: Generator) -> Tensor:
    """A stand-in for draws of p(y|x), which nothing here asks for."""
    return x[:, None].repeat(1, k, 1)


def row(name: str, case: Case, kind: str) -> dict[str, str | int | float]:
    """All rungs and seeds of one case and kind of channel."""
    audits = rates = distortions = impossible = 0
    worst, spent = 0.0, 0.0
    for target in case.rates:
        try:
            beta = case.reference.slope(target)
        except OutOfRange:
            continue
        of = atoms(case) if kind == "atoms" else gaussian(case, beta)
        marginal: Marginal = of if isinstance(of, Atoms) else Density(of.sample, of.log_prob)
        truth = plain(case, beta, of)
        channel = TestChannel(beta, marginal, Claim(0.0, 0.0, "estimate"), _copies)
        for seed in SEEDS:
            found = audit(
                channel,
                case.problem,
                case.reference,
                size=SIZE,
                generator=Generator().manual_seed(seed),
            )
            audits += 1
            impossible += bool(impossibility(found, case.reference, case.problem))
            off = abs(found.rate - truth.rate)
            rates += off <= math.hypot(found.rate_half, truth.rate_half) + 1e-9
            away = abs(found.distortion - truth.distortion)
            distortions += away <= math.hypot(found.distortion_half, truth.distortion_half) + 1e-9
            worst = max(worst, off)
            spent = max(spent, found.rate_half)
    return {
        "case": name,
        "q": kind,
        "audits": audits,
        "rate_inside": rates,
        "distortion_inside": distortions,
        "impossible": impossible,
        "largest_rate_error": f"{worst:.4g}",
        "largest_rate_half": f"{spent:.4g}",
    }


def main() -> None:
    """Write the table and say its sums."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/audit/rates.csv"))
    parser.add_argument("--cases", default="*")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows = list(csv.DictReader(options.out.open())) if options.out.exists() else []
    done = {(r["case"], r["q"]) for r in rows}
    for name, case in cases(options.cases):
        squared = case.problem.distortion.name == "squared_error"
        drawn = case.problem.alphabet is None and not isinstance(case.problem.source, HasSupport)
        for kind in ("atoms", "gaussian") if squared and drawn else ("atoms",):
            if (name, kind) in done:
                continue
            rows.append({key: str(value) for key, value in row(name, case, kind).items()})
            with options.out.open("a", newline="") as stream:
                writer = csv.DictWriter(stream, list(rows[-1]), lineterminator="\n")
                if len(rows) == 1:
                    writer.writeheader()
                writer.writerow(rows[-1])
            print(rows[-1], flush=True)
    audits = sum(int(r["audits"]) for r in rows)
    for key in ("rate_inside", "distortion_inside", "impossible"):
        count = sum(int(r[key]) for r in rows)
        print(f"{key}: {count} of {audits}, {100 * count / audits:.1f}%")


if __name__ == "__main__":
    main()
