"""The kinds of bounds, of conditionals, of what a view grants and of evidence."""

from __future__ import annotations

from typing import Literal

Side = Literal["exact", "upper", "lower", "estimate"]
ConditionalKind = Literal["boltzmann", "encoder"]
Grant = Literal["density", "support"]
Evidence = Literal["closed form", "certified", "searched", "sampled"]
"""How a bound is known: the supremum (or F) by a formula; by exact sums and a rigorous maximum; by
exact sums and a search that may have missed a maximum; by draws, with an interval."""
