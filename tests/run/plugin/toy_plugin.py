"""A plug-in for tests: a fair coin under Hamming distortion, and an estimator with many faults.

The truth in closed form: R(D) = ln 2 - h(D), D = 1 / (1 + e^beta), F* = ln 2 - ln(1 + e^-beta).
"""

from __future__ import annotations

import ctypes
import dataclasses
import math
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Generator, Tensor

from rdbench.distortions import Hamming
from rdbench.types import (
    Atoms,
    Case,
    Claim,
    EstimatorInfo,
    Monitor,
    OutOfRange,
    Problem,
    Refusal,
    Suite,
    TestChannel,
    TruthPoint,
    View,
)

HIGHEST_BETA = 20.0


@dataclass(frozen=True)
class Coin:
    name: str = "coin"
    dim: int = 1

    @property
    def support(self) -> Tensor:
        return torch.tensor([[0.0], [1.0]], dtype=torch.float64)

    @property
    def pmf(self) -> Tensor:
        return torch.tensor([0.5, 0.5], dtype=torch.float64)

    def sample(self, n: int, generator: Generator) -> Tensor:
        return torch.randint(
            2, (n, 1), generator=generator, device=generator.device, dtype=torch.float64
        )


@dataclass(frozen=True)
class CoinTruth:
    kind: ClassVar[str] = "closed form"
    citation: str = "Cover and Thomas, section 10.3.1"
    validity: str = f"beta <= {HIGHEST_BETA}"

    def point(self, beta: float) -> TruthPoint:
        if beta > HIGHEST_BETA:
            raise OutOfRange(f"beta {beta:g} is above {HIGHEST_BETA:g}")
        return TruthPoint.exact(beta, *optimum(beta))

    def rate(self, distortion: float) -> Any:
        from rdbench.types import Bracket

        if not 0.0 < distortion < 0.5:
            raise OutOfRange(f"distortion {distortion:g}")
        return Bracket.exact(math.log(2.0) - entropy(distortion))

    def slope(self, rate: float) -> float:
        if not 0.0 < rate < math.log(2.0):
            raise OutOfRange(f"a coin has at most {math.log(2.0):.3g} nats")
        lo, hi = 0.0, HIGHEST_BETA
        for _ in range(100):
            mid = 0.5 * (lo + hi)
            lo, hi = (mid, hi) if self.point(mid).rate.mid < rate else (lo, mid)
        return 0.5 * (lo + hi)


def optimum(beta: float) -> tuple[float, float]:
    """R* and D*."""
    d = 1.0 / (1.0 + math.exp(beta))
    return math.log(2.0) - entropy(d), d


def entropy(d: float) -> float:
    return -d * math.log(d) - (1.0 - d) * math.log1p(-d)


def build(_: int | None) -> tuple[Case, ...]:
    return (Case("fair", Problem(Coin(), Hamming()), CoinTruth(), (0.1, 0.2, 0.3, 0.4)),)


SUITE = Suite("toy_coin", 1, "a fair coin", build)

Mode = Literal[
    "good", "raise", "segfault", "sleep", "hang", "nan", "die_after_three", "raise_after_three",
    "exit_zero", "hog", "garbage", "foreign_beta", "twice", "silent", "refuse", "unconverged",
    "slow", "polite", "poison", "mute", "poison_refusal", "stopped", "deaf", "own_alarm", "heir",
    "breeder", "stopped_in_audit", "own_output", "device_hog",
]  # fmt: skip


@dataclass(frozen=True)
class Toy:
    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="two atoms",
        citation="none",
        presets={"paper": {"draws": 10}},
        preset_notes={"paper": "ten draws"},
    )

    mode: Mode = "good"
    draws: int = 100
    pause: float = 0.5
    centred: bool = False
    seed_shift: int | None = None

    def fit(
        self,
        view: View,
        betas: Sequence[float],
        generator: Generator,
        monitor: Monitor,
    ) -> Iterator[TestChannel | Refusal]:
        points = torch.unique(view.sample(self.draws), dim=0)
        before(self.mode)
        for i, beta in enumerate(betas):
            if self.mode == "slow":
                time.sleep(self.pause)
            if self.mode == "polite":
                while monitor.advance(i / len(betas)):
                    time.sleep(0.01)
            yield from answers(self.mode, beta, points, i)
            monitor.count(gradient_steps=2, parameters=7)
            if i == 2:
                after_three(self.mode)


