"""Certificates of a test are found by no other."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this test's certificates."""
    monkeypatch.setenv("RDBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
