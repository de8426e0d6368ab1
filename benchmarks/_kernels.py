"""The inner loops that everything else is made of: what asv and pytest-benchmark time.

``KERNELS[name]()`` prepares a kernel from a fixed seed and raises ``NotImplementedError`` where the
commit at hand has none; ``.work()`` is what is timed, ``.check(result)`` asserts that it is right,
against something computed in another way.
"""

from __future__ import annotations

from benchmarks._kernel import Kernel, Prepare
from benchmarks._kernel_audit import AUDITS
from benchmarks._kernel_records import RECORDS
from benchmarks._kernel_samplers import SAMPLERS
from benchmarks._kernel_solvers import SOLVERS
from benchmarks._kernel_sums import SUMS

__all__ = ["KERNELS", "Kernel"]

KERNELS: dict[str, Prepare] = SOLVERS | SAMPLERS | SUMS | AUDITS | RECORDS
