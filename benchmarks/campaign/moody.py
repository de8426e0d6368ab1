"""An estimator for coins that is cheap, and misbehaves on demand: what a campaign is made of.

Given as ``benchmarks/campaign/moody.py:Moody[mode=deaf]``. The number of a variant tells cells
apart that are alike otherwise.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor

from rdbench.types import Atoms, Claim, EstimatorInfo, Monitor, TestChannel, View

Mode = Literal[
    "good", "hangs", "deaf", "stopped", "breeds", "chatters", "poison", "dies", "allocates"
]
STATUS: dict[str, str] = {
    "good": "ok",
    "hangs": "timeout",
    "deaf": "timeout",
    "stopped": "timeout",
    "breeds": "ok",
    "chatters": "error",
    "poison": "error",
    "dies": "crashed",
    "allocates": "out_of_memory",
}
"""What a cell of every mode ends as, where nobody interferes."""


@dataclass(frozen=True)
class Moody:
    """Letters with the probabilities that a sample has, after a fault of its mode."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(summary="for campaigns", citation="none")

    mode: Mode = "good"
    variant: int = 0
    draws: int = 200

    def fit(
        self,
        view: View,
        betas: Sequence[float],
        generator: Generator,  # noqa: ARG002
        monitor: Monitor,
    ) -> Iterator[TestChannel]:
        """One channel at every slope."""
        letters, counts = torch.unique(view.sample(self.draws), dim=0, return_counts=True)
        weights = (counts / counts.sum()).to(torch.float64).log()
        _misbehave(self.mode)
        for beta in betas:
            monitor.count(gradient_steps=1)
            yield _channel(beta, letters, weights)


def _misbehave(mode: Mode) -> None:
    match mode:
        case "hangs":
            time.sleep(3600)
        case "deaf":  # to all that may be ignored
            signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.valid_signals()))
            time.sleep(3600)
        case "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "breeds":  # children in every way, left behind
            subprocess.Popen(["sleep", "3600"])
            subprocess.Popen(["sleep", "3600"], start_new_session=True)
            multiprocessing.get_context("fork").Process(target=time.sleep, args=(3600,)).start()
            time.sleep(0.05)
        case "chatters":
            for _ in range(20_000):
                print("\x1b[31m" + "word " * 20)
            raise RuntimeError("it has talked enough")
        case "poison":  # no UTF-8, an order to the terminal, and long
            raise RuntimeError("\ud800 \x1b[2J" + "x" * 1_000_000)
        case "dies":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "allocates":
            held = []
            while True:
                held.append(torch.empty(1 << 40, dtype=torch.uint8))


def _channel(beta: float, letters: Tensor, weights: Tensor) -> TestChannel:
    def joint(x: Tensor) -> Tensor:
        return weights - beta * (x[:, None, :] != letters[None]).any(-1).to(torch.float64)

    def draw(x: Tensor, k: int, generator: Generator) -> Tensor:
        picked = torch.multinomial(joint(x).softmax(1), k, replacement=True, generator=generator)
        return letters[picked]

    log_z = torch.logsumexp(joint(letters), 1)
    far = (joint(letters) - log_z[:, None]).exp() * (letters[:, None] != letters[None]).any(-1)
    distortion = float((weights.exp() * far.sum(1)).sum())
    lagrangian = -float((weights.exp() * log_z).sum())
    claim = Claim(max(lagrangian - beta * distortion, 0.0), distortion, "upper")
    assert math.isfinite(lagrangian)
    return TestChannel(beta, Atoms(letters, weights), claim, draw)
