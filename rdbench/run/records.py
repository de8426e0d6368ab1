"""The schema of what is stored: one line of JSON per finished cell.

A cell is one suite, case, estimator with parameters and seed over its whole ladder of slopes.
``None`` in a numeric field means that the number is not known (JSON has no NaN).
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from rdbench.outcomes import Status

SCHEMA = 5
OLDEST = 1
"""Records from this schema on are read: each later one only added fields that may be absent.

2 added ``draws`` to the points; 3 the intervals of R, D and R - R(D), and the block means of the
gap; 4 what q is, where its fit began, the gain over that, and the
effort; 5 the interval of F, the evidence, and the claims of lower bounds.
"""


_MOST = 2**63 - 1
Whole = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]
Count = Annotated[int, msgspec.Meta(ge=1, le=_MOST)]
Slope = Annotated[float, msgspec.Meta(ge=0.0)]

ITS_START = "its start"
"""What q is where the fit has moved nothing."""


class Draws(msgspec.Struct, frozen=True, kw_only=True):
    """Draws of a channel, for pictures: lists of vectors, in the units of the source."""

    x: list[list[float]]
    """Symbols, (m, d); the same for every estimator and seed."""
    y: list[list[list[float]]]
    """Draws of p(y|x) at each of them, (m, n, d)."""
    source: list[list[float]]
    """Draws of X, (n, d), likewise the same."""
    reproduction: list[list[float]]
    """One draw of p(y|x) for each of ``source``, (n, d)."""

    def __post_init__(self) -> None:
        """Refuse lists that do not go together, in construction as in decoding."""
        if len(self.x) != len(self.y) or len(self.source) != len(self.reproduction):
            raise ValueError("draws of unequal numbers")
        dims: set[int] = set()
        for several in (self.x, self.source, self.reproduction, *self.y):
            dims.update(map(len, several))  # of all that is read, half of the time was spent here
        if len(dims) > 1:
            raise ValueError("draws of unequal dimensions")


class PointRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One slope of one cell: the claim, the audit and the truth, in nats.

    Every field is a column of `rdbench.columns`.
    """

    beta: Slope
    target_rate: float | None = None
    target_distortion: float | None = None
    status: Status
    reason: str = ""
    # what the estimator says itself
    claimed_rate: float | None = None
    claimed_distortion: float | None = None
    claimed_lagrangian: float | None = None
    claimed_side: str | None = None
    q_is: str | None = None
    started_from: str | None = None
    # what the audit finds
    rate: float | None = None
    distortion: float | None = None
    lagrangian: float | None = None
    lagrangian_lo: float | None = None
    lagrangian_hi: float | None = None
    evidence: str | None = None
    gap: float | None = None
    gap_lo: float | None = None
    gap_hi: float | None = None
    gap_paper_protocol: float | None = None
    n_paper_protocol: Whole | None = None
    side: str | None = None
    audit_method: str | None = None
    ess: float | None = None
    rate_half: float | None = None
    distortion_half: float | None = None
    rate_error: float | None = None
    rate_error_lo: float | None = None
    rate_error_hi: float | None = None
    gap_blocks: list[float] = []
    gap_common_se: float | None = None
    conditional_kind: str | None = None
    conditional_error: float | None = None
    conditional_lo: float | None = None
    conditional_hi: float | None = None
    conditional_floor: float | None = None
    mode_mass_error: float | None = None
    gain: float | None = None
    gain_lo: float | None = None
    gain_hi: float | None = None
    audit_s: float | None = None
    draws: Draws | None = None
    # the truth: F*(beta), R*, D*
    truth_lo: float | None = None
    truth_hi: float | None = None
    truth_kind: str | None = None
    rate_lo: float | None = None
    rate_hi: float | None = None
    dist_lo: float | None = None
    dist_hi: float | None = None


class TracePoint(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint: the gap at ``beta`` after so much fitting, the audit's time taken out."""

    beta: Slope
    wall_s: float
    cpu_s: float
    gap: float | None = None
    gap_lo: float | None = None
    gap_hi: float | None = None


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Time, memory and samples of the whole fit (one ladder), without the audit."""

    wall_s: float | None = None
    cpu_s: float | None = None
    peak_rss_mb: float | None = None
    n_source_samples: Whole | None = None
    gradient_steps: Whole | None = None
    n_parameters: Whole | None = None
    effort: float | None = None


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where and by what a record was made."""

    commit: str
    dirty: bool | None
    versions: dict[str, str]
    processor: str
    platform: str
    device: str
    threads: Count
    jobs: Count
    started: str
    finished: str


class CellRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One finished cell, failures included."""

    schema: int = SCHEMA
    cell: str
    suite: str
    suite_version: Whole
    case: str
    dim: Count
    distortion: str
    estimator: str
    preset: str
    params: dict[str, Any]
    """The overrides given on the command line."""
    fields: dict[str, Any]
    """Every hyper-parameter as it was used."""
    estimator_file: str | None = None
    """The file of an estimator that was given as FILE.py:CLASS."""
    data: dict[str, Any] | None = None
    """`rdbench.data.DataSpec` of a case that is made of data."""
    seed: Whole
    budget: str
    n_train: Count | None = None
    status: Status
    reason: str = ""
    traceback: str | None = None
    points: list[PointRecord]
    trace: list[TracePoint] = []
    cost: Cost
    provenance: Provenance
