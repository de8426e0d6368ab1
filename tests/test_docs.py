"""What the documents show works as shown."""

from __future__ import annotations

import re
from pathlib import Path

from rdbench import registry

ROOT = Path(__file__).resolve().parent.parent


def test_the_readme_names_what_exists() -> None:
    text = (ROOT / "README.md").read_text()
    for kind in ("suite", "estimator"):
        for name in registry.names(kind):
            assert f"`{name}`" in text
    for link in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "CONTRIBUTING.md").read_text()):
        assert (ROOT / link).exists(), link
    # the table that `make run` prints, one block a case
    for case in ("ramp-d2", "ramp-d5", "ramp-d10"):
        assert re.search(rf"^ {case} ", text, flags=re.MULTILINE)
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / link).exists(), link
