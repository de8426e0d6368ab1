"""Check every shipped certificate and write the table: python -m benchmarks.verify [GLOB].

With GLOB only the cases that match are checked; the rows of the others stay as they are.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

from rdbench.cli.verify import shipped
from rdbench.verify import Verdict, verify

FOLDER = Path("results/references")
FIELDS = ("case", "rate", "beta", "claimed", "verified", "cpu_s", "evidence", "state", "why")
_HEAD = """# Verified certificates

Made by `make certificates` (`python -m benchmarks.verify`): every shipped certificate, checked
from its file alone in ball arithmetic: section 10 of [Certificates](../../docs/certificates.md).
Widths of the bracket of F\\* in nats; `claimed` is the file's, `verified` what was found, which
lies within it. CPU seconds of the check, one thread on a shared two-core machine.

"""


def main(glob: str = "*") -> int:
    """Check, write verified.csv and verified.md; 1 where a certificate is rejected."""
    kept = _stored()
    for path in shipped():
        if not fnmatchcase(path.stem, glob):
            continue
        kept = [row for row in kept if row["case"] != path.stem]
        for check in verify(path):
            row = _row(check())
            print(*(f"{key}={value}" for key, value in row.items()), flush=True)
            kept.append(row)
    kept.sort(key=lambda row: (row["case"], float(row["rate"])))
    with (FOLDER / "verified.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
    (FOLDER / "verified.md").write_text(_HEAD + _left(kept) + _counts(kept) + _table(kept))
    return int(any(row["state"] == "rejected" for row in kept))


def _stored() -> list[dict[str, str]]:
    path = FOLDER / "verified.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _row(found: Verdict) -> dict[str, str]:
    claim = found.claim
    width = f"{found.hi - found.lo:.1e}" if found.state == "verified" else ""
    return {
        "case": found.case,
        "rate": f"{found.rate:.9g}",
        "beta": f"{claim['beta']:.9g}",
        "claimed": f"{claim['hi'] - claim['lo']:.1e}",
        "verified": width,
        "cpu_s": f"{found.cpu_s:.2f}",
        "evidence": claim["kind"],
        "state": found.state,
        "why": found.why,
    }


def _left(rows: list[dict[str, str]]) -> str:
    """The cases that were not run yet."""
    known = {row["case"] for row in rows}
    left = [path.stem for path in shipped() if path.stem not in known]
    return f"Not run yet: {', '.join(left)}.\n\n" if left else ""


def _counts(rows: list[dict[str, str]]) -> str:
    lines = ["| evidence of the solver | certificates | verified | rejected | not checked |"]
    lines.append("|---|---|---|---|---|")
    for kind in sorted({row["evidence"] for row in rows}):
        of = Counter(row["state"] for row in rows if row["evidence"] == kind)
        cells = [of[state] for state in ("verified", "rejected", "not checked")]
        lines.append(f"| {kind} | {sum(cells)} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n\n"


def _table(rows: list[dict[str, str]]) -> str:
    shown = FIELDS[:-1]
    lines = [f"| {' | '.join(shown)} |", "|" + "---|" * len(shown)]
    lines += [f"| {' | '.join(row[name] for name in shown)} |" for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
