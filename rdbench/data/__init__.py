"""Data of one's own: files and arrays -> rows of numbers -> a case that estimators run on.

`files` reads, `table` is what was read and refuses what cannot be a source, `distortions` finds the
distortion measure, `spec` says in plain data what is run, `case` builds it, in any process.
"""

from rdbench.data.case import DataCase, build
from rdbench.data.spec import DataSpec, described

__all__ = ["DataCase", "DataSpec", "build", "described"]
