"""Shipped certificates, one at a time, and the command on what is planted into them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rdbench.cli import main
from rdbench.cli.verify import shipped
from rdbench.verify import Verdict
from rdbench.verify import verify as checks_of

FILES = {path.stem: json.loads(path.read_text()) for path in shipped()}


def one(case: str, rung: int = 0) -> dict[str, Any]:
    """The file of a case with one of its certificates."""
    content = {**FILES[case], "rungs": [FILES[case]["rungs"][rung]]}
    return copy.deepcopy(content)


@pytest.fixture
def verify(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[[dict[str, Any] | str], tuple[int, str, str]]:
    """The exit code and both outputs of the command on a file with this content."""

    def run(content: dict[str, Any] | str) -> tuple[int, str, str]:
        path = tmp_path / "certificates.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        capsys.readouterr()
        code = main(["verify", str(path)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.fixture
def judge(tmp_path: Path) -> Callable[[dict[str, Any]], Verdict]:
    """What becomes of the first certificate of a file with this content."""

    def run(content: dict[str, Any]) -> Verdict:
        path = tmp_path / "certificates.json"
        path.write_text(json.dumps(content))
        return checks_of(path)[0]()

    return run
