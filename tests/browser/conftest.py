"""A headless Chromium without a network, and the makers of records of tests/report."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rdbench.report.page import render, write
from rdbench.run.records import CellRecord
from tests.report.conftest import cell, failed, point, realistic

__all__ = ["cell", "failed", "point", "realistic"]  # fixtures of the tests here

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on the path (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens the page of some records; at the end nothing may have gone wrong in any.

    Nothing: no error on the console, no dialog, and no request but for the file itself.
    """
    problems: list[str] = []
    contexts: list[Any] = []

    def request(seen: Any) -> None:
        if not seen.url.startswith(("file://", "data:")):
            problems.append(f"asked for {seen.url}")

    def console(seen: Any) -> None:
        if seen.type == "error":
            problems.append(seen.text)

    def dialog(seen: Any) -> None:
        problems.append(f"a dialog: {seen.message}")
        seen.dismiss()

    def go(
        records: list[CellRecord],
        *,
        hash: str = "",
        width: int = 1280,
        height: int = 900,
        **options: Any,
    ) -> Any:
        out = tmp_path / f"page-{len(contexts)}.html"
        write(render(records, **options), out)
        context = browser.new_context(viewport={"width": width, "height": height})
        context.set_offline(True)
        contexts.append(context)
        tab = context.new_page()
        tab.on("request", request)
        tab.on("dialog", dialog)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("console", console)
        tab.goto(out.as_uri() + hash)
        while not problems and not tab.evaluate("performance.getEntriesByName('ready').length"):
            tab.wait_for_timeout(10)
        return tab

    yield go
    for context in contexts:
        context.close()
    assert not problems
