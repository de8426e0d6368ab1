"""How cells are run; no part of their identity."""

from __future__ import annotations

from dataclasses import dataclass

from rdbench.run.limits import AUDIT_TIMEOUT_S, Limits
from rdbench.run.records import Provenance


@dataclass(frozen=True)
class Settings:
    """The same for all cells of a run."""

    provenance: Provenance
    jobs: int = 1
    threads: int = 1
    timeout: float | None = None
    """Seconds that the fit of a cell may take."""
    trace: bool = False
    """Whether checkpoints are audited."""
    draws: int = 0
    """How many draws of p(y|x) are kept with every row, for pictures."""
    audit_timeout: float = AUDIT_TIMEOUT_S
    """Seconds that one audit may take."""

    @property
    def limits(self) -> Limits:
        """What ends a worker."""
        return Limits(self.timeout, self.audit_timeout)
