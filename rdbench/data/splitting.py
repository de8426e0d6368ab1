"""Which rows are held out for audits: a fifth, whole groups, by the content of the data alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from rdbench.data.table import Rows
from rdbench.outcomes import RdbenchError

SHARE = 0.2
LEAST_ROWS, LEAST_GROUPS = 20, 5
"""Of the held-out part: with fewer its 95% interval would say nothing."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Numbers of the rows to train on and of those held out, and the groups of the latter."""

    training: Int[ndarray, " n"]
    held_out: Int[ndarray, " m"]
    held_out_groups: Int[ndarray, " m"] | None
    groups: int | None
    """How many groups there are in all."""
    remark: str = ""

    @property
    def digest(self) -> str:
        """Of which row is where."""
        found = hashlib.sha256(self.training.tobytes())
        found.update(self.held_out.tobytes())
        if self.held_out_groups is not None:
            found.update(self.held_out_groups.tobytes())
        return found.hexdigest()

    def lines(self) -> list[str]:
        """The split in a sentence."""
        line = (
            f"population: {len(self.training):,} rows to train on, {len(self.held_out):,} held "
            "out, which every audit is on"
        )
        if self.held_out_groups is not None:
            line += f", in {len(np.unique(self.held_out_groups)):,} of {self.groups:,} groups"
        return [line, *([self.remark] if self.remark else [])]


def split_rows(rows: Rows, digest: str, *, pictures: bool = False) -> Parts:
    """A fifth of the rows, or of the groups, at random; the digest of the data is the seed.

    Args:
        rows: the data.
        digest: of their content, hexadecimal.
        pictures: the groups are pictures, which may be too few to hold out whole.

    Raises:
        RdbenchError: too few rows, or groups, for an interval on the held-out part.
    """
    n, generator = len(rows.x), np.random.default_rng(int(digest[:16], 16))
    order = generator.permutation(n)
    wanted = round(SHARE * n)
    if wanted < LEAST_ROWS:
        raise RdbenchError(
            f"{n:,} rows leave {wanted} held out, and an interval takes {LEAST_ROWS}: give "
            f"{round(LEAST_ROWS / SHARE)} rows or more, or --of rows if these rows are the source"
        )
    if rows.groups is None:
        return Parts(order[wanted:], order[:wanted], None, None)
    _, label = np.unique(rows.groups, return_inverse=True)
    count = int(label.max()) + 1
    kept = max(1, round(SHARE * count))
    if kept < LEAST_GROUPS and pictures:
        return Parts(
            order[wanted:], order[:wanted], None, None,
            f"{count} pictures are too few to hold some out whole: intervals take the patches of a "
            "picture as independent, which they are not",
        )  # fmt: skip
    if kept < LEAST_GROUPS:
        raise RdbenchError(
            f"{count:,} groups leave {kept} held out, and an interval takes {LEAST_GROUPS}: give "
            f"{round(LEAST_GROUPS / SHARE)} groups or more"
        )
    shuffled = generator.permutation(count)
    sizes = np.cumsum(np.bincount(label)[shuffled])
    kept = max(kept, int(np.searchsorted(sizes, LEAST_ROWS)) + 1)  # more groups where all are small
    if kept >= count:
        raise RdbenchError(
            f"the {count:,} groups are too unequal: those held out have fewer than {LEAST_ROWS} "
            "rows, or no group is left to train on"
        )
    chosen = np.zeros(count, dtype=bool)
    chosen[shuffled[:kept]] = True
    out = chosen[label[order]]
    held_out = order[out]
    return Parts(order[~out], held_out, label[held_out], count)
