"""Check estimators in a process of its own, without the shape checks of the tests.

``python trial.py PLANTS < requests``: a JSON list of [estimator, preset, options], the estimator a
registered name or ``planted:FAULT@DECLARED``. Prints a JSON list of lists of
[name, verdict, message, s].
"""

from __future__ import annotations

import dataclasses
import json
import sys
import warnings
from typing import Any

import torch

from rdbench import registry
from rdbench.check import check_estimator


def named(estimator: str) -> Any:
    head, colon, tail = estimator.partition(":")
    if not colon:
        return registry.load_estimator(head)
    import planted  # type: ignore[import-not-found]

    fault, _, declared = tail.partition("@")
    info = dataclasses.replace(planted.Planted.info, not_invariant=frozenset({declared} - {""}))
    cls: Any = dataclasses.dataclass(frozen=True)(
        type("Planted", (planted.Planted,), {"info": info})
    )
    return cls(fault)


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    torch.set_num_threads(1)
    found = []
    for estimator, preset, options in json.load(sys.stdin):
        cls = named(estimator)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            findings = check_estimator(cls, preset, **options)
        found.append([dataclasses.astuple(one) for one in findings])
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
