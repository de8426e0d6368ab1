"""Whether the audit's intervals cover, and how far each of its methods is from the exact F(q).

Every channel here has an F(q) that is known by other means: closed forms, sums over dense grids,
one-dimensional quadrature. Five tables, as CSV files and together in README.md of ``--out``:

    coverage   4,000 audits of one channel each: how often [gap_lo, gap_hi] holds the true gap
    heavy      1,000 audits of channels whose gap sits in rare symbols, at the default size
    upper      1,000 and more for side ``upper``: how often gap_hi lies above it
    bias       audited minus exact F(q) on the same symbols, d = 10, by method and rate
    energies   the same for energies on random sources, and the share that the gate accepts

    python benchmarks/studies/audit_coverage.py [--out results/audit] [--tables coverage,upper,...]

A row that is already in the CSV is not computed again: an interrupted run goes on where it was.
Delete the files to start afresh. Seeds are fixed; CPU seconds are the only numbers that vary.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy is imported

import argparse
import csv
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Generator

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import _audit_cases as cases
import _audit_problems as problems
from _audit_heavy import heavy_cases
from _audit_report import write_readme

from rdbench.audit import SIZES, audit
from rdbench.audit.annealed import annealed
from rdbench.audit.importance import density
from rdbench.audit.latent import pushforward
from rdbench.audit.sums import plug_in
from rdbench.distortions import SquaredError
from rdbench.types import Claim, TestChannel

Row = dict[str, str | int | float]
BIAS_SEEDS = 3


def _channel(beta: float, q: object, marginal: object) -> TestChannel:
    def draw(x: torch.Tensor, k: int, g: Generator) -> torch.Tensor:
        return q.sample_conditional(x, k, beta, g)  # type: ignore[attr-defined]

    return TestChannel(beta, marginal, Claim(0.0, 0.0, "estimate"), draw)  # type: ignore[arg-type]


def repeated(
    found: Callable[[], list[cases.Case]], one_sided: bool
) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Repeated audits of every channel of a list."""
    for case in found():
        yield case.name, lambda case=case: _repeat(case, one_sided)  # type: ignore[misc]


def _repeat(case: cases.Case, one_sided: bool) -> Row:
    truth = case.true_gap()
    gaps, covered, widths, trusted = [], 0, [], 0
    began = time.process_time()
    for seed in range(case.repetitions):
        found = audit(
            case.channel,
            case.problem,
            case.reference,
            size=case.size,
            generator=Generator().manual_seed(10**6 * (50 + case.stream) + seed),
        )
        gaps.append(found.gap)
        trusted += found.side != "estimate"
        if one_sided:
            covered += found.gap_hi >= truth
            widths.append(found.gap_hi - found.gap)
        else:
            covered += found.gap_lo <= truth <= found.gap_hi
            widths.append(0.5 * (found.gap_hi - found.gap_lo))
    n = len(gaps)
    share = covered / n
    return {
        "case": case.name,
        "method": found.method.split(",")[0],
        "repetitions": n,
        "trusted": f"{trusted / n:.3f}",
        "true_gap": f"{truth:.6f}",
        "mean_gap": f"{np.mean(gaps):.6f}",
        "mean_gap_se": f"{np.std(gaps) / math.sqrt(n):.6f}",
        "half_width": f"{np.mean(widths):.6f}",
        "coverage": f"{share:.4f}",
        "coverage_se": f"{math.sqrt(share * (1 - share) / n):.4f}",
        "cpu_s": f"{time.process_time() - began:.0f}",
    }


def bias() -> Iterator[tuple[str, Callable[[], Row]]]:
    """Every method against exact q, at rates of 2 to 30 nats in ten dimensions."""
    for source in ("ramp", "eight modes"):
        for rate in (0.5, 2.0, 5.0, 10.0, 20.0, 30.0):
            for method in ("plug-in", "density", "pushforward", "energy"):
                name = f"{source} R={rate:g} {method}"
                yield name, lambda s=source, r=rate, m=method: _bias(s, r, m)  # type: ignore[misc]


