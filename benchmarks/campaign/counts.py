"""What is left of a campaign: rows, processes, files."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.campaign.chaos import of_campaign
from benchmarks.campaign.moody import STATUS

_TORCHS = "torchinductor_"
"""A folder that torch makes once for each user, and keeps."""
FINAL = ("ok", "unsupported", "not_converged")


@dataclass(frozen=True)
class Counts:
    """All but the first two should be 0."""

    planned: int
    rows: int
    """Lines of records; a cell whose end is no result is run again by the next command."""
    lost: int
    """Planned cells without a row."""
    doubled: int
    """Cells with more than one final row."""
    torn: int
    """Lines that are no records."""
    strange: int
    """Cells whose newest row is not what their mode ends as."""
    orphans: int
    """Processes that live when all commands have ended."""
    scratch: int
    """Temporary files then."""

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        wrong = (self.lost, self.doubled, self.torn, self.strange, self.orphans, self.scratch)
        return not any(wrong)


def count(planned: int, records: Path, folder: Path) -> Counts:
    """Count, when no command runs any more.

    Args:
        planned: the number of cells.
        records: the file of records.
        folder: where the commands had their temporary files.
    """
    rows, torn = [], 0
    for line in records.read_bytes().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            torn += bool(line.strip())
    newest = {row["cell"]: row for row in rows}
    final = Counter(row["cell"] for row in rows if row["status"] in FINAL)
    living = [one for one in of_campaign(folder) if one.status() != psutil.STATUS_ZOMBIE]
    return Counts(
        planned=planned,
        rows=len(rows),
        lost=planned - len(newest),
        doubled=sum(n > 1 for n in final.values()),
        torn=torn,
        strange=sum(row["status"] != STATUS[row["fields"]["mode"]] for row in newest.values()),
        orphans=len(living),
        scratch=sum(not one.name.startswith(_TORCHS) for one in folder.iterdir()),
    )
