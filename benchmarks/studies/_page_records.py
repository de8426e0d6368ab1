"""Records of made-up estimators, as many as a page has to bear."""

from __future__ import annotations

import math
import random

from rdbench.run.records import CellRecord, Cost, Draws, PointRecord, Provenance

RATES = tuple(0.05 * 1.6**k for k in range(8))


def make_records(points: int, draws: bool = False) -> list[CellRecord]:
    """At least ``points`` points on Gaussians in d = 1, 2, ..., by six estimators, three seeds.

    Args:
        points: how many.
        draws: whether those in d = 1 and 2 carry draws of p(y|x).
    """
    generator = random.Random(5)
    records = []
    for index in range(math.ceil(points / len(RATES))):
        estimator, seed, case = index % 6, index // 6 % 3, index // 18
        dim = case % 12 + 1
        ladder = [_point(rate, dim, estimator, generator, draws and dim < 3) for rate in RATES]
        records.append(
            CellRecord(
                cell=f"{index:016x}", suite=f"suite_{case // 12}", suite_version=1,
                case=f"gaussian-d{dim}", dim=dim, distortion="squared_error",
                estimator=f"estimator_{estimator}", preset="default", params={},
                fields={"steps": 1000, "batch": 256, "learning_rate": 0.01}, seed=seed,
                budget="default", status="ok", points=ladder,
                cost=Cost(wall_s=2.0, cpu_s=1.0 + 9.0 * generator.random(), peak_rss_mb=300.0),
                provenance=Provenance(
                    commit="0" * 40, dirty=False, versions={"torch": "2.13.0"}, processor="none",
                    platform="linux", device="cpu", threads=1, jobs=1,
                    started="2026-01-01T00:00:00+00:00", finished="2026-01-01T00:00:10+00:00",
                ),
            )
        )  # fmt: skip
    return records


def _point(
    rate: float, dim: int, estimator: int, generator: random.Random, draws: bool
) -> PointRecord:
    distortion = dim * math.exp(-2.0 * rate / dim)
    beta = 0.5 * dim / distortion
    if estimator == 5 and dim > 2:
        return PointRecord(
            beta=beta, target_rate=rate, status="unsupported", reason=f"no grids in d = {dim}"
        )
    truth = rate + beta * distortion
    gap = 0.002 * (estimator + 1) * generator.lognormvariate(0.0, 1.0) - 0.001
    return PointRecord(
        beta=beta, target_rate=rate, status="ok", claimed_rate=rate + generator.gauss(0.0, 0.01),
        claimed_distortion=distortion, claimed_side="estimate", rate=rate + 0.8 * gap,
        distortion=distortion + 0.2 * gap / beta, lagrangian=truth + gap, gap=gap,
        gap_lo=None if estimator == 3 else gap - 0.002, gap_hi=gap + 0.002,
        side="upper" if estimator == 3 else "estimate", audit_method="annealed", ess=0.9,
        rate_error=gap, conditional_kind="boltzmann", audit_s=0.5, truth_lo=truth, truth_hi=truth,
        truth_kind="closed form", rate_lo=rate, rate_hi=rate, dist_lo=distortion,
        dist_hi=distortion, draws=_draws(dim, generator) if draws else None,
    )  # fmt: skip


def _draws(dim: int, generator: random.Random) -> Draws:
    def some(n: int) -> list[list[float]]:
        return [[round(generator.gauss(0.0, 1.0), 4) for _ in range(dim)] for _ in range(n)]

    return Draws(x=some(4), y=[some(24) for _ in range(4)], source=some(24), reproduction=some(24))