def _bias(name: str, rate: float, method: str) -> Row:
    source, q, beta = problems.optimal_ten(name, rate)
    size, distortion = SIZES["default"], SquaredError()
    errors, spent, used = [], [], ""
    for seed in range(BIAS_SEEDS):
        generator = Generator().manual_seed(7_000_000 + 100 * seed + round(10 * rate))
        x = source.sample(size.symbols, generator)
        began = time.process_time()
        if method == "plug-in":
            draws = q.sample(size.plug_in_draws, generator)
            found = plug_in(draws, distortion, x, None, beta, exact_draws=True)
        elif method == "density":
            found = density(problems.density_of(q), distortion, x, None, beta, size, generator)
        elif method == "pushforward":
            push = problems.pushforward_of(q)
            found = pushforward(push, distortion, x, None, beta, size, generator)
        else:
            energy = problems.energy_of(q)
            found = annealed(_channel(beta, q, energy), energy, x, size, generator)
        spent.append(time.process_time() - began)
        exact = problems.potential_of(q, x[: len(found.potential)], beta)
        errors.append(float((found.potential - exact).mean()))
        used = found.method if found.accepted else "refused"
    return {
        "case": f"{name} R={rate:g} {method}",
        "source": name,
        "rate": rate,
        "kind": method,
        "beta": f"{beta:.6g}",
        "bias": f"{np.mean(errors):.5f}",
        "bias_se": f"{np.std(errors, ddof=1) / math.sqrt(len(errors)):.5f}",
        "largest_error": f"{np.max(np.abs(errors)):.5f}",
        "seeds": len(errors),
        "cpu_s": f"{np.mean(spent):.2f}",
        "method": used.replace(",", ";"),
    }


def energies() -> Iterator[tuple[str, Callable[[], Row]]]:
    """Random Gaussian, mixture and product energies; nothing of the gate was chosen on them."""
    makers = (problems.random_gaussian, problems.random_mixture, problems.random_product)
    for index, (dim, maker, beta) in enumerate(
        (d, m, b) for d in (3, 6, 10, 15, 20) for m in makers for b in (0.6, 8.0, 200.0)
    ):
        label = f"{maker.__name__.removeprefix('random_')} d={dim} beta={beta:g}"
        yield label, lambda a=(label, dim, maker, beta, 9_200_000 + index): _energy(*a)  # type: ignore[misc]


def _energy(label: str, dim: int, maker: Callable, beta: float, seed: int) -> Row:  # type: ignore[type-arg]
    q = maker(dim, seed)
    generator = Generator().manual_seed(seed)
    size = SIZES["default"]
    x = q.sample(size.symbols, generator)
    x = x + torch.randn(x.shape, generator=generator, dtype=torch.float64) / math.sqrt(2 * beta)
    energy = problems.energy_of(q)
    began = time.process_time()
    found = annealed(_channel(beta, q, energy), energy, x, size, generator)
    spent = time.process_time() - began
    difference = found.potential - problems.potential_of(q, x[: len(found.potential)], beta)
    error = float(difference.mean())
    low, high = error - found.below, error + found.above
    half = 1.96 * math.hypot(float(difference.std()) / math.sqrt(len(difference)), found.common_se)
    return {
        "case": label,
        "family": maker.__name__.removeprefix("random_"),
        "dim": dim,
        "beta": beta,
        "accepted": int(found.accepted),
        "error": f"{error:.5f}",
        "inside": int(low - half <= 0.0 <= high + half),
        "ess": f"{found.ess:.3f}",
        "cpu_s": f"{spent:.2f}",
        "method": found.method.replace(",", ";"),
    }


TABLES: dict[str, Callable[[], Iterator[tuple[str, Callable[[], Row]]]]] = {
    "heavy": lambda: repeated(heavy_cases, one_sided=False),
    "coverage": lambda: repeated(cases.exact_cases, one_sided=False),
    "energies": energies,
    "upper": lambda: repeated(cases.upper_cases, one_sided=True),
    "bias": bias,
}


def _done(path: Path) -> set[str]:
    if not path.exists():
        return set()
    with path.open() as stream:
        return {row["case"] for row in csv.DictReader(stream)}


def main() -> None:
    """Compute what is missing and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/audit"))
    parser.add_argument("--tables", default=",".join(TABLES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    for table in options.tables.split(","):
        path = options.out / f"{table}.csv"
        done = _done(path)
        for name, compute in TABLES[table]():
            if name in done:
                continue
            row = compute()
            new = not path.exists()
            with path.open("a", newline="") as stream:
                writer = csv.DictWriter(stream, list(row), lineterminator="\n")
                if new:
                    writer.writeheader()
                writer.writerow(row)
            print(table, row, flush=True)
    write_readme(options.out)


if __name__ == "__main__":
    main()
