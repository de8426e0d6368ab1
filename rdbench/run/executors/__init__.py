"""Who runs cells: a cell goes in, the bytes of its record come out, whatever happens in between.

`local` is the executor of this machine: it watches the limits and composes the records. `server` is
the process that forks a worker for every cell and leaves nothing of it behind; `handle` is its
other end, in the process that asks; `scratch` the folder that they share.

`dask` hands cells to the workers of a Dask cluster, `cluster` is one on this machine, `remote` what
is called on a worker, which has a local executor, and `kit` what has to be the same there as here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from concurrent.futures import Future

    from rdbench.run.plan import Cell
    from rdbench.run.spool import Stage


@runtime_checkable
class Executor(Protocol):
    """Runs cells side by side; nothing that a cell does raises here."""

    @property
    def width(self) -> int:
        """How many cells it wants to hold at the same time."""

    def submit(self, cell: Cell) -> Future[bytes]:
        """Begin a cell; the future gives a line of JSON, the record, failures included."""

    def cancel(self, future: Future[bytes]) -> None:
        """End a cell before it is done; its future is cancelled then."""

    def stage(self, cell: str) -> Stage:
        """Where the worker of a cell is, by the cell's id."""

    def output(self, cell: str) -> str:
        """The end of what a cell that is done has printed, by its id; given once."""

    def close(self) -> None:
        """End what is running; its futures are cancelled."""
