"""Callables that do not carry what they work with.

A closure shows its cells and a bound method its object: an estimator that looks into
``view.sample`` would find the source there, its parameters and its generator. A sealed callable
holds nothing. This keeps honest and careless code apart from the truth; it is no lock against code
that searches the process (docs/audit.md, "Threat model").
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NoReturn


class Sealed:
    """Calls what it was sealed with; it has no attributes and can be neither copied nor pickled."""

    __slots__ = ("__weakref__",)

    def __call__(self, *args: Any) -> Any:
        """The result of the sealed callable."""
        return _work_of(self)(*args)

    def __copy__(self) -> Sealed:
        """Itself, as for a function."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Sealed:
        """Itself, as for a function."""
        return self

    def __reduce__(self) -> NoReturn:
        """Refused: a copy in another process would have nothing to call."""
        raise TypeError("a view's callables cannot be pickled")

    def __repr__(self) -> str:
        """Nothing of what is inside."""
        return "<sealed>"


def _register() -> tuple[Callable[..., Sealed], Callable[[Sealed], Callable[..., Any]]]:
    kept: weakref.WeakKeyDictionary[Sealed, Callable[..., Any]] = weakref.WeakKeyDictionary()

    def seal(work: Callable[..., Any]) -> Sealed:
        token = Sealed()
        kept[token] = work
        return token

    def work_of(token: Sealed) -> Callable[..., Any]:
        return kept[token]

    return seal, work_of


seal, _work_of = _register()
