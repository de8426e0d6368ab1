"""The proved width of the digits in 64 dimensions: python -m benchmarks.verify.digits.

Writes results/references/digits-64.md. The shipped table of real_data-digits-64 is at the slopes of
its rates; these are the slopes that docs/certificates.md, section 9, and the changelog speak of.
"""

from __future__ import annotations

import sys
from time import process_time

from benchmarks.verify.__main__ import FOLDER
from rdbench.certify.cloud.bounds import bound_cloud
from rdbench.sources.digits import DigitsSource

SLOPES = (1.0, 3.0, 10.0)
_HEAD = """# Proved width of the digits in 64 dimensions

Made by `python -m benchmarks.verify.digits`: `bound_cloud(support, pmf, beta)` of the 1,797 digits,
pixels scaled to [0, 1], squared error: section 8 of [Certificates](../../docs/certificates.md).
lo ≤ F\\*(β) ≤ hi in nats. CPU seconds of the one call, `OMP_NUM_THREADS=1`, on a shared two-core
machine.

| β | lo | hi | width | CPU s |
|---|---|---|---|---|
"""


def main() -> int:
    """Compute the brackets and write the table."""
    source, rows = DigitsSource(), []
    x, p = source.support.numpy(), source.pmf.numpy()
    for beta in SLOPES:
        began = process_time()
        found = bound_cloud(x, p, beta)
        cpu_s = process_time() - began
        cells = f"{found.lo:.6f} | {found.hi:.6f} | {found.hi - found.lo:.4f} | {cpu_s:.1f}"
        rows.append(f"| {beta:g} | {cells} |\n")
        print(rows[-1], end="", flush=True)
    (FOLDER / "digits-64.md").write_text(_HEAD + "".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
