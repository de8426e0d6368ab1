"""Cells -> records: what is stored is taken from there, the rest is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rdbench.run.plan import Cell
from rdbench.run.pool import InFlight, Settings, is_done, run_cells
from rdbench.run.provenance import gather
from rdbench.run.records import CellRecord
from rdbench.run.spool import Stage
from rdbench.run.store import Store, StoreError


class Silent:
    """A reporter that says nothing."""

    def finished(
        self, cell: Cell, record: CellRecord, seconds: float | None, output: str = ""
    ) -> None:
        """Nothing."""

    def tick(self, in_flight: Sequence[InFlight], stage: Callable[[str], Stage]) -> None:
        """Nothing."""


def carry_out(
    cells: Sequence[Cell], results: Path, *, jobs: int = 1, timeout: float | None = None
) -> list[CellRecord]:
    """The records of the cells, in their order; those that are not stored yet are run.

    Args:
        cells: of one plan.
        results: the results folder.
        jobs: how many cells run at the same time.
        timeout: seconds that the fit of a cell may take.

    Raises:
        RdbenchError: the folder cannot be used.
        StoreError: a record could not be written.
    """
    store = Store(results)
    try:
        missing = [cell for cell in cells if not is_done(store.records.get(cell.id))]
        if missing:
            device = missing[0].device
            run_cells(missing, store, Settings(gather(device, 1, jobs), jobs, 1, timeout), Silent())
        store.refresh()
        lost = [cell for cell in cells if cell.id not in store.records]
        if lost:
            raise StoreError(vanished(len(lost), len(cells), results))
        return [store.records[cell.id] for cell in cells]
    finally:
        store.close()


def vanished(lost: int, planned: int, results: Path) -> str:
    """Rows are gone that were written, or seen, in this run."""
    return (
        f"{lost} of {planned} cells have no row in {results}: something removed records while the "
        "run went on; the same command runs them again"
    )
