"""How close the audit of a fitted mixture is to its exact F(q), in 20 and 50 dimensions.

`mixture_em` at its defaults on three cases of which the audit once showed bounds that were nats too
high. At every rung the marginal is audited at the default size; the exact potential is the closed
form of the same mixture on the same symbols. Writes a CSV: error in nats, and CPU seconds of the
audit, one thread.

    python benchmarks/studies/audit_mixtures.py [--out results/audit/mixtures.csv]
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy is imported

import argparse
import csv
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from _alone import Alone
from torch import Generator

from rdbench import registry
from rdbench.audit import SIZES
from rdbench.audit.averages import mean_of
from rdbench.audit.importance import density
from rdbench.audit.symbols import draw_symbols
from rdbench.run.views import make_view
from rdbench.types import Case, Density, TestChannel

CASES = (
    ("high_dimensional", 20, "laplacian-d20", (4.646, 7.75, 21.58)),
    ("high_dimensional", 20, "cube-d20", (4.754, 13.44, 22.6)),
    ("heavy_tailed", None, "t5-d50", (2.5, 13.85, 50.0)),
)
_SEED = 1201


def rows(case: Case, rates: Sequence[float], effort: float) -> list[dict[str, str | float]]:
    """One row a rate."""
    estimator = registry.choose("mixture_em").estimator
    data = Generator().manual_seed(_SEED)
    view, _ = make_view(case.problem, estimator.info.needs, data, torch.device("cpu"))
    betas = [case.reference.slope(rate) for rate in rates]
    began = time.process_time()
    answers = list(estimator.fit(view, betas, Generator().manual_seed(_SEED + 1), Alone(effort)))
    fit_s = time.process_time() - began
    found: list[dict[str, str | float]] = []
    for rate, answer in zip(rates, sorted(answers, key=lambda a: a.beta), strict=True):
        assert isinstance(answer, TestChannel)
        marginal = answer.marginal
        assert isinstance(marginal, Density)
        generator = Generator().manual_seed(_SEED + 2)
        size = SIZES["default"]
        symbols = draw_symbols(case.problem, size.symbols, generator)
        began = time.process_time()
        audited = density(
            marginal,
            case.problem.distortion,
            symbols.x,
            None,
            answer.beta,
            size,
            generator,
        )
        spent = time.process_time() - began
        mixture = marginal.log_prob.__self__  # type: ignore[attr-defined]
        exact = -mixture.log_partition(symbols.x, answer.beta)
        error = mean_of(audited.potential - exact, symbols)
        gap = mean_of(exact, symbols).value - case.reference.point(answer.beta).lagrangian.mid
        found.append(
            {
                "case": case.name,
                "rate": rate,
                "exact_gap": f"{gap:.4f}",
                "error": f"{error.value:.5f}",
                "half": f"{error.widest:.5f}",
                "left_open": f"{audited.above + 1.96 * audited.common_se:.5f}",
                "cpu_s": f"{spent:.2f}",
                "fit_cpu_s": f"{fit_s:.0f}",
                "method": audited.method.replace(",", ";"),
            }
        )
        print(found[-1], flush=True)
    return found


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/audit/mixtures.csv"))
    parser.add_argument("--effort", type=float, default=1.0, help="of the fits")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = []
    for suite, dim, name, rates in CASES:
        cases = registry.load_suite(suite).cases(None if dim is None else [dim])
        case = next(case for case in cases if case.name == name)
        table += rows(dataclasses.replace(case), rates, options.effort)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


if __name__ == "__main__":
    main()
