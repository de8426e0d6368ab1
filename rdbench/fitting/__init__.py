"""Shared by all fits: everything but the method.

`settings` checks hyper-parameters, `support` refuses what an estimator does not declare, `splits`
keeps the draws that fit, choose and claim apart, `standard` lets a method work in standard
coordinates, `training` has the loop, the mean of the weights and the learning rate. An estimator's
own files then hold its method.
"""

from rdbench.fitting.settings import check_settings, not_seeded
from rdbench.fitting.splits import Split, split
from rdbench.fitting.standard import NO_CLAIM, Task, standardised
from rdbench.fitting.support import answers, uncovered
from rdbench.fitting.training import Progress, RunningMean, cosine, iterate, stopped

__all__ = [
    "NO_CLAIM",
    "Progress",
    "RunningMean",
    "Split",
    "Task",
    "answers",
    "check_settings",
    "cosine",
    "iterate",
    "not_seeded",
    "split",
    "standardised",
    "stopped",
    "uncovered",
]
