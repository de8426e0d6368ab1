"""Nothing that an estimator can reach, write into or switch changes a number of its audit."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from rdbench import registry
from rdbench.audit import SIZES, audit
from rdbench.distortions import SquaredError, TableDistortion
from rdbench.references.gaussian import WaterFilling
from rdbench.references.hamming import FiniteHamming
from rdbench.run import worker
from rdbench.run.ambient import ambient, under
from rdbench.run.guarded import guarded
from rdbench.run.plan import make_plan
from rdbench.run.records import PointRecord
from rdbench.run.spool import read_spool
from rdbench.run.views import make_view
from rdbench.sources.finite import FiniteSource
from rdbench.sources.gaussian import vector_gaussian
from rdbench.types import (
    Atoms,
    Case,
    Claim,
    Density,
    EstimatorInfo,
    Problem,
    Pushforward,
    TestChannel,
    View,
)

CPU = torch.device("cpu")
PMF = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
HAMMING = 1.0 - torch.eye(3, dtype=torch.float64)


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def letters() -> Problem:
    points = torch.arange(3, dtype=torch.float64)[:, None]
    source = FiniteSource("three letters", points, PMF.clone())
    return Problem(source, TableDistortion(HAMMING.clone()), alphabet=points.clone())


# --------------------------------------------------------------------------- what can be reached


def reachable(thing: Any) -> list[Any]:
    """Everything that is one attribute or one reference away."""
    found = [getattr(thing, name, None) for name in dir(thing)]
    return found + gc.get_referents(thing)


@pytest.mark.parametrize("n_train", [None, 20])
def test_a_views_callables_show_neither_source_nor_generator(n_train: int | None) -> None:
    problem = Problem(vector_gaussian(3), SquaredError())
    view, counter = make_view(problem, frozenset({"density"}), generator(), CPU, n_train)
    assert view.log_prob is not None
    for work in (view.sample, view.log_prob):
        for name in ("__closure__", "__self__", "__globals__", "__dict__", "__func__"):
            assert not hasattr(work, name), name
        for one in reachable(work):
            assert not isinstance(one, (Generator, Tensor, Problem, type(problem.source)))
        assert copy.deepcopy(work) is work
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(work)
    view.sample(4)
    assert counter.drawn == (n_train or 4)


def test_the_training_stream_is_the_sources_own() -> None:
    source = vector_gaussian(3)
    view, _ = make_view(Problem(source, SquaredError()), frozenset(), generator(5), CPU)
    same = generator(5)
    for n in (7, 1, 30):
        assert torch.equal(view.sample(n), source.sample(n, same))


# ------------------------------------------------------------------------- what can be written to


@dataclass(frozen=True, eq=False)
class Lending:
    """A source that hands out the very tensors that it works with."""

    data: Tensor = field(default_factory=lambda: torch.arange(6.0, dtype=torch.float64)[:, None])
    logs: Tensor = field(default_factory=lambda: torch.zeros(6, dtype=torch.float64))
    name: str = "lending"
    dim: int = 1

    def sample(self, n: int, generator: Generator) -> Tensor:
        return self.data[:n]

    def log_prob(self, x: Tensor) -> Tensor:
        return self.logs[: len(x)]


@pytest.mark.parametrize("n_train", [None, 4])
def test_draws_and_densities_that_are_written_into_change_no_later_ones(
    n_train: int | None,
) -> None:
    problem = Problem(Lending(), SquaredError())
    view, twin = (
        make_view(problem, frozenset({"density"}), generator(1), CPU, n_train)[0] for _ in range(2)
    )
    assert view.log_prob is not None
    for _ in range(3):
        mine, theirs = view.sample(4), twin.sample(4)
        assert torch.equal(mine, theirs)
        mine.fill_(torch.nan)
        view.log_prob(theirs).fill_(torch.nan)
        assert torch.equal(view.log_prob(theirs), torch.zeros(4, dtype=torch.float64))
    assert torch.equal(problem.source.data, Lending().data)  # type: ignore[attr-defined]


# ---------------------------------------------------------------------------- whole cells, audited


def atoms(beta: float, distortion: Any) -> TestChannel:
    """Three letters, equally likely."""
    points = torch.arange(3, dtype=torch.float64)[:, None]
    weights = torch.full((3,), -float(np.log(3.0)), dtype=torch.float64)

    def draw(x: Tensor, k: int, g: Generator) -> Tensor:
        chances = torch.softmax(weights - beta * distortion.pairwise(x, points), 1)
        return points[torch.multinomial(chances, k, replacement=True, generator=g)]

    return TestChannel(beta, Atoms(points, weights), Claim(0.5, 0.1, "estimate"), draw)


def pushed(beta: float, spoils: bool, as_density: bool = False) -> TestChannel:
    """N(0, 1/2 I) as a pushforward or a density; it may write into whatever it is handed."""

    def done_with(tensor: Tensor) -> None:
        if spoils:
            tensor.detach().mul_(0.0)

    def decode(z: Tensor) -> Tensor:
        y = z * math.sqrt(0.5)
        done_with(z)
        return y

    def sample(n: int, g: Generator) -> Tensor:
        return torch.randn(n, 2, generator=g, dtype=torch.float64) * math.sqrt(0.5)

    def log_prob(y: Tensor) -> Tensor:
        value = -y.square().sum(1) - math.log(math.pi)
        done_with(y)
        return value

    def draw(x: Tensor, k: int, g: Generator) -> Tensor:
        y = x[:, None] + torch.randn(len(x), k, x.shape[1], generator=g, dtype=torch.float64)
        done_with(x)
        return y

    marginal = Density(sample, log_prob) if as_density else Pushforward(decode, 2)
    return TestChannel(beta, marginal, Claim(0.5, 0.1, "estimate"), draw)


@dataclass(frozen=True)
class Fit:
    """Answers every slope by ``kind``."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="none", citation="none", needs=frozenset({"support", "density"})
    )
    kind: str

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Any
    ) -> Iterator[TestChannel]:
        train = view.sample(20)
        match self.kind:
            case "halves the table":
                view.distortion.table.mul_(0.5)  # type: ignore[attr-defined]
            case "writes into all it is handed":
                for tensor in (view.support, view.pmf, view.alphabet):
                    assert tensor is not None
                    tensor.mul_(0.5)
            case "writes into draws":
                train.zero_()
            case "switches everything":
                switch_everything()
        for beta in betas:
            yield from self.answer(view, beta)

    def answer(self, view: View, beta: float) -> Iterator[TestChannel]:
        spoils = self.kind.endswith("writes into arguments")
        if view.dim == 1:
            yield atoms(beta, view.distortion)
        elif self.kind == "without gradients":
            with torch.no_grad():
                yield pushed(beta, spoils)
                assert not torch.is_grad_enabled()
        else:
            yield pushed(beta, spoils, "density" in self.kind)
        if self.kind == "switches everything":
            assert torch.get_default_dtype() is torch.bfloat16
            assert torch.get_default_device().type == "meta"
            assert np.geterr()["over"] == "raise"
            assert torch.initial_seed() == 123


