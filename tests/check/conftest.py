"""``tried``: the checks of several estimators in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import rdbench
from rdbench.check import Finding

HERE = Path(__file__).parent
Request = tuple[str, str, dict[str, Any]]
Tried = Callable[[Sequence[Request]], list[dict[str, Finding]]]


@pytest.fixture(scope="session")
def tried() -> Tried:
    """``tried(requests)``: the findings of every request, by the names of the checks."""
    home = Path(rdbench.__file__).parent.parent
    path = os.pathsep.join(p for p in (str(home), os.environ.get("PYTHONPATH", "")) if p)

    def tried_(requests: Sequence[Request]) -> list[dict[str, Finding]]:
        done = subprocess.run(
            [sys.executable, str(HERE / "trial.py"), str(HERE / "plants")],
            input=json.dumps(list(requests)),
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [{one[0]: Finding(*one) for one in findings} for findings in json.loads(done.stdout)]

    return tried_
