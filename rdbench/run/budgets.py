"""What a fit may spend: an effort by name, or CPU seconds.

The effort multiplies an estimator's deterministic units of work, such as steps and samples: a
schedule ends where it was meant to. To compare estimators at equal cost, ``20s`` asks for the
effort at which a ladder takes about 20 CPU seconds on this machine. It is found by short fits on
draws of their own, whose answers are thrown away and whose time does not count.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping

from rdbench.types import RdbenchError

EFFORTS: Mapping[str, float] = {"quick": 0.25, "default": 1.0, "full": 4.0}
"""By the name of the budget."""
FIRST, LEAST, MOST = 1 / 16, 1 / 256, 64.0
"""The effort of the first short fit, and the efforts between which one is looked for."""
_ENOUGH, _ALONE = 0.15, 0.4
"""Of the seconds: two fits tell what more effort costs where the last takes that long; one alone
does where it takes longer."""
_AIM = 0.3


def seconds_of(budget: str) -> float | None:
    """The CPU seconds of a budget such as ``20s``; None where it is a name.

    Raises:
        RdbenchError: it is neither.
    """
    if budget in EFFORTS:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)s", budget)
    if found is None or not 0.0 < float(found[1]) < math.inf:
        raise RdbenchError(
            f"--budget takes {', '.join(EFFORTS)} or CPU seconds such as 20s, got {budget!r}"
        )
    return float(found[1])


def size_of(budget: str) -> str:
    """The name of the budget by which the audit is sized: fits at equal cost get the default."""
    return budget if budget in EFFORTS else "default"


def effort_for(seconds: float, fit: Callable[[float], None]) -> float:
    """The effort at which a fit takes about so many CPU seconds, to three digits.

    Costs are taken as a + b effort, through the last two of the short fits; as b effort where
    there is one, or where more effort did not cost more.

    Args:
        seconds: of the whole ladder.
        fit: a fit at an effort, on draws of its own.
    """
    found: list[tuple[float, float]] = []
    effort = FIRST
    while True:
        began = time.process_time()
        fit(effort)
        cost = max(time.process_time() - began, 1e-6)
        found.append((effort, cost))
        enough = _ENOUGH if len(found) > 1 else _ALONE
        if cost >= enough * seconds or effort >= MOST:
            break
        effort = min(effort * min(max(_AIM * seconds / cost, 2.0), 8.0), MOST)
    slope, fixed = cost / effort, 0.0
    if len(found) > 1:
        (e0, c0), (e1, c1) = found[-2:]
        if c1 > c0:
            slope = (c1 - c0) / (e1 - e0)
            fixed = max(c1 - slope * e1, 0.0)
    wanted = max(seconds - fixed, 0.0) / slope
    return float(f"{min(max(wanted, LEAST), MOST):.3g}")
