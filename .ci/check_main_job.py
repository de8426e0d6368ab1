"""Read the export of the quick main job and fail where it is not what it should be.

The bounds are loose on purpose: they catch a broken estimator or audit, not a slow drift.
"""

from __future__ import annotations

import csv
import io
import subprocess
import sys

WORST_GAP = {"ebrd": 0.1, "blahut_arimoto": 1e-3}


def main(results: str) -> int:
    """Return the exit code."""
    command = [sys.executable, "-m", "rdbench", "export", "--results", results, "--format", "csv"]
    exported = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = list(csv.DictReader(io.StringIO(exported)))
    faults = []
    for name in WORST_GAP:
        if not any(row["estimator"] == name for row in rows):
            faults.append(f"no rows of {name}")
    for row in rows:
        where = f"{row['estimator']} on {row['case']} at R = {row['target_rate']}"
        if row["estimator"] == "blahut_arimoto" and int(row["dim"]) >= 3:
            if row["status"] != "unsupported":
                faults.append(f"{where}: status {row['status']}, expected unsupported")
        elif row["status"] != "ok" or not row["gap"]:
            faults.append(f"{where}: status {row['status']}, gap {row['gap'] or 'missing'}")
        elif not abs(float(row["gap"])) <= WORST_GAP[row["estimator"]]:
            faults.append(f"{where}: gap {row['gap']} beyond {WORST_GAP[row['estimator']]}")
    print("\n".join(faults) or f"{len(rows)} rows as expected")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