POISON = "\ud800 \x1b[2J" + "x" * 3_000_000
"""No UTF-8, an order to the terminal, and very long."""


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def before(mode: Mode) -> None:
    """The faults that strike before anything is yielded."""
    if mode == "raise":
        raise RuntimeError("a planted\nfault")
    if mode == "poison":
        raise RuntimeError(POISON)
    if mode == "mute":
        raise Mute
    if mode == "segfault":
        ctypes.string_at(0)
    if mode == "sleep":
        time.sleep(600)
    if mode == "hang":
        ctypes.PyDLL(None).sleep(600)  # holds the interpreter lock
    if mode == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    if mode == "deaf":
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.valid_signals()))
        time.sleep(600)
    if mode == "own_alarm":
        signal.alarm(1)
        signal.signal(signal.SIGALRM, lambda *_: signal.alarm(1))
        while True:
            time.sleep(600)
    if mode == "heir":  # it dies, and its child holds on to all that it had
        if os.fork():
            os._exit(3)
        time.sleep(600)
    if mode == "breeder":
        breed()
    if mode == "own_output":
        print("\x1b[2J" + "y" * 20_000)
        print("its last words", flush=True)
        raise RuntimeError("see above")
    if mode == "device_hog":  # as torch says it of a device
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 16.00 TiB.")
    if mode == "exit_zero":
        os._exit(0)
    if mode == "hog":
        held = []
        while True:
            held.append(torch.empty(1 << 30, dtype=torch.uint8))


def breed() -> None:
    """Start processes in every way, and leave them: in the group, out of it, without a parent."""
    subprocess.Popen(["sleep", "600"])
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).start()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            subprocess.Popen(["sleep", "600"], start_new_session=True)
            time.sleep(600)
        os._exit(0)
    time.sleep(0.2)


def after_three(mode: Mode) -> None:
    if mode == "die_after_three":
        ctypes.string_at(0)
    if mode == "raise_after_three":
        raise ValueError("had enough")


def answers(mode: Mode, beta: float, points: Tensor, i: int) -> Iterator[Any]:
    channel = two_atoms(beta, points, math.nan if mode == "nan" else 1.0)
    if mode == "stopped_in_audit":
        channel = dataclasses.replace(channel, sample_conditional=stop)
    if mode == "garbage" and i == 1:
        yield {"beta": beta}
    elif mode == "foreign_beta" and i == 1:
        yield two_atoms(beta + 0.5, points, 1.0)
    elif mode == "refuse":
        yield Refusal(beta, "unsupported", "no coins")
    elif mode == "poison_refusal":
        yield Refusal(beta, "unsupported", POISON)
    elif mode == "unconverged" and i == 0:
        yield Refusal(beta, "not_converged", "too shy")
    elif mode == "silent" and i == 3:
        return
    else:
        yield channel
        if mode == "twice" and i == 1:
            yield channel


def stop(*_: Any) -> Any:
    os.kill(os.getpid(), signal.SIGSTOP)


def two_atoms(beta: float, points: Tensor, scale: float) -> TestChannel:
    m = len(points)
    rate, distortion = optimum(beta)
    marginal = Atoms(points * scale, torch.full((m,), -math.log(m), dtype=torch.float64))

    def draw(x: Tensor, k: int, generator: Generator) -> Tensor:
        logits = -beta * Hamming().pairwise(x, points)
        picked = torch.multinomial(logits.softmax(1), k, replacement=True, generator=generator)
        return points[picked]

    return TestChannel(
        beta,
        marginal,
        Claim(rate * scale, distortion * scale, "exact"),
        draw,
    )
