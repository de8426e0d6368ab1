"""The user's cache of certificates: one JSON file each, by content; never a reason to fail."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from rdbench.certify.certificate import Certificate

_NUMBERS = ("beta", "lo", "hi", "distortion", "tolerance", "quadrature")


def cache_folder() -> Path:
    """$RDBENCH_CACHE, else $XDG_CACHE_HOME/rdbench, else ~/.cache/rdbench."""
    own = os.environ.get("RDBENCH_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rdbench"


def to_plain(certificate: Certificate) -> dict[str, Any]:
    """The certificate as JSON values; every float keeps all its digits."""
    numbers = {name: float(getattr(certificate, name)) for name in _NUMBERS}
    return {
        **numbers,
        "kind": certificate.kind,
        "reason": certificate.reason,
        "cpu_s": round(certificate.cpu_s, 4),
        "points": certificate.points.tolist(),
        "weights": certificate.weights.tolist(),
    }


def from_plain(plain: dict[str, Any]) -> Certificate:
    """The certificate of JSON values.

    Raises:
        ValueError, KeyError, TypeError: they are not a certificate.
    """
    points = np.array(plain["points"], dtype=float)
    weights = np.array(plain["weights"], dtype=float)
    if plain["kind"] == "bounds" and not len(weights):
        points = np.zeros((0, 1))  # stored without its marginal
    elif points.ndim != 2 or weights.shape != points.shape[:1] or not len(weights):
        raise ValueError("a certificate needs points (m, d) and weights (m,)")
    elif not (np.isfinite(points).all() and weights.min() >= 0 and abs(weights.sum() - 1) < 1e-6):
        raise ValueError("a certificate needs finite points and weights that sum to one")
    if plain["kind"] not in ("certified", "certified (numerical)", "bounds"):
        raise ValueError(f"a certificate of the kind {plain['kind']!r}")
    numbers = {name: float(plain[name]) for name in (*_NUMBERS, "cpu_s")}
    kind, reason = plain["kind"], str(plain["reason"])
    return Certificate(points=points, weights=weights, kind=kind, reason=reason, **numbers)


def recall(key: str) -> Certificate | None:
    """The certificate of that key; ``None`` where there is none, or the file is damaged.

    A file without the checksum of its content, or with another one, is damaged.
    """
    try:
        plain = json.loads(_path(key).read_text())
        body = plain["certificate"]
        whole = plain["key"] == key and plain["sha256"] == _checksum(key, body)
        return from_plain(body) if whole else None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None


def remember(key: str, certificate: Certificate) -> None:
    """Store a certificate; a folder that cannot be written is passed over."""
    try:
        path = _path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "w") as file:
                body = to_plain(certificate)
                plain = {"key": key, "sha256": _checksum(key, body), "certificate": body}
                json.dump(plain, file)
            os.replace(draft, path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except (OSError, RuntimeError):
        return


def _checksum(key: str, body: dict[str, Any]) -> str:
    """Of key and body in one spelling: the shortest digits of a float survive JSON."""
    return hashlib.sha256(json.dumps([key, body], sort_keys=True).encode()).hexdigest()


def _path(key: str) -> Path:
    return cache_folder() / "certificates" / key[:2] / f"{key}.json"
