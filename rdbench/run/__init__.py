"""Planning, running and storing cells; called, it is `rdbench.api.run`."""

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
