"""Is this estimator correct? Checks that say what is wrong, in words.

``assert_conforms(MyEstimator)`` is the whole test of a plug-in's author; ``check_estimator`` gives
the findings one by one; ``rdbench check MODULE:CLASS`` prints them.
"""

from rdbench.check.catalogue import NAMES, assert_conforms, check_estimator
from rdbench.check.findings import Finding

__all__ = ["NAMES", "Finding", "assert_conforms", "check_estimator"]