def switch_everything() -> None:
    torch.set_default_dtype(torch.bfloat16)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    torch.manual_seed(123)
    np.random.seed(123)  # noqa: NPY002
    random.seed(123)
    np.seterr(all="raise")
    torch.set_flush_denormal(True)
    torch.set_float32_matmul_precision("medium")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(2)


def rows(
    kind: str,
    case: Case,
    betas: tuple[float, ...],
    folder: Path,
    patch: pytest.MonkeyPatch,
    auditor: Any = audit,
) -> list[PointRecord]:
    """The audited rows of one cell, run in this process."""
    suite, choice = registry.load_suite("toy_coin"), registry.choose("toy")
    cell = make_plan([suite], [choice], betas=betas, budgets=["quick"]).cells[0]
    patch.setattr(worker, "case_of", lambda *_: case)
    patch.setattr(registry, "rebuild", lambda *_: Fit(kind))
    job = worker.Job(cell, folder / f"{kind}.jsonl")
    with under(ambient()):
        worker.solve(job, auditor, SIZES)
    spool = read_spool(job.spool)
    assert spool.end is not None
    assert spool.end.reason == ""
    return [spool.points[beta] for beta in betas]


def numbers(found: Sequence[PointRecord]) -> list[tuple[float | None, ...]]:
    assert {row.status for row in found} == {"ok"}, [row.reason for row in found]
    return [(row.gap, row.gap_lo, row.gap_hi, row.rate, row.distortion) for row in found]


