"""The rows of the tables of repeated audits, of energies and of mixtures."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Generator

from benchmarks.coverage import laws
from benchmarks.coverage.cases import Case, fitted
from rdbench import registry
from rdbench.audit import SIZES, audit
from rdbench.audit.annealed import annealed
from rdbench.audit.averages import mean_of
from rdbench.audit.importance import density
from rdbench.audit.symbols import draw_symbols
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Density

Row = dict[str, str | int | float]
Work = Iterator[tuple[str, Callable[[], list[Row]]]]
"""The key of each piece of work, and what computes its rows."""


def repeated(cases: Callable[[], list[Case]], one_sided: bool) -> Work:
    """Repeated audits of every channel of a list: how often the interval holds the true gap."""
    for case in cases():
        yield case.name, partial(_repeat, case, one_sided)


def _repeat(case: Case, one_sided: bool) -> list[Row]:
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
    coverage = covered / n
    return [
        {
            "case": case.name,
            "method": found.method.split(",")[0],
            "repetitions": n,
            "trusted": f"{trusted / n:.3f}",
            "true_gap": f"{truth:.6f}",
            "mean_gap": f"{np.mean(gaps):.6f}",
            "mean_gap_se": f"{np.std(gaps) / math.sqrt(n):.6f}",
            "half_width": f"{np.mean(widths):.6f}",
            "coverage": f"{coverage:.4f}",
            "coverage_se": f"{math.sqrt(coverage * (1 - coverage) / n):.4f}",
            "cpu_s": f"{time.process_time() - began:.0f}",
        }
    ]


def energies() -> Work:
    """Energies of random mixtures; no threshold of the audit was chosen on them."""
    pairs = [(dim, beta) for dim in (3, 6, 10, 15, 20) for beta in (0.6, 8.0, 200.0)]
    for seed, (dim, beta) in enumerate(pairs, 9_200_000):
        label = f"mixture d={dim} beta={beta:g}"
        yield label, partial(_energy, label, laws.random_mixture(dim, seed), beta, seed)


def _energy(label: str, q: GaussianMixture, beta: float, seed: int) -> list[Row]:
    """Audited minus exact potential of q, averaged over the same symbols: draws of q plus noise.

    Args:
        label: the name of the case.
        q: the reproduction marginal.
        beta: the slope in nats.
        seed: of the symbols and of the audit.
    """
    size, generator = SIZES["default"], Generator().manual_seed(seed)
    y = q.sample(size.symbols, generator)
    noise = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    x = y + noise / math.sqrt(2.0 * beta)
    began = time.process_time()
    energy = laws.energy_of(q)
    found = annealed(laws.channel(beta, energy, q), energy, x, size, generator)
    seconds = time.process_time() - began
    difference = found.potential + q.log_partition(x[: len(found.potential)], beta)
    error = float(difference.mean())
    se = float(difference.std()) / math.sqrt(len(difference))
    half = 1.96 * math.hypot(se, found.common_se)
    return [
        {
            "case": label,
            "accepted": int(found.accepted),
            "inside": int(error - found.below - half <= 0.0 <= error + found.above + half),
            "error": f"{error:.5f}",
            "ess": f"{found.ess:.3f}",
            "cpu_s": f"{seconds:.2f}",
            "method": found.method.replace(",", ";"),
        }
    ]


MIXTURES = (
    ("high_dimensional", 20, "laplacian-d20", (4.646, 7.75, 21.58)),
    ("high_dimensional", 20, "cube-d20", (4.754, 13.44, 22.6)),
    ("heavy_tailed", None, "t5-d50", (2.5, 13.85, 50.0)),
)
"""Suite, dimension, case and rates: the audit once showed bounds there that were nats too high."""


def mixtures() -> Work:
    """`mixture_em` at its defaults, its density audited against the same mixture's closed form."""
    for suite, dim, name, rates in MIXTURES:
        yield name, partial(_mixture, suite, dim, name, rates)


def _mixture(suite: str, dim: int | None, name: str, rates: tuple[float, ...]) -> list[Row]:
    found = registry.load_suite(suite).cases(None if dim is None else [dim])
    case = next(case for case in found if case.name == name)
    betas = [case.reference.slope(rate) for rate in rates]
    began = time.process_time()
    answers = fitted("mixture_em", case.problem, betas, (1201, 1202))
    fit_s = time.process_time() - began
    rows: list[Row] = []
    for rate, answer in zip(rates, answers, strict=True):
        marginal, distortion = answer.marginal, case.problem.distortion
        assert isinstance(marginal, Density)
        generator = Generator().manual_seed(1203)
        size = SIZES["default"]
        symbols = draw_symbols(case.problem, size.symbols, generator)
        began = time.process_time()
        audited = density(marginal, distortion, symbols.x, None, answer.beta, size, generator)
        seconds = time.process_time() - began
        # The mixture lives in standard coordinates; the distances times the slope are the same.
        held = inspect.getclosurevars(marginal.log_prob).nonlocals
        mixture, scaling = held["log_prob"].__self__, held["forward"].__self__
        exact = -mixture.log_partition(scaling.forward(symbols.x), scaling.beta(answer.beta))
        error = mean_of(audited.potential - exact, symbols)
        gap = mean_of(exact, symbols).value - case.reference.point(answer.beta).lagrangian.mid
        rows.append(
            {
                "case": name,
                "rate": rate,
                "exact_gap": f"{gap:.4f}",
                "error": f"{error.value:.5f}",
                "half": f"{error.widest:.5f}",
                "left_open": f"{audited.above + 1.96 * audited.common_se:.5f}",
                "cpu_s": f"{seconds:.2f}",
                "fit_cpu_s": f"{fit_s:.0f}",
                "method": audited.method.replace(",", ";"),
            }
        )
    return rows
