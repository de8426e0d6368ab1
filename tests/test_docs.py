"""What the documents show works as shown."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import torch
from torch import Generator

from rdbench import registry
from rdbench.audit import SIZES, audit
from rdbench.types import Estimator, Monitor, TestChannel, View

ROOT = Path(__file__).resolve().parent.parent


class _Monitor:
    effort = 1.0

    def advance(self, done: float) -> bool:
        return True

    def checkpoint(self, build: object) -> bool:
        return True

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        pass


def test_the_example_estimator_of_contributing_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (code,) = re.findall(r'```python\n(""".*?)```', text, flags=re.DOTALL)
    (tmp_path / "codebook_example.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("codebook_example")
    estimator = module.ESTIMATOR()
    assert isinstance(estimator, Estimator)
    assert isinstance(_Monitor(), Monitor)

    case = registry.load_suite("scalar").cases()[1]
    source, data = case.problem.source, Generator().manual_seed(1)
    view = View(1, case.problem.distortion, torch.device("cpu"), lambda n: source.sample(n, data))
    beta = case.reference.slope(1.0)
    (channel,) = estimator.fit(view, [beta], Generator().manual_seed(2), _Monitor())
    assert isinstance(channel, TestChannel)
    found = audit(
        channel,
        case.problem,
        case.reference,
        size=SIZES["quick"],
        generator=Generator().manual_seed(3),
    )
    # q is p instead of p less the noise: above the truth, and not by much at one nat
    assert found.gap_lo > 0.0
    assert found.gap < 0.2


def test_the_readme_names_what_exists() -> None:
    text = (ROOT / "README.md").read_text()
    for kind in ("suite", "estimator"):
        for name in registry.names(kind):
            assert f"`{name}`" in text
    # the table that `make run` prints
    for case in ("ramp-d2", "ramp-d5", "ramp-d10"):
        assert re.search(rf"^ {case} .*blahut_arimoto", text, flags=re.MULTILINE)
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / link).exists(), link