@pytest.mark.usefixtures("plugged")
def test_a_halved_table_moves_no_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = letters()
    case = Case("letters", problem, FiniteHamming(problem.source), (0.2,))  # type: ignore[arg-type]
    betas = (1.0, 2.0)
    honest = numbers(rows("honest", case, betas, tmp_path, monkeypatch))
    # F(q) = -sum_x p(x) log((1 + 2 e^-beta) / 3), by hand.
    truth = [case.reference.point(beta).lagrangian.mid for beta in betas]
    for row, beta, best in zip(honest, betas, truth, strict=True):
        assert row[0] == pytest.approx(np.log(3.0) - np.log1p(2.0 * np.exp(-beta)) - best, abs=1e-9)
    for kind in ("halves the table", "writes into all it is handed", "writes into draws"):
        assert numbers(rows(kind, case, betas, tmp_path, monkeypatch)) == honest
    now, then = cast(Any, problem), cast(Any, letters())
    assert torch.equal(now.distortion.table, HAMMING)
    assert torch.equal(now.source.pmf, PMF)
    assert torch.equal(now.source.support, then.source.support)
    assert torch.equal(now.alphabet, then.alphabet)


def plane() -> Case:
    source = vector_gaussian(2)
    return Case("plane", Problem(source, SquaredError()), WaterFilling(source), (1.0,))


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize(
    ("honest", "kinds"),
    [
        ("honest", ("switches everything", "without gradients", "writes into arguments")),
        ("as a density", ("a density that writes into arguments",)),
    ],
)
def test_what_a_fit_switches_moves_no_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, honest: str, kinds: tuple[str, ...]
) -> None:
    right = numbers(rows(honest, plane(), (2.0,), tmp_path, monkeypatch))
    for kind in kinds:
        assert numbers(rows(kind, plane(), (2.0,), tmp_path, monkeypatch)) == right


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize("kind", ["switches everything", "without gradients"])
def test_the_audit_runs_in_the_state_that_the_worker_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    seen = []

    def auditor(*_: Any, **__: Any) -> Any:
        seen.append(ambient())
        raise ArithmeticError("seen")

    before = ambient()
    found = rows(kind, plane(), (2.0, 3.0), tmp_path, monkeypatch, auditor)
    assert [row.reason for row in found] == ["audit: ArithmeticError: seen"] * 2
    for state in seen:
        for name in set(before) - {"torch_random", "numpy_random", "python_random"}:
            assert state[name] == before[name], name
        assert torch.equal(state["torch_random"], before["torch_random"])


def test_a_guarded_channel_is_the_same_channel() -> None:
    for channel in (pushed(2.0, False), pushed(2.0, False, as_density=True)):
        stream = generator(1)
        kept = guarded(channel, stream)
        x = torch.randn(5, 2, generator=generator(), dtype=torch.float64)
        for one in (channel, kept):
            assert (one.beta, one.claim) == (channel.beta, channel.claim)
        assert torch.equal(
            kept.sample_conditional(x, 3, generator(5)),
            channel.sample_conditional(x, 3, generator(1)),
        )
    decode = guarded(pushed(2.0, False), generator(1)).marginal.decode  # type: ignore[union-attr]
    z = torch.ones(1, 2, dtype=torch.float64, requires_grad=True)
    decode(z).sum().backward()
    assert z.grad is not None


def test_a_channel_never_holds_the_audit_s_generator() -> None:
    """Its seed would give the symbols to whoever knows the source."""
    seen: list[int] = []

    def draw(n: int, g: Generator) -> Tensor:
        seen.append(g.initial_seed())
        return torch.zeros(n, 2, dtype=torch.float64)

    marginal = Density(draw, lambda y: y.sum(1))
    channel = TestChannel(
        1.0, marginal, Claim(0.0, 0.0, "estimate"), lambda x, k, g: draw(len(x) * k, g)
    )
    kept = guarded(channel, generator(11))
    kept.marginal.sample(3, generator(12))
    kept.sample_conditional(torch.zeros(1, 2), 1, generator(12))
    assert seen == [generator(11).initial_seed()] * 2


def test_the_fit_finds_its_own_state_again() -> None:
    before = ambient()
    with under(before):
        switch_everything()
        switched = ambient()
        with under(before):
            assert torch.get_default_dtype() is before["dtype"]
            assert torch.is_grad_enabled()
            assert np.geterr() == before["errors"]
            torch.rand(3)
        after = ambient()
        assert torch.equal(after["torch_random"], switched["torch_random"])
        for name in ("dtype", "errors", "grad", "flushes"):
            assert after[name] == switched[name], name
        assert not after["grad"]
    assert torch.get_default_dtype() is before["dtype"]
    assert torch.get_default_device() == before["device"]
    assert torch.get_num_threads() == before["threads"]
