"""Hooks that mkdocs calls while it builds the site.

Pages hold markers such as ``<!-- generated: parameters ebrd -->``; what replaces them is made from
the code at build time, so that it cannot go stale. An unknown marker ends the build.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Any

import command_pages
import estimator_pages
import formulas
import interface_pages
import notebooks
import repository
import suite_pages

from rdbench import registry

MARKER = re.compile(r"<!-- generated: (\w+)(?: ([\w.]+))? -->")

GENERATED: dict[str, Callable[..., str]] = {
    "commands": command_pages.commands,
    "estimators": estimator_pages.overview,
    "facts": estimator_pages.facts,
    "parameters": estimator_pages.parameters,
    "presets": estimator_pages.presets,
    "suites": suite_pages.overview,
    "cases": suite_pages.cases,
    "modules": interface_pages.modules,
}
SECTIONS: dict[str, registry.Kind] = {"Estimators": "estimator", "Suites": "suite"}
"""Parts of the navigation that have a page for everything registered in this repository."""


def filled(text: str) -> str:
    """The text with every marker replaced.

    Raises:
        KeyError: a marker that nothing is generated for.
        RdbenchError: it names no estimator or suite.
    """
    return MARKER.sub(lambda m: GENERATED[m[1]](*([m[2]] if m[2] else [])), text)


def pages_of(kind: registry.Kind) -> list[str]:
    """The overview and the pages of one kind, as the navigation lists them."""
    built_in = [n for n in registry.names(kind) if registry.find(kind, n).origin == "rdbench"]
    return [f"{kind}s/{name}.md" for name in ["index", *built_in]]


def on_config(config: Any) -> Any:
    """Fill the sections of the navigation that follow from what is there.

    These are the estimators, the suites, and every document below results/, folder by folder.
    """
    for part in config.nav:
        for title in SECTIONS.keys() & part.keys():
            part[title] = pages_of(SECTIONS[title])
    (section,) = (part for part in config.nav if "Results" in part)
    folders: dict[str, list[str]] = {}
    for document in repository.documents():
        if document.startswith("results/"):
            folders.setdefault(document.rpartition("/")[0], []).append(document)
    section["Results"] = folders.pop("results")
    section["Results"] += [{repository.title(found[0]): found} for found in folders.values()]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the documents outside docs/, whatever files are linked, and the notebooks as pages."""
    from mkdocs.structure.files import File

    pages = [repository.in_repository(file.src_uri) for file in files.documentation_pages()]
    for path in repository.gathered(pages):
        source = str(repository.ROOT / path)
        files.append(File.generated(config, repository.in_site(path), abs_src_path=source))
    for path in repository.notebooks():
        text, pictures = notebooks.page(repository.ROOT / path)
        uri = repository.in_site(path)
        files.append(File.generated(config, repository.page_of(uri), content=text))
        for name, content in pictures.items():
            picture = posixpath.normpath(f"{posixpath.dirname(uri)}/{name}")
            files.append(File.generated(config, picture, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links as they are in the site, then what is generated, then the formulas of both."""
    path = repository.in_repository(page.file.src_uri)
    return formulas.set_in_html(filled(repository.relinked(path, markdown)))
