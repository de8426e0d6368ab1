"""The generator of the default: a discrete and a continuous latent, from a neutral start.

    g(c, z) = centre + L (m_c + A_c z + net(z, c)),    c ~ w, z ~ N(0, I_d),

with L the symmetric root of the source's covariance. One smooth map of one Gaussian spreads mass
between modes; the piece c does not (discrete latents in a generator: Gurumurthy, Sarvadevabhatla,
Babu 2017). While the network is zero, q is a Gaussian mixture and F(q) needs no draws:

    Z(x) = sum_c w_c |K_c|^(-1/2) exp(-beta (x - mu_c)^T K_c^-1 (x - mu_c)),
    K_c = I + 2 beta L_c L_c^T,   L_c = L A_c,   mu_c = centre + L m_c.

As latents of a pushforward the pieces lie ``APART`` along one more axis: the latent law is then a
Gaussian mixture in d + 1 dimensions. With one piece it is N(0, I_d).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor
from torch.nn import Parameter

from rdbench.estimators.nerd.posterior import LatentPosterior, damped_newton
from rdbench.sources.mixture import GaussianMixture

APART = 30.0  # a normal draw lands nearer to the next one with a probability of 1e-50
_SPREAD, _WIDTH = 0.7, 0.4  # of the pieces at the start, in units of the source's spread
_WIDER = 1.1  # variance of the proposals over that of the linearised posterior
_ROUNDING = 2e-15
_EVEN = 0.05  # share of the proposals that is spread evenly over the pieces
_TOP = 4  # pieces of a symbol in which Gauss-Newton steps are taken for the audit


class Pieces(torch.nn.Module):
    """g, all in float64."""

    centre: Tensor
    root: Tensor

    def __init__(
        self,
        centre: Float[Tensor, " d"],
        root: Float[Tensor, "d d"],
        size: int,
        hidden: int,
        generator: Generator,
    ):
        """N(centre, L L^T) for one piece, else pieces of .4 L about .7 L N(0, I); net = 0."""
        super().__init__()
        dim = len(root)
        self.register_buffer("centre", centre)
        self.register_buffer("root", root)

        def normal(rows: int, columns: int, std: float) -> Parameter:
            shape, dev = (rows, columns), generator.device
            w = torch.randn(shape, generator=generator, device=dev, dtype=torch.float64)
            return Parameter(std * w)

        self.means = normal(size, dim, _SPREAD if size > 1 else 0.0)
        width = _WIDTH if size > 1 else 1.0
        self.maps = Parameter(width * torch.eye(dim).to(root).repeat(size, 1, 1))
        self.logits = Parameter(root.new_zeros(size))
        self.w1 = normal(dim, hidden, 1.5 / math.sqrt(dim))
        self.b1 = normal(size, hidden, 1.0)
        self.w2 = normal(hidden, hidden, 1.0 / math.sqrt(hidden))
        self.b2 = normal(size, hidden, 0.1)
        self.w3 = Parameter(root.new_zeros(hidden, dim))

    @property
    def size(self) -> int:
        """C, the number of pieces."""
        return len(self.logits)

    @property
    def is_affine(self) -> bool:
        """Whether the network is zero: q is a Gaussian mixture."""
        return not bool(self.w3.any())

    def used(self) -> list[Parameter]:
        """The weights that q depends on."""
        affine = [self.means, self.maps, self.logits]
        return affine if self.is_affine else list(self.parameters())

    def prior(self) -> GaussianMixture:
        """The law of the latents of a pushforward."""
        dim = self.root.shape[0] + (self.size > 1)
        means = self.root.new_zeros(self.size, dim)
        means[:, -1] = APART * torch.arange(self.size).to(means)
        eye = torch.eye(dim).to(means).repeat(self.size, 1, 1)
        return GaussianMixture(torch.softmax(self.logits.detach(), 0), means, eye)

    def forward(self, latent: Float[Tensor, "n l"]) -> Float[Tensor, "n d"]:
        """g of the latents of a pushforward."""
        if self.size == 1:
            return self.decode(latent, torch.zeros(len(latent)).to(latent.device, torch.int64))
        c = (latent[:, -1].detach() / APART).round().clamp(0, self.size - 1).long()
        return self.decode(latent[:, :-1], c)

    def decode(self, z: Float[Tensor, "n d"], c: Int[Tensor, " n"]) -> Float[Tensor, "n d"]:
        """g(c, z)."""
        h = torch.nn.functional.silu(z @ self.w1 + self.b1[c])
        h = torch.nn.functional.silu(h @ self.w2 + self.b2[c])
        y = self.means[c] + self._turned(z, c) + h @ self.w3
        return self.centre + y @ self.root

    def _turned(self, z: Tensor, c: Tensor) -> Tensor:
        """A_c z."""
        if self.size == 1:
            return z @ self.maps[0].T
        found: Tensor = (self.maps[c] @ z[..., None])[..., 0]
        return found

    @torch.no_grad()
    def value_and_jacobian(
        self, z: Float[Tensor, "n d"], c: Int[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d d"]]:
        """g(c, z) and its Jacobian in z, transposed: rows are latents, columns outputs."""
        a = z @ self.w1 + self.b1[c]
        slope1 = torch.sigmoid(a)
        h = a * slope1
        slope1 = slope1 + h * (1.0 - slope1)  # the derivative of SiLU
        a = h @ self.w2 + self.b2[c]
        slope2 = torch.sigmoid(a)
        h = a * slope2
        slope2 = slope2 + h * (1.0 - slope2)
        chain = ((self.w1 * slope1[:, None]) @ self.w2) * slope2[:, None]
        y = self.means[c] + self._turned(z, c) + h @ self.w3
        jacobian = self.maps[c].transpose(1, 2) + chain @ self.w3
        return self.centre + y @ self.root, jacobian @ self.root

    # ----------------------------------------------------------------------------------------
    # the affine part

    def affine_log_z(self, x: Float[Tensor, "n d"], beta: float | Tensor) -> Float[Tensor, "n C"]:
        """log of the terms of Z(x), of the affine part."""
        factor = torch.linalg.cholesky(_seen(self._columns(), beta))
        off = (x[:, None] - self._places()).permute(1, 2, 0)
        white = torch.linalg.solve_triangular(factor, off, upper=False)
        log_det = factor.diagonal(dim1=1, dim2=2).log().sum(1)
        off_centre = beta * white.square().sum(1).T
        found: Tensor = torch.log_softmax(self.logits, 0) - log_det - off_centre
        return found

    def affine_mean(self, x: Float[Tensor, "n d"], beta: float) -> Float[Tensor, "n C d"]:
        """The mean of z given x and the piece, by the affine part."""
        columns = self._columns()
        upper = torch.linalg.cholesky(_seen(columns.transpose(1, 2), beta), upper=True)
        off = (x[:, None] - self._places()).permute(1, 2, 0)
        right = 2.0 * beta * columns.transpose(1, 2) @ off
        found: Tensor = torch.cholesky_solve(right, upper, upper=True).permute(2, 0, 1)
        return found

    def affine_law(self) -> GaussianMixture:
        """q of the affine part; it may be singular."""
        columns = self._columns().detach()
        covs, places = columns @ columns.transpose(1, 2), self._places().detach()
        return GaussianMixture(torch.softmax(self.logits.detach(), 0), places, covs)

    def _columns(self) -> Float[Tensor, "C d d"]:
        return self.root @ self.maps

    def _places(self) -> Float[Tensor, "C d"]:
        return self.centre + self.means @ self.root


def _seen(columns: Float[Tensor, "*b d e"], beta: float | Tensor) -> Float[Tensor, "*b d d"]:
    """I + 2 beta L L^T and a trace of its scale: rounding must not make it singular."""
    inner = columns @ columns.transpose(-1, -2)
    scale = inner.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    eye = torch.eye(columns.shape[-2]).to(columns)
    found: Tensor = eye + 2.0 * beta * (inner + _ROUNDING * scale * eye)
    return found


def log_weights(
    net: Pieces,
    x: Float[Tensor, "n d"],
    beta: float,
    pairs: int,
    generator: Generator,
    steps: int,
) -> tuple[Float[Tensor, "n m"], Float[Tensor, "n m"]]:
    """log weights whose sum has the mean Z(x), with gradients, and rho.

    For every symbol pieces are drawn by their shares under the affine part. In each, a pair of
    latents mean +- delta is drawn about where -log p(z, x | c) is least, which damped Gauss-Newton
    steps find, and in every other one a latent of N(0, I), which bounds the weights. While g is
    affine the weights of the pairs hardly differ.

    Args:
        net: the generator.
        x: symbols, (n, d).
        beta: the slope in nats per unit of squared error.
        pairs: pieces per symbol, m = 2.5 times as many latents.
        generator: the source of randomness.
        steps: the most Gauss-Newton steps.
    """
    n, dim = x.shape
    broad = (pairs + 1) // 2
    with torch.no_grad():
        share = torch.softmax(net.affine_log_z(x, beta), 1)
        log_w = torch.log_softmax(net.logits, 0)
        share = (1.0 - _EVEN) * share + _EVEN * log_w.exp()
        c = torch.multinomial(share, pairs, replacement=True, generator=generator)
        rows = torch.arange(n, device=x.device)[:, None]
        kept = c[:, :1] if net.size == 1 else c
        mean, upper = _laplace(net, x, kept, net.affine_mean(x, beta)[rows, kept], beta, steps)[:2]
        upper = upper / math.sqrt(_WIDER)
        mean, upper = mean.expand(n, pairs, dim), upper.expand(n, pairs, dim, dim)
        shape, dev = (n, pairs + broad, dim), generator.device
        e = torch.randn(shape, generator=generator, device=dev, dtype=torch.float64)
        e, wide = e[:, :pairs], e[:, pairs:]
        delta = torch.linalg.solve_triangular(upper, e[..., None], upper=True)[..., 0]
        z = torch.cat([mean + delta, mean - delta, wide], 1)
        back = upper[:, :broad] @ (wide - mean[:, :broad])[..., None]
        white = torch.cat([e, e, back[..., 0]], 1)
        log_det = upper.diagonal(dim1=2, dim2=3).log().sum(2)
        log_det = torch.cat([log_det, log_det, log_det[:, :broad]], 1)
        c = torch.cat([c, c, c[:, :broad]], 1)
        normal = -0.5 * z.square().sum(2)
        near = log_det - 0.5 * white.square().sum(2)
        mixed = torch.logaddexp(math.log(2 * pairs) + near, math.log(broad) + normal)
        base = normal - mixed - share.log().gather(1, c)
    y = net.decode(z.reshape(-1, dim), c.reshape(-1)).reshape(z.shape)
    rho = (x[:, None] - y).square().sum(2)
    return base + torch.log_softmax(net.logits, 0)[c] - beta * rho, rho


@torch.no_grad()
def latent_proposals(
    net: Pieces, x: Float[Tensor, "n d"], beta: float, steps: int
) -> LatentPosterior:
    """e(z|x) on the latents of a pushforward: all pieces, the likeliest ones by Gauss-Newton steps.

    Args:
        net: the generator.
        x: symbols, (n, d).
        beta: the slope in nats per unit of squared error.
        steps: the most Gauss-Newton steps.
    """
    n, size = len(x), net.size
    every = torch.arange(size, device=x.device).expand(n, size)
    mean, upper, cost = _laplace(net, x, every, net.affine_mean(x, beta), beta, 0)
    log_w = torch.log_softmax(net.logits, 0)
    score = log_w - cost - upper.diagonal(dim1=2, dim2=3).log().sum(2)
    rows = torch.arange(n, device=x.device)[:, None]
    top = score.topk(min(size, _TOP), 1).indices
    found = _laplace(net, x, top, mean[rows, top], beta, steps)
    mean[rows, top], upper[rows, top], cost[rows, top] = found
    log_det = upper.diagonal(dim1=2, dim2=3).log().sum(2)
    share = torch.softmax(log_w - cost - log_det, 1)
    share = (1.0 - _EVEN) * share + _EVEN * log_w.exp()
    upper = upper / math.sqrt(_WIDER)
    if size > 1:
        place = APART * every[..., None].to(mean)
        mean = torch.cat([mean, place], 2)
        upper = torch.nn.functional.pad(upper, (0, 1, 0, 1))
        upper[..., -1, -1] = 1.0
    return LatentPosterior(share.log(), mean, upper)


def _laplace(
    net: Pieces,
    x: Float[Tensor, "n d"],
    c: Int[Tensor, "n k"],
    z: Float[Tensor, "n k d"],
    beta: float,
    steps: int,
) -> tuple[Float[Tensor, "n k d"], Float[Tensor, "n k d d"], Float[Tensor, "n k"]]:
    """Where steps from z lead in the pieces c, upper U with U^T U the curvature, and the value."""
    n, k, dim = z.shape
    eye, flat = torch.eye(dim).to(x), c.reshape(-1)
    z, _, jacobian, value = damped_newton(
        lambda z: net.value_and_jacobian(z, flat),
        z.reshape(-1, dim),
        x.repeat_interleave(k, 0),
        beta,
        steps,
        x.new_zeros(n * k, dim),
        eye.expand(n * k, dim, dim),
    )
    upper = torch.linalg.cholesky(_seen(jacobian, beta), upper=True)
    return z.reshape(n, k, dim), upper.reshape(n, k, dim, dim), value.reshape(n, k)
