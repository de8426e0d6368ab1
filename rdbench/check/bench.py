"""The fits of one estimator and their audits, each done once for all checks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from rdbench.audit import AuditSize, audit
from rdbench.check import problems
from rdbench.check.attempts import Attempt, Options, attempt, deadline, stream
from rdbench.check.forms import fault_of_channel
from rdbench.check.listener import Look
from rdbench.check.problems import Probe
from rdbench.outcomes import in_words
from rdbench.run.guarded import guarded
from rdbench.types import Audited, Estimator, TestChannel, TruthPoint

AUDIT_SIZE = AuditSize(
    symbols=800,
    kernel_evaluations=2e7,
    plug_in_draws=5000,
    paper_draws=0,
    chains=4000,
    conditional_chains=4,
    max_steps=60,
    local_draws=24,
    pilot_symbols=100,
    conditional_symbols=0,
    bound_symbols=6000,
)


@dataclass(frozen=True)
class Judged:
    """A channel, its truth and its audit (None, with the reason, where it could not be audited)."""

    probe: Probe
    channel: TestChannel
    truth: TruthPoint
    audited: Audited | None
    reason: str = ""

    @property
    def claimed(self) -> float:
        """C = R + beta D as claimed."""
        return self.channel.claim.rate + self.channel.beta * self.channel.claim.distortion

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the audit puts F(q), None where it puts it nowhere."""
        found = self.audited
        if found is None or not found.accepted or not math.isfinite(found.gap_hi):
            return None
        hi = self.truth.lagrangian.lo + found.gap_hi
        lo = self.truth.lagrangian.hi + found.gap_lo
        if not math.isfinite(lo):  # an upper bound: as sharp below as it is above
            lo = 2.0 * found.lagrangian - hi
        return lo, hi


@dataclass(eq=False)
class Bench:
    """One estimator on trial.

    Args:
        estimator: the instance.
        preset: what it is called in ``info.not_invariant``.
        seed: of everything.
        effort: of the fits.
        limit: wall seconds that one fit, or one audit, may take.
    """

    estimator: Estimator
    preset: str
    seed: int
    effort: float
    limit: float
    weighed: dict[tuple[str, Options], Any] = field(default_factory=dict)
    """What `rdbench.check.bounds` has audited."""
    _fits: dict[tuple[str, Options], Attempt] = field(default_factory=dict)
    _audits: dict[tuple[str, Options], list[Judged]] = field(default_factory=dict)

    @cached_property
    def base(self) -> Probe:
        """The problem of most checks: a scalar Gaussian, or letters where that is refused."""
        first = problems.scalar()
        return problems.letters() if self.fit(first).refused else first

    @property
    def continuous(self) -> bool:
        """Whether it takes a continuous source."""
        return self.base.label == problems.scalar().label

    def fit(self, probe: Probe, options: Options | None = None) -> Attempt:
        """The fit with these options; run at the first call only."""
        chosen = options or Options()
        chosen = replace(chosen, seed=chosen.seed + self.seed)
        key = (probe.label, chosen)
        if key not in self._fits:
            look = _looked_at(probe) if chosen.looks else None
            self._fits[key] = attempt(self.estimator, probe, chosen, self.effort, self.limit, look)
        return self._fits[key]

    def audits(self, probe: Probe, options: Options | None = None) -> list[Judged]:
        """Every channel of the fit with its audit; audited at the first call only."""
        chosen = options or Options()
        key = (probe.label, chosen)
        if key not in self._audits:
            found = self.fit(probe, chosen)
            self._audits[key] = [self.judge(probe, c) for c in found.channels]
        return self._audits[key]

    def judge(self, probe: Probe, channel: TestChannel, salt: int = 0) -> Judged:
        """Audit one channel."""
        truth = probe.reference.point(channel.beta)
        generator = stream(self.seed, probe.dim, "audit", salt)
        own = stream(self.seed, probe.dim, "channel", salt)
        # No check looks at the gain over the start, which costs as much again.
        alone = replace(channel, start=None)
        try:
            with deadline(self.limit):
                found = audit(
                    guarded(alone, own),
                    probe.problem,
                    probe.reference,
                    size=AUDIT_SIZE,
                    generator=generator,
                )
        except BaseException as problem:  # an estimator's code may raise anything
            if isinstance(problem, KeyboardInterrupt):
                raise
            return Judged(probe, channel, truth, None, in_words(problem))
        return Judged(probe, channel, truth, found)


def _looked_at(probe: Probe) -> Look:
    def look(channels: Sequence[TestChannel]) -> list[str]:
        faults = (fault_of_channel(channel, probe, claimed=False) for channel in channels)
        return [f"a channel of a checkpoint: {fault}" for fault in faults if fault]

    return look
