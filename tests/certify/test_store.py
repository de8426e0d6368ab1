"""The user's cache: what is stored comes back whole, and no damage is ever fatal."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from rdbench.certify import store
from rdbench.certify.certificate import Certificate
from rdbench.certify.store import from_plain, recall, remember, to_plain

KEY = "ab" + "0" * 62
CERTIFICATE = Certificate(
    beta=0.1 + 0.2,
    lo=1.0 / 3.0,
    hi=1.0 / 3.0 + 1e-9,
    points=np.array([[math.pi], [-1e-17]]),
    weights=np.array([1.0 / 3.0, 2.0 / 3.0]),
    distortion=0.5,
    kind="certified (numerical)",
    tolerance=1e-9,
    quadrature=1e-10,
    reason="why",
    cpu_s=0.25,
)


def _same(a: Certificate, b: Certificate) -> None:
    assert np.array_equal(a.points, b.points)
    assert np.array_equal(a.weights, b.weights)
    for name in ("beta", "lo", "hi", "distortion", "kind", "tolerance", "quadrature", "reason"):
        assert getattr(a, name) == getattr(b, name)


def test_every_digit_survives(cache: Path) -> None:
    assert recall(KEY) is None
    remember(KEY, CERTIFICATE)
    found = recall(KEY)
    assert found is not None
    _same(found, CERTIFICATE)
    assert [p.suffix for p in cache.rglob("*") if p.is_file()] == [".json"]  # no drafts are left


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace(KEY, "cd" + KEY[2:]),
        lambda text: text.replace('"lo"', '"low"'),
        lambda text: json.dumps({"key": KEY, "certificate": _swapped()}),
        lambda text: text.replace("certified (numerical)", "guessed"),
        lambda text: text.replace("0.3333333333333333,", "NaN,", 1),
        lambda text: "\x00\xff",
        # Well-formed and a valid certificate, with a digit that is not what was written.
        lambda text: text.replace('"lo": 0.3', '"lo": 0.2'),
        lambda text: text.replace('"tolerance": 1e-09', '"tolerance": 1e-05'),
        lambda text: text.replace('"sha256"', '"md5"'),
    ],
)
def test_a_damaged_file_is_no_certificate(cache: Path, damage) -> None:
    remember(KEY, CERTIFICATE)
    (path,) = cache.rglob("*.json")
    changed = damage(path.read_text())
    assert changed != path.read_text()
    path.write_text(changed)
    assert recall(KEY) is None


def _swapped() -> dict[str, object]:
    plain = to_plain(CERTIFICATE)
    return {**plain, "lo": plain["hi"], "hi": plain["lo"]}


def test_bytes_that_are_no_text(cache: Path) -> None:
    remember(KEY, CERTIFICATE)
    (path,) = cache.rglob("*.json")
    path.write_bytes(b"\xff\xfe\x00")
    assert recall(KEY) is None


@pytest.mark.parametrize(
    "change",
    [
        {"points": [1.0, 2.0]},
        {"points": [[1.0]]},
        {"weights": [0.5, 0.6]},
        {"weights": [1.5, -0.5]},
        {"points": [], "weights": []},
        {"hi": float("inf")},
    ],
)
def test_invalid_certificates_are_refused(change: dict[str, object]) -> None:
    assert from_plain(to_plain(CERTIFICATE)).hi == CERTIFICATE.hi
    with pytest.raises(ValueError):  # noqa: PT011 (each has its own message)
        from_plain({**to_plain(CERTIFICATE), **change})


def test_bounds_may_come_without_their_marginal() -> None:
    plain = {**to_plain(CERTIFICATE), "points": [], "weights": []}
    assert from_plain({**plain, "kind": "bounds"}).weights.shape == (0,)
    with pytest.raises(ValueError, match="needs points"):
        from_plain(plain)


def test_a_cache_that_cannot_be_written_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("RDBENCH_CACHE", str(blocked))
    remember(KEY, CERTIFICATE)
    assert recall(KEY) is None


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> None:
    assert store.cache_folder() == cache
    monkeypatch.delenv("RDBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store.cache_folder() == tmp_path / "rdbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store.cache_folder() == tmp_path / ".cache" / "rdbench"
