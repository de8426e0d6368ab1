"""Whether the audit's intervals of R and D hold what plain sums say, on every built-in case.

For every case and every rung of its ladder, two channels that are not optimal: 200 atoms at draws
of the source pulled towards their mean, and under squared error a Gaussian density fitted to draws.
R and D are audited with three seeds and computed again by plain means over 40,000 other draws
(exact sums over a finite source), with E[rho | x] in closed form. The difference counts as inside
where it is at most the root of the sum of the squares of both half widths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor

from benchmarks.coverage.cases import DEFAULT
from benchmarks.coverage.laws import channel, density_of, normal
from benchmarks.coverage.tables import Row, Work
from rdbench import registry
from rdbench.audit import audit
from rdbench.audit.possible import impossibility
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Atoms, Case, HasSupport, OutOfRange

_PLAIN = 40_000
_ATOMS = 200
_PULL = 0.8


@dataclass(frozen=True)
class Plain:
    """R and D by plain means in nats, with half of their 95% intervals."""

    rate: float
    distortion: float
    rate_half: float
    distortion_half: float


def rates() -> Work:
    """Every built-in case of a suite's default dimensions; the suite ``paper`` repeats others."""
    for suite in registry.names("suite"):
        if suite == "paper":
            continue
        for case in registry.load_suite(suite).cases():
            if case.reference.kind == "unknown":  # no slope of a rate, and no R(D) to cover
                continue
            name = f"{suite}/{case.name}"
            squared = case.problem.distortion.name == "squared_error"
            drawn = case.problem.alphabet is None and not isinstance(
                case.problem.source, HasSupport
            )
            for q in ("atoms", "gaussian") if squared and drawn else ("atoms",):
                yield f"{name} {q}", partial(_row, name, case, q)


def _atoms(case: Case) -> Atoms:
    """Draws pulled to their mean; the letters where there is an alphabet or no geometry."""
    if case.problem.alphabet is not None:
        points = case.problem.alphabet.double()
    else:
        points = case.problem.source.sample(_ATOMS, Generator().manual_seed(31)).double()
        if case.problem.distortion.name != "hamming":
            points = points.mean(0) + _PULL * (points - points.mean(0))
        points = torch.unique(points, dim=0)
    n = len(points)
    return Atoms(points, torch.full((n,), -math.log(n), dtype=torch.float64))


def _gaussian(case: Case, beta: float) -> GaussianMixture:
    """The Gaussian of the source's moments less the noise of slope beta, never quite singular."""
    x = case.problem.source.sample(20_000, Generator().manual_seed(32)).double()
    values, vectors = torch.linalg.eigh(torch.cov(x.T).reshape(x.shape[1], x.shape[1]))
    kept = (values - 0.5 / beta).clamp(min=0.02 * float(values.max()))
    return normal(x.mean(0), (vectors * kept) @ vectors.T)


def _plain(case: Case, beta: float, q: Atoms | GaussianMixture) -> Plain:
    """R and D by means over plain draws, or exact sums."""
    source = case.problem.source
    if isinstance(source, HasSupport):
        rate, distortion = _conditional(case, source.support.double(), beta, q)
        weights = source.pmf.double()
        return Plain(float(weights @ rate), float(weights @ distortion), 0.0, 0.0)
    x = source.sample(_PLAIN, Generator().manual_seed(33)).double()
    parts = [_conditional(case, part, beta, q) for part in x.split(5000)]
    values = [torch.cat(rows) for rows in zip(*parts, strict=True)]
    halves = [1.96 * float(v.std()) / math.sqrt(len(v)) for v in values]
    return Plain(*(float(v.mean()) for v in values), *halves)


def _conditional(
    case: Case, x: Tensor, beta: float, q: Atoms | GaussianMixture
) -> tuple[Tensor, Tensor]:
    """The divergence of p(y|x) from q and E[rho | x], for every x."""
    if isinstance(q, Atoms):
        rho = case.problem.distortion.pairwise(x, q.points)
        exponent = q.log_weights - beta * rho
        distortion = (torch.softmax(exponent, 1) * rho).sum(1)
        return -torch.logsumexp(exponent, 1) - beta * distortion, distortion
    # p(y|x) is N(m + G (x - m), v G), v = 1 / (2 beta), G = S (S + v I)^-1.
    v = 0.5 / beta
    values, vectors = torch.linalg.eigh(q.covs[0])
    gain = values / (values + v)
    z = (x - q.means[0]) @ vectors
    distortion = (z * (1.0 - gain)).square().sum(1) + v * gain.sum()
    return -q.log_partition(x, beta) - beta * distortion, distortion


def _row(name: str, case: Case, kind: str) -> list[Row]:
    """All rungs and seeds of one case and kind of channel."""
    audits = inside_rate = inside_distortion = impossible = 0
    error = widest = 0.0
    for target in case.rates:
        try:
            beta = case.reference.slope(target)
        except OutOfRange:
            continue
        q = _atoms(case) if kind == "atoms" else _gaussian(case, beta)
        marginal = q if isinstance(q, Atoms) else density_of(q)
        truth = _plain(case, beta, q)
        for seed in (1101, 1102, 1103):
            found = audit(
                channel(beta, marginal),
                case.problem,
                case.reference,
                size=DEFAULT,
                generator=Generator().manual_seed(seed),
            )
            audits += 1
            impossible += bool(impossibility(found, case.reference, case.problem))
            off = abs(found.rate - truth.rate)
            inside_rate += off <= math.hypot(found.rate_half, truth.rate_half) + 1e-9
            away = abs(found.distortion - truth.distortion)
            both = math.hypot(found.distortion_half, truth.distortion_half)
            inside_distortion += away <= both + 1e-9
            error, widest = max(error, off), max(widest, found.rate_half)
    return [
        {
            "case": name,
            "q": kind,
            "audits": audits,
            "rate_inside": inside_rate,
            "distortion_inside": inside_distortion,
            "impossible": impossible,
            "largest_rate_error": f"{error:.4g}",
            "largest_rate_half": f"{widest:.4g}",
        }
    ]
