"""Seeds and identities: hashes of canonical JSON.

A tuple of names is hashed as JSON, never as a joined string, so that ("a", "bc") and ("ab", "c")
differ, and so do 1 and "1".
"""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical(value: Any) -> bytes:
    """One spelling per value: sorted keys, no spaces, shortest floats that read back equal."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_plain
    ).encode()


def digest(value: Any) -> str:
    """The first 16 hexadecimal digits of the sha256 of the canonical JSON."""
    return hashlib.sha256(canonical(value)).hexdigest()[:16]


def seed_for(*names: Any) -> int:
    """A seed in [0, 2^63) for a stream named by a tuple, e.g. (suite, case, seed, "data")."""
    return int.from_bytes(hashlib.sha256(canonical(list(names))).digest()[:8], "big") >> 1


def _plain(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no canonical JSON")
