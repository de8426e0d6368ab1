"""What a set of results is and whether a copy of it is whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from rdbench.run.records import SCHEMA, CellRecord
from rdbench.version import __version__

FILES = ("records.jsonl", "points.parquet", "dictionary.md")


def manifest(folder: Path, records: Sequence[CellRecord]) -> str:
    """JSON: the version, the schema, who made the records, how many there are, and checksums.

    Args:
        folder: with the files.
        records: those in it, of which the counts and commits are.
    """
    made = [record.provenance for record in records]
    return (
        json.dumps(
            {
                "title": "The reference run of rdbench",
                "version": __version__,
                "schema": SCHEMA,
                "license": "MIT",
                "made_by_rdbench": sorted({one.versions.get("rdbench", "") for one in made}),
                "commits": sorted({one.commit for one in made}),
                "cells": len(records),
                "points": sum(len(record.points) for record in records),
                "files": {name: _described(folder / name) for name in FILES},
            },
            indent=2,
        )
        + "\n"
    )


def _described(path: Path) -> dict[str, int | str]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
