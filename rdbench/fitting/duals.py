"""What fits of lower bounds share: a cap in the tails, the peaks of c, a claim of F_lo.

Of a sample, c(y) in the tails is ruled by the rarest symbols: each has a large lambda, and nothing
around it says how rare it is. A lambda that stops growing there loses a little of E log lambda and
much of that. Where draws come again they are the source, and F_lo of them says how much to cap. Of
draws that do not, it is chosen by sup c of a density fitted to them, with the tails of a t law,
since no draws show there whether lambda grows faster than p falls, and by what the draws show of c
beyond their error: a fitted density may be a bad one. Of a fixed set of rows other rows will judge,
a quarter as many: there it is chosen by the end that such a quarter can vouch for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.fitting.samples import Sample
from rdbench.inference.near import NearMean
from rdbench.inference.supremum import Tilted, ascend, limits
from rdbench.types import Distortion, DualBound

_CAPPED = (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
"""Parts of the draws at which lambda is capped, one of which is chosen."""
_CAPPED_ROWS = (0.0, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
"""The same where few rows will judge it."""
_FOLD_STARTS, _FOLD_ITERATIONS, _FOLD_KEEP = 24, 12, 8
_KEEP, _ITERATIONS, _FAR_ITERATIONS, _SETTLED = 12, 30, 16, 1e-5
_STARTS, _EXTREME = 64, 24
_ROWS = 20_000
_FIND, _JUDGE = (1_000, 64), (16_000, 1_024)
# Draws of the density that stands for the source, and near y: to find with, and to judge.
_SURE = 2.5  # standard errors


def in_rows(values: Callable[[Tensor], Tensor], x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """A function of each symbol, a block of rows at a time."""
    with torch.no_grad():
        return torch.cat([values(part) for part in x.split(_ROWS)])


def bounded(
    beta: float,
    log_lambda: Callable[[Tensor], Tensor],
    sample: Sample,
    distortion: Distortion,
    generator: Generator,
    *,
    alphabet: Float[Tensor, "m d"] | None = None,
    peaks: Float[Tensor, "k d"] | None = None,
    made_of: str = "",
) -> DualBound:
    """The dual bound of lambda, capped where that makes F_lo of the draws larger.

    Args:
        beta: the slope, nats per unit of distortion.
        log_lambda: (n, d) -> (n,), finite.
        sample: draws that choose the cap and give the claim.
        distortion: rho.
        generator: picks starts of the search.
        alphabet: reproduction letters, where they are given.
        peaks: where c may be large.
        made_of: what lambda is, in a few words.
    """
    values = in_rows(log_lambda, sample.x)
    order = values.argsort()
    above = torch.cumsum(sample.log_p[order].exp().flip(0), 0).flip(0)
    judge = _Judge(sample, log_lambda, beta, distortion, generator, alphabet)
    best: tuple[float, float, Tensor | None] | None = None
    worse, near = 0, peaks
    for part in _CAPPED_ROWS if sample.folds else _CAPPED:
        cap = math.inf
        if part > 0.0 or sample.folds:  # what rows do not show of lambda, they do not vouch for
            cap = float(values[order[min(int((above > part).sum()), len(order) - 1)]])
        at: Tensor | None = near
        if sample.folds:
            score = judge.vouched(values, cap, near)
        else:
            score, at = judge(values, cap, near)
        if best is None or score > best[0]:
            best, worse, near = (score, cap, at), 0, at
        else:
            worse += 1
        if worse == 2:
            break
    assert best is not None
    claim, cap, found = best
    if sample.folds or found is None:
        claim, found = judge(values, cap, found)
    if math.isfinite(cap):
        made_of = f"{made_of}, capped" if made_of else "capped"

    def capped(x: Tensor) -> Tensor:
        return in_rows(log_lambda, x).clamp(max=cap)

    return DualBound(beta, capped, found, claim, made_of)


@dataclass(frozen=True, eq=False)
class _Judge:
    """F_lo of a capped lambda."""

    sample: Sample
    log_lambda: Callable[[Tensor], Tensor]
    beta: float
    distortion: Distortion
    generator: Generator
    alphabet: Float[Tensor, "m d"] | None

    @cached_property
    def far_values(self) -> Float[Tensor, " k"]:
        """log lambda at the draws of the density that stands for the source."""
        return in_rows(self.log_lambda, self.sample.draw)

    def __call__(
        self, values: Float[Tensor, " n"], cap: float, peaks: Float[Tensor, "m d"] | None
    ) -> tuple[float, Float[Tensor, "k d"]]:
        """F_lo, and where c is large; ``values`` are log lambda, not capped yet."""
        sample, held = self.sample, values.clamp(max=cap)
        mean = sample.mean(held)
        if self.alphabet is not None:
            letters = self.alphabet.double()
            c = Tilted(sample.x, sample.log_p + held, self.beta, self.distortion).log_c(letters)
            return mean - float(c.max()), letters[c.topk(min(_KEEP, len(letters))).indices]
        if sample.tails is None:
            found, top = self._largest(held, peaks)
            return mean - top, found
        found, _ = self._largest(held, peaks)
        far, top = self._far(cap, found)
        score = mean - max(top, self._shown(held, found))
        return score, torch.cat([found, far])

    def vouched(
        self, values: Float[Tensor, " n"], cap: float, peaks: Float[Tensor, "m d"] | None
    ) -> float:
        """The end of F_lo that a part of the rows vouches for, by the rule of the audit; the mean.

        It is E log lambda less the largest upper limit of log c(y).
        """
        held, ends = values.clamp(max=cap), []
        for rows in self.sample.folds:
            x, m = self.sample.x[rows], held[rows]
            c = Tilted(x, m - math.log(len(x)), self.beta, self.distortion)
            if self.alphabet is not None:
                at = self.alphabet.double()
            else:
                rare = x[m.topk(min(len(x), _FOLD_STARTS)).indices]
                starts = torch.cat([x[:_FOLD_STARTS], rare, *([] if peaks is None else [peaks])])
                found, _ = ascend(c, starts, _FOLD_ITERATIONS, _FOLD_KEEP, _SETTLED)
                at = torch.cat([found, rare])
            top = (c.log_c(at) + limits(c.weights(at))[1]).max()
            ends.append(float(m.mean() - top))
        return sum(ends) / len(ends)

    def _shown(self, held: Float[Tensor, " n"], peaks: Float[Tensor, "m d"]) -> float:
        """The largest log c at the peaks that the draws show, by how many stand there.

        Of a count k the interval begins at k (1 - 1 / 9k - z / (3 sqrt k))^3 (Wilson and Hilferty).
        """
        c = Tilted(self.sample.x, self.sample.log_p + held, self.beta, self.distortion)
        k = 1.0 / c.weights(peaks).square().sum(0)
        sure = (1.0 - 1.0 / (9.0 * k) - _SURE / (3.0 * k.sqrt())).clamp(min=1e-30)
        return float((c.log_c(peaks) + 3.0 * sure.log()).nan_to_num(nan=-math.inf).max())

    def _largest(
        self, held: Float[Tensor, " n"], peaks: Float[Tensor, "m d"] | None
    ) -> tuple[Float[Tensor, "k d"], float]:
        """Where c of these draws is largest, and log c there."""
        x = self.sample.x
        c = Tilted(x, self.sample.log_p + held, self.beta, self.distortion)
        n, g = len(x), self.generator
        picked = torch.randint(n, (min(n, _STARTS),), generator=g, device=g.device)
        starts = [x[picked.to(x.device)], x[held.topk(min(n, _EXTREME)).indices], x.mean(0)[None]]
        if peaks is not None:
            starts.append(peaks.double())
        found, top = ascend(c, torch.cat(starts), _ITERATIONS, _KEEP, _SETTLED)
        return found, float(top[0])

    def _far(self, cap: float, peaks: Float[Tensor, "m d"]) -> tuple[Tensor, float]:
        """The same for the density that stands for the source: c in the tails above all."""
        sample, tails = self.sample, self.sample.tails
        assert tails is not None
        if self.distortion.name not in ("squared_error", "absolute_error") or self.beta <= 0.0:
            return peaks[:0], -math.inf

        def log_lambda(x: Tensor) -> Tensor:
            return in_rows(self.log_lambda, x).clamp(max=cap)

        # Where lambda p rises outwards, c is largest where the cap is reached.
        inside = torch.where(self.far_values <= cap, self.far_values, -math.inf)
        starts = [peaks, sample.draw[-_EXTREME:], sample.draw[inside.topk(_EXTREME).indices]]
        edge = (self.far_values - cap).abs()
        starts.append(sample.draw[edge.topk(_EXTREME, largest=False).indices])
        find, judge = (self._near(log_lambda, cap, *size) for size in (_FIND, _JUDGE))
        found, _ = ascend(find, torch.cat(starts), _FAR_ITERATIONS, _KEEP, _SETTLED)
        return found[: _KEEP // 2], float(judge.log_c(found[: _KEEP // 2]).max())

    def _near(
        self, log_lambda: Callable[[Tensor], Tensor], cap: float, draws: int, near: int
    ) -> NearMean:
        tails, rho, g = self.sample.tails, self.distortion, self.generator
        assert tails is not None
        # The same rows for every cap: their noise is, too.
        x, values = self.sample.draw[:draws], self.far_values[:draws].clamp(max=cap)
        stream = Generator(device=g.device).manual_seed(near)
        noise = rho.noise(self.beta, near, x.shape[1], stream)
        return NearMean(tails, log_lambda, x, tails(x), values, noise, self.beta, rho)
