"""sup c of a source with a density: found with some draws near y, judged with others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.averages import Z95
from rdbench.audit.lower.search import KEEP, Supremum, starts, walk
from rdbench.inference.near import NearMean
from rdbench.inference.supremum import ascend
from rdbench.types import HasDensity, Problem

_FIND = (2_000, 192)  # draws of the source, draws near y: to find with
_COARSE, _BEGIN = 48, 48  # draws near y that rank the starts, and starts that are tried with all
_JUDGED, _CLIMBED = 8, 3
_JUDGE = 2_048  # draws near y to judge with; more where they do not settle it
_SETTLED = 0.003  # nats: a standard error that does
_SAME = 1e-3  # nats: ascents that end so close are one
_ITERATIONS, _FURTHER = 30, 5


def applies(problem: Problem, beta: float) -> bool:
    """Whether the source has a density, the reproduction is free, and the noise has one."""
    source = problem.source
    # Of a singular Gaussian the protocol says yes, by its class: the attribute itself raises.
    dense = isinstance(source, HasDensity) and hasattr(source, "log_prob")
    smooth = problem.distortion.name in ("squared_error", "absolute_error")
    return dense and smooth and problem.alphabet is None and beta > 0.0


def near_supremum(
    problem: Problem,
    log_lambda: Callable[[Tensor], Tensor],
    beta: float,
    peaks: Float[Tensor, "m d"],
    symbols: int,
    generator: Generator,
) -> Supremum:
    """log sup c: found with some draws, judged at what was found with others.

    What is judged there is too low if anything, the maximum of what judges too high: the value is
    in the middle of the two, and the limits are the lower one's and the higher one's.

    Args:
        problem: `applies` to it.
        log_lambda: (n, d) -> (n,), finite or -inf.
        beta: the slope > 0.
        peaks: where the estimator found c to be large.
        symbols: a quarter as many draws of the source judge it, and at most as many near every y.
        generator: of all draws.
    """
    find = _near(problem, log_lambda, beta, _FIND, generator)
    begin = starts(find.x, find.values, peaks, generator)
    rough = replace(find, noise=find.noise[:_COARSE]).log_c(begin)
    some = begin[rough.topk(min(_BEGIN, len(begin))).indices]
    found, values = ascend(find, some, _ITERATIONS, KEEP)
    apart = [0]
    for i in range(1, len(found)):  # in order, so that equal ends are neighbours
        if len(apart) < _JUDGED and float(values[apart[-1]] - values[i]) > _SAME:
            apart.append(i)
    at, most = found[apart], symbols // 4
    judge = _near(problem, log_lambda, beta, (most, min(most, _JUDGE)), generator)
    log_c, error = judge.error(at)
    if most > _JUDGE and float(error[log_c.argmax()]) > _SETTLED:
        judge = _near(problem, log_lambda, beta, (most, most), generator)
        log_c, error = judge.error(at)
    top = int(log_c.argmax())
    value = float(log_c[top])
    # What judges is climbed, too: its own maximum is too large if anything.
    best = at[log_c.topk(min(_CLIMBED, len(at))).indices]
    above, highest = ascend(judge, best, _FURTHER, _CLIMBED)
    half = Z95 * float(judge.error(above[:1])[1])
    most_likely = 0.5 * (value + max(value, float(highest[0])))  # one is too low, one too high
    return Supremum(
        most_likely,
        value - Z95 * float(error[top]),
        max(float((log_c + Z95 * error).max()), float(highest[0]) + half),
        f"{walk(problem.distortion)} on the source's density from {len(begin)} starts",
        "sampled",
        ess=1.0 / (1.0 + len(judge.noise) * float(error[top]) ** 2),
    )


def _near(
    problem: Problem,
    log_lambda: Callable[[Tensor], Tensor],
    beta: float,
    size: tuple[int, int],
    generator: Generator,
) -> NearMean:
    source, rho = problem.source, problem.distortion
    assert isinstance(source, HasDensity)
    x = source.sample(size[0], generator).double()
    noise = rho.noise(beta, size[1], source.dim, generator)
    log_p = source.log_prob(x).double()
    return NearMean(source.log_prob, log_lambda, x, log_p, log_lambda(x), noise, beta, rho)
