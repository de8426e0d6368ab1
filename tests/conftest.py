"""Shapes are enforced in every test: jaxtyping annotations are checked by beartype."""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import sys
import tempfile
import types

os.environ.setdefault("OMP_NUM_THREADS", "1")

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# The hook takes the checker by name; ours lets an int stand for a float, as Python does.
checker = types.ModuleType("rdbench_test_checker")
checker.check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # type: ignore[attr-defined]
sys.modules[checker.__name__] = checker
# The checker of certificates has no arrays, and small functions that are called millions of times.
_spec = importlib.util.find_spec("rdbench")
assert _spec is not None
_inside = [name for _, name, _ in pkgutil.iter_modules(_spec.submodule_search_locations)]
install_import_hook(
    [f"rdbench.{name}" for name in _inside if name != "verify"],
    f"{checker.__name__}.check",
)

import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)
# No certificate of an earlier run answers for this one, and none is left behind at home.
_cache = tempfile.TemporaryDirectory(prefix="rdbench-cache-")
os.environ["RDBENCH_CACHE"] = _cache.name


@pytest.fixture
def generator() -> torch.Generator:
    """A seeded generator on the CPU."""
    return torch.Generator().manual_seed(20240607)
