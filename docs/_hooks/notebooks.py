"""Executed notebooks as pages: their text, their code, and the outputs that they were kept with.

Nothing is run here: ``make notebooks`` runs a notebook and keeps its outputs in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_TEMPLATE = """{% extends 'markdown/index.md.j2' %}
{% block stream %}
```text
{{ output.text | trim }}
```
{% endblock stream %}
{% block data_text %}
```text
{{ output.data['text/plain'] | trim }}
```
{% endblock data_text %}
"""
"""Text in fences: an indented block is a formula on this site."""


def page(path: Path) -> tuple[str, Mapping[str, bytes]]:
    """A notebook as Markdown, and its pictures by name."""
    # What else the hooks do, the tests ask for without the tools of the site.
    from nbconvert import MarkdownExporter

    exporter = MarkdownExporter(raw_template=_TEMPLATE)
    found = {"output_files_dir": ".", "unique_key": path.stem}
    text, resources = exporter.from_filename(str(path), resources=found)
    link = f"[{path.name}]({path.name}), as it was run, to download.\n"
    return f"{text.strip()}\n\n{link}", resources.get("outputs", {})
