"""Planning, running and storing cells; called, it is `rdbench.api.run`.

From what is asked to cells: `ladders`, `slopes`, `budgets`, `plan`, with identities by `seeds` and
`meaning`. From cells to records: `pool` hands cells to an `executors` and alone writes what comes
back; `session` does both for Python. Within the process of a cell: `worker`, with `views`,
`monitor`, `clock`, `points`, `draws`, `guarded`, `sealed`, `ambient`, `process`. Between it and its
parent: `spool`, what it has found, and `watch`, how long it has fitted; the parent holds it to its
`limits` and makes the record in `compose`, with `provenance`. On disk: `records`, the schema;
`store`, which appends; `reading`; `merging`; `texts`, which makes strangers' texts harmless.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


class _Callable(ModuleType):
    """``rdbench.run`` is this package, and what users call: one attribute, two meanings."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Estimators on suites: `rdbench.api.run`."""
        from importlib import import_module

        return import_module("rdbench.api").run(*args, **options)


sys.modules[__name__].__class__ = _Callable
