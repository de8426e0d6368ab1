"""Run inside a side's environment: ``probe.py packages`` or ``probe.py rdbench``.

Exit codes: 0 all is well (JSON on the standard output), 4 a package of others is missing, 1
anything else. It imports nothing of the gate, because the gate need not be importable there.
"""

from __future__ import annotations

import importlib
import json
import platform
import sys

MODULES = ("rdbench", "rdbench.cli", "rdbench.cli.run", "rdbench.cli_run")
"""Imported by ``rdbench run`` before any estimator; commits have one of the last two."""


def packages() -> dict[str, str]:
    """Versions, after a calculation that NumPy, SciPy and torch have to agree on."""
    import numpy as np
    import scipy
    import scipy.linalg
    import torch

    matrix = np.array([[4.0, 1.0], [1.0, 3.0]])
    factor = scipy.linalg.cholesky(matrix, lower=True)
    other = torch.linalg.cholesky(torch.from_numpy(matrix)).numpy()
    if not (np.allclose(factor @ factor.T, matrix) and np.allclose(factor, other)):
        raise ArithmeticError("NumPy, SciPy and torch do not agree on a Cholesky factor")
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "torch": torch.__version__,
    }


def rdbench() -> dict[str, str]:
    """Where the package that answers to the name lies."""
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as problem:
            if problem.name == name and name in MODULES[2:]:
                continue
            if problem.name is None or problem.name.partition(".")[0] == "rdbench":
                raise
            print(f"{name} needs {problem.name}: {problem}", file=sys.stderr)
            raise SystemExit(4) from None
    return {"file": str(importlib.import_module("rdbench").__file__)}


if __name__ == "__main__":
    print(json.dumps({"packages": packages, "rdbench": rdbench}[sys.argv[1]]()))
