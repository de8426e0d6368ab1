"""The default: pieces from a neutral start, trained on the dual from high rates to low ones.

At every slope the affine part is trained first, under squared error on F itself (no draws of z);
at the first one the slope is raised to beta step by step. Then all weights are trained by
importance weighting, and kept where held-out symbols say that this lowered F. Both numbers that
are compared are F or lie above it in expectation, so that few effective draws can make the
network lose, but never win. Where Z(x) has no closed form (absolute error) all weights are trained
on the plug-in, from draws that all symbols share.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import Parameter

from rdbench.estimators.nerd.channel import Finished, channel, lagrangians
from rdbench.estimators.nerd.generator import symmetric_root
from rdbench.estimators.nerd.pieces import Pieces, latent_proposals, log_weights
from rdbench.estimators.nerd.posterior import LatentPosterior
from rdbench.estimators.nerd.settings import Settings
from rdbench.estimators.nerd.training import pulled
from rdbench.fitting import NO_CLAIM, Progress, RunningMean, Task, iterate, stopped
from rdbench.inference.components import FEWEST_HELD_OUT
from rdbench.inference.reproduction import moments
from rdbench.types import Claim, Distortion, Start, TestChannel

_WARM_UP = 20  # steps over which the learning rate rises
_WARM = 0.4  # of the learning rate, from the second slope on
_OF_WEIGHTS = 0.2  # rate of the pieces' weights over the others': pieces that vanish stay away
_WORTH, _MANY = 5e-4, 3e-3  # nats that a network, and pieces over a Gaussian, have to gain
_CLIP = 20.0  # the largest norm of a gradient
_IN_TRAINING, _AFTERWARDS = 3, 8  # Gauss-Newton steps
_HELD_OUT_PAIRS, _CLAIM_PAIRS = 8, 16
_ROWS = 2000  # symbols times pairs at once
_PARTS = 3  # trainings of a slope, at most

Loss = Callable[[Pieces, Tensor, float], Tensor]
"""From a generator, symbols and beta to a number whose gradient is that of F."""


def fit_neutral(config: Settings, task: Task) -> Iterator[TestChannel]:
    """The channels of a ladder.

    Args:
        config: lengths and rates.
        task: the problem in standard coordinates, its slopes in falling order.
    """
    fit = _Fit(config, task)
    for rung in range(len(task.betas)):
        yield fit.one_slope(rung)


class _Fit:
    """A ladder as far as it has come."""

    def __init__(self, config: Settings, task: Task) -> None:
        self.config, self.task = config, task
        self.shared = config.objective == "plug_in" or task.distortion.name != "squared_error"
        overall = moments(task.warm)
        root = symmetric_root(overall.cov)
        sizes = (config.components,) if self.shared else sorted({1, config.components})
        self.nets = [
            Pieces(overall.mean, root, size, config.hidden, task.generator) for size in sizes
        ]
        self.starts = copy.deepcopy(self.nets)
        self.bent: Pieces | None = None
        """With its network, where that was kept at the slope before."""
        self.held_out = task.draws.held_out(config.held_out_draws)
        self.claimed_on = task.draws.claim(config.claim_draws)
        self.go_on, self.trained, self.parameters = Progress(task.monitor), False, 0

    def one_slope(self, rung: int) -> TestChannel:
        """Train, choose, claim."""
        config, task, beta = self.config, self.task, self.task.betas[rung]
        effort = task.monitor.effort
        long = max(1, round((config.iterations if rung else config.first_iterations) * effort))
        short = max(1, round(config.network_iterations * effort))
        loss = self._plug_in if self.shared else _exact
        for part, net in enumerate(self.nets):
            weights = net.used() if not self.shared else list(net.parameters())
            heat = config.annealing if rung == 0 else 1.0
            rate = config.learning_rate * (1.0 if rung == 0 else _WARM)
            self._train(net, weights, loss, beta, long, rate, heat, (rung, part))
        enough = len(self.held_out) >= FEWEST_HELD_OUT
        if len(self.nets) > 1:
            with torch.no_grad():
                one, many = (_potential(net, self.held_out, beta) for net in self.nets)
            best = int(enough and _gains(one - many, _MANY))
            self.nets, self.starts = [self.nets[best]], [self.starts[best]]
        found = self.nets[0]
        if not self.shared and self.go_on() and enough:
            bent = copy.deepcopy(self.bent or found)
            with torch.no_grad():
                before = _potential(found, self.held_out, beta)

            def worthwhile(mean: Pieces) -> bool:
                after, _ = self._estimate(mean, self.held_out, beta)
                return _gains(before[: len(after)] - after)

            each = list(bent.parameters())
            rate, where = config.network_rate, (rung, _PARTS - 1)
            self._train(bent, each, self._weighted, beta, short, rate, 1.0, where, worthwhile)
            self.bent = bent if worthwhile(bent) else None
            found = self.bent or found
        return self._answer(found, beta, rung)

    # ----------------------------------------------------------------------------------------
    # training

    def _train(
        self,
        net: Pieces,
        weights: list[Parameter],
        loss: Loss,
        beta: float,
        steps: int,
        rate: float,
        heat: float,
        where: tuple[int, int],
        worthwhile: Callable[[Pieces], bool] | None = None,
    ) -> None:
        """Adam, its rate falling as decay^t; ``net`` gets the running mean of the weights.

        beta rises from beta / ``heat`` over the first half of the steps. ``worthwhile`` is asked
        after a quarter of them; False ends the training.
        """
        rung, part = where
        self.go_on.done = (rung + part / _PARTS) / len(self.task.betas)
        if not self.go_on():
            return
        config, task = self.config, self.task
        others = [w for w in weights if w is not net.logits]
        groups = [{"params": others}, {"params": [net.logits]}]
        adam = torch.optim.Adam(groups, lr=rate, betas=(0.9, 0.99))
        average = RunningMean(net, config.averaging)

        def step(i: int) -> bool:
            done = i / steps
            if worthwhile and i == steps // 4 + 1 and not worthwhile(average.mean):
                return False
            now = rate * config.decay**done * min(1.0, (i + 1) / _WARM_UP)
            for group, slowed in zip(adam.param_groups, (1.0, _OF_WEIGHTS), strict=True):
                group["lr"] = now * slowed
            colder = beta * heat ** min(0.0, 2.0 * done - 1.0)
            adam.zero_grad()
            loss(net, task.draws.sample(config.batch), colder).backward()
            torch.nn.utils.clip_grad_norm_(weights, _CLIP)
            adam.step()
            average.update()
            self.trained = True
            return True

        def offer() -> list[TestChannel]:
            return [self._channel(average.mean, beta, NO_CLAIM)]

        place = (rung * _PARTS + part, len(task.betas) * _PARTS)
        self.go_on.stopped = not iterate(task.monitor, steps, step, offer, part=place)
        net.load_state_dict(average.mean.state_dict())

    def _weighted(self, net: Pieces, x: Tensor, beta: float) -> Tensor:
        """-mean_i log Z^(x_i) by importance weighting, on a quarter of the symbols."""
        x = x[: (len(x) + 3) // 4]
        pairs, generator = self.config.pairs, self.task.generator
        log_w, _ = log_weights(net, x, beta, pairs, generator, _IN_TRAINING)
        return -torch.logsumexp(log_w, 1).mean()

    def _plug_in(self, net: Pieces, x: Tensor, beta: float) -> Tensor:
        """A number whose gradient is that of the plug-in with as many draws of every piece."""
        return plug_in_loss(
            net, x, beta, self.task.distortion, self.config.draws, self.task.generator
        )

    # ----------------------------------------------------------------------------------------
    # what came of it

    @torch.no_grad()
    def _estimate(
        self, net: Pieces, x: Tensor, beta: float, pairs: int = _HELD_OUT_PAIRS
    ) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
        """-log Z^(x) and E[rho | x] by importance weighting; of some symbols only after a stop."""
        f, distortion = [], []
        for part in x.split(max(1, _ROWS // pairs)):
            log_w, rho = log_weights(net, part, beta, pairs, self.task.generator, _AFTERWARDS)
            f.append(-torch.logsumexp(log_w, 1))
            distortion.append((torch.softmax(log_w, 1) * rho).sum(1))
            if not self.go_on():
                break
        return torch.cat(f), torch.cat(distortion)

    def _answer(self, net: Pieces, beta: float, rung: int) -> TestChannel:
        """The channel with its claim and its start."""
        task, x = self.task, self.claimed_on
        self.go_on.done = (rung + 1) / len(task.betas)
        if self.shared:
            frozen = _finished(net, task.distortion, beta)
            f, distortion = lagrangians(frozen, x, "plug_in", task.generator, go_on=self.go_on)
        elif net.is_affine:
            # D is the derivative of F in beta: the best response to q does not count.
            slope = torch.tensor(beta, dtype=torch.float64, device=x.device, requires_grad=True)
            f = -torch.logsumexp(net.affine_log_z(x, slope), 1)
            distortion = torch.autograd.grad(f.mean(), slope)[0][None]
            f = f.detach()
        else:
            f, distortion = self._estimate(net, x, beta, _CLAIM_PAIRS)
        mean = float(distortion.mean())
        rate = max(float(f.mean()) - beta * mean, 0.0)  # rounding; this order keeps NaN
        self.parameters += sum(p.numel() for p in net.used())
        task.monitor.count(parameters=self.parameters)
        first = self.starts[0]
        name = "N(m, C)" if first.size == 1 else f"{first.size} random Gaussians"
        start = Start(self._channel(first, beta, NO_CLAIM).marginal, name)
        answer = self._channel(net, beta, Claim(rate, mean, task.draws.side))
        if not self.trained:
            answer = replace(answer, marginal=start.marginal)
        answer = replace(answer, start=start)
        return stopped(answer) if self.go_on.stopped else answer

    def _channel(self, net: Pieces, beta: float, claim: Claim) -> TestChannel:
        distortion = self.task.distortion
        pieces = "" if net.size == 1 else f", {net.size} pieces"
        kind = "affine generator" if net.is_affine else "generator network"
        answer = channel(_finished(net, distortion, beta), claim)
        if net.is_affine and not self.shared:
            law = net.affine_law()
            answer = replace(
                answer,
                marginal=law.as_marginal(),
                sample_conditional=lambda x, k, g: law.sample_conditional(x, k, beta, g),
            )
        return replace(answer, q_is=kind + pieces)


def plug_in_loss(
    net: Pieces,
    x: Float[Tensor, "n d"],
    beta: float,
    distortion: Distortion,
    draws: int,
    generator: Generator,
) -> Tensor:
    """A number with the gradient of -mean_i log sum_j w_c(j) / n_c(j) exp(-beta rho(x_i, y_j)).

    Args:
        net: the generator.
        x: symbols, (n, d).
        beta: the slope in nats per unit of distortion.
        distortion: rho.
        draws: latents that all symbols share, n_c of them in every piece.
        generator: the source of randomness.
    """
    each = max(1, draws // net.size)
    c = torch.arange(net.size, device=x.device).repeat_interleave(each)
    shape, dev = (len(c), x.shape[1]), generator.device
    y = net.decode(torch.randn(shape, generator=generator, device=dev, dtype=torch.float64), c)
    log_w = torch.log_softmax(net.logits, 0)[c] - math.log(each)
    with torch.no_grad():
        p = torch.softmax(log_w - beta * distortion.pairwise(x, y), 1)
        slope = beta / len(x) * pulled(distortion, x, y, p)
    return (y * slope).sum() - (p.mean(0) * log_w).sum()


def _exact(net: Pieces, x: Tensor, beta: float) -> Tensor:
    return _potential(net, x, beta).mean()


def _potential(net: Pieces, x: Tensor, beta: float) -> Float[Tensor, " n"]:
    """f of the affine part."""
    return -torch.logsumexp(net.affine_log_z(x, beta), 1)


def _gains(difference: Float[Tensor, " n"], worth: float = _WORTH) -> bool:
    """Whether a mean lies above its standard error, and is worth more weights."""
    error = float(difference.std()) / math.sqrt(len(difference))
    return float(difference.mean()) > max(error, worth)


def _finished(net: Pieces, distortion: Distortion, beta: float) -> Finished:
    """A frozen copy."""
    frozen = copy.deepcopy(net).requires_grad_(False)

    def posterior(x: Tensor) -> LatentPosterior:
        return latent_proposals(frozen, x, beta, _AFTERWARDS)

    squared = distortion.name == "squared_error"
    return Finished(frozen, frozen.prior(), distortion, beta, posterior if squared else None)
