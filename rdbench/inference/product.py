"""Product laws: orthogonal coordinates of a sample, exact sums and exact draws.

In an orthonormal basis squared error is a sum over coordinates, or over orthogonal subspaces, so
that of independent parts of Y the partition function is a product,

    Z(x) = prod_k Z_k(u_k),  Z_k(u) = sum_j w_kj K(u, a_kj),  u_k = A_k^T (x - centre),

and sums over m^d atoms are d sums over m. On an axis K(u, a) = exp(-beta (u - a)^2), and averaged
over N(a, s^2), with g = 1 + 2 beta s^2, it is g^(-1/2) exp(-beta (u - a)^2 / g). Averaged over a
sphere of radius r in k >= 2 dimensions, with kappa = 2 beta |u| r,

    K(u, r) = exp(-beta (|u|^2 + r^2)) 0F1(; k/2; kappa^2 / 4).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.interpolate import CubicSpline
from torch import Generator, Tensor

from rdbench.sources.bessel import log_sphere_mean, mean_cosine
from rdbench.sources.directional import sample_von_mises_fisher
from rdbench.types import Factor, Product

_NORMALISED, _ORTHONORMAL = 1e-6, 1e-11
_CHUNK = 1 << 21  # entries of a matrix of logits held at once
_KNOTS = 8_192
_ROWS = 1 << 16
_FIRST = 20_000  # rows on which FastICA begins
_GAUSSIAN = 4.0  # standard errors of the fourth moment
_POLISH = 20  # its iterations on all rows
_RANK = 1e-10  # of the largest variance: less is no direction


# --------------------------------------------------------------------------------------------
# coordinates


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Orthogonal coordinates u = basis^T (x - centre); the columns of ``basis`` are orthonormal."""

    centre: Float[Tensor, " d"]
    basis: Float[Tensor, "d d"]
    kind: Literal["principal axes", "independent axes"] = "principal axes"

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """The coordinates of points."""
        return (x - self.centre) @ self.basis

    def product(self, points: Float[Tensor, "d m"], log_weights: Float[Tensor, "d m"]) -> Product:
        """q with independent coordinates: atoms ``points[k]`` along the k-th axis."""
        rows = zip(self.basis.T, points, log_weights, strict=True)
        return Product(self.centre, tuple(Factor(b[:, None], a, w) for b, a, w in rows))


def principal(x: Float[Tensor, "n d"]) -> tuple[Coordinates, Float[Tensor, " d"]]:
    """Principal axes about the mean and their variances, the largest first."""
    centre = x.mean(0)
    second = torch.zeros(x.shape[1], x.shape[1], dtype=x.dtype, device=x.device)
    for part in x.split(_ROWS):  # no copy of all of them
        centred = part - centre
        second += centred.T @ centred
    variances, axes = torch.linalg.eigh(second / len(x))
    return Coordinates(centre, axes.flip(1)), variances.flip(0).clamp(min=0.0)


def independent(
    x: Float[Tensor, "n d"],
    generator: Generator,
    *,
    iterations: int = 100,
    tolerance: float = 1e-6,
) -> Coordinates:
    """Axes along which the coordinates are as independent as an orthogonal basis allows.

    Symmetric FastICA with the contrast log cosh (Hyvarinen, IEEE Trans. Neural Networks 10(3),
    1999) on whitened draws, at first on some of them. Its mixing matrix has orthogonal columns
    where the source has independent coordinates in some orthogonal basis; a weighted polar
    decomposition takes the nearest basis in any case, also where the iteration has not settled.
    Directions without variance are left as they are. Where the fourth moment of the whitened draws
    is that of a Gaussian within its error (Mardia 1970) there is nothing to find: principal axes.

    Args:
        x: draws, (n, d).
        generator: of the starting rotation.
        iterations: the most on the first rows.
        tolerance: in 1 - |cos| between the axes of one iteration and the next, the largest.
    """
    coordinates, variances = principal(x)
    rank = int((variances > _RANK * variances[0]).sum())
    if rank < 2:
        return coordinates
    deviations = variances[:rank].sqrt()
    white = coordinates.forward(x[:_FIRST])[:, :rank] / deviations
    squares = white.square().sum(1)
    fourth = float(squares.square().mean() / squares.mean().square())
    error = math.sqrt(8.0 * (rank + 2) / (rank**3 * len(white)))
    if abs(fourth - (rank + 2) / rank) < _GAUSSIAN * error:
        return coordinates
    size = (rank, rank)
    start = torch.randn(size, generator=generator, device=generator.device, dtype=torch.float64)
    rotation = torch.linalg.qr(start).Q
    for most in (iterations, _POLISH):
        settled = False
        for _ in range(most):
            s = torch.tanh(white @ rotation.T)
            slope = 1.0 - s.square().mean(0)
            u, _, v = torch.linalg.svd(s.T @ white / len(white) - slope[:, None] * rotation)
            moved = 1.0 - ((u @ v) * rotation).sum(1).abs()
            rotation = u @ v
            settled = float(moved.max()) < tolerance
            if settled:
                break
        if not settled or len(x) <= _FIRST:
            break
        white = coordinates.forward(x)[:, :rank] / deviations
    mixing = coordinates.basis[:, :rank] @ (deviations[:, None] * rotation.T)
    # A wide direction is known better than a narrow one beside it: weights are variances.
    u, _, v = torch.linalg.svd(mixing * mixing.norm(dim=0), full_matrices=False)
    basis = torch.cat([u @ v, coordinates.basis[:, rank:]], 1)
    return Coordinates(coordinates.centre, basis, "independent axes")


# --------------------------------------------------------------------------------------------
# exact sums and draws


def fault_of_product(q: Product, dim: int) -> str:
    """Why q is no law in closed form on R^dim, in words; empty where it is one."""
    axes = torch.cat([f.axes for f in q.factors], 1) if q.factors else q.centre.new_zeros(0, 0)
    if q.centre.shape != (dim,) or axes.shape != (dim, dim):
        return f"the axes of the product are {tuple(axes.shape)}, not {dim} of R^{dim}"
    numbers = [q.centre, axes, *(f.points for f in q.factors)]
    if not all(t.dtype == torch.float64 and bool(t.isfinite().all()) for t in numbers):
        return "centre, axes and points of the product have to be finite and float64"
    off = float((axes.T @ axes - torch.eye(dim).to(axes)).abs().max())
    if off > _ORTHONORMAL:
        return f"the axes of the product are not orthonormal: A^T A - I has an entry of {off:.2g}"
    totals = [float(torch.logsumexp(f.log_weights.double(), 0)) for f in q.factors]
    if not sum(map(abs, totals)) <= _NORMALISED:
        worst = max(totals, key=lambda t: -math.inf if t == 0.0 else abs(t))
        return f"the weights of a factor sum to exp({worst:.6g}), not to one"
    if any(f.axes.shape[1] > 1 and bool((f.points < 0.0).any()) for f in q.factors):
        return "a sphere of the product has a negative radius"
    for factor in q.factors:
        spread = factor.variances
        if spread is None:
            continue
        if factor.axes.shape[1] > 1 or spread.shape != factor.points.shape:
            return "variances of a factor belong to the points of one axis, one each"
        if not (
            spread.dtype == torch.float64 and bool(((spread >= 0.0) & spread.isfinite()).all())
        ):
            return "the variances of a factor have to be finite, float64 and not negative"
    return ""


def exact_sums(
    q: Product, x: Float[Tensor, "n d"], beta: float
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """log Z(x) = log E_q exp(-beta |x - Y|^2) in nats, and E[|x - Y|^2 | x] under p(y|x).

    Args:
        q: the product.
        x: symbols, (n, d) in float64.
        beta: the slope, nats per unit of squared error.
    """
    log_z = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    distortion = torch.zeros_like(log_z)
    centred = x.double() - q.centre.to(x.device)
    for factor in q.factors:
        u = centred @ factor.axes.to(x.device)
        rows = max(1, _CHUNK // len(factor.points))
        for at in range(0, len(x), rows):
            logits, rho = _terms(factor, u[at : at + rows], beta)
            top = logits.max(1, keepdim=True).values
            shares = torch.exp(logits - top)
            total = shares.sum(1)
            log_z[at : at + rows] += top[:, 0] + total.log()
            distortion[at : at + rows] += (shares * rho).sum(1) / total
    return log_z, distortion


def exact_point(q: Product, x: Float[Tensor, "n d"], beta: float) -> tuple[float, float]:
    """(R, D) of q over the symbols x, in nats; R + beta D = -mean log Z(x)."""
    log_z, distortion = exact_sums(q, x, beta)
    d = float(distortion.mean())
    return max(-float(log_z.mean()) - beta * d, 0.0), d


def conditional(q: Product, beta: float) -> Callable[[Tensor, int, Generator], Tensor]:
    """Exact draws of p(y|x) ~ q(y) exp(-beta |x - y|^2), factor by factor.

    A point of every factor by its share of Z_k; about it N(a + (1 - 1/g) (u - a), s^2 / g) where
    the factor has variances; on its sphere a direction from the von Mises-Fisher law about that of
    x, with kappa = 2 beta |u| r.
    """

    def sample(x: Float[Tensor, "n d"], k: int, generator: Generator) -> Float[Tensor, "n k d"]:
        centred = x.double() - q.centre
        out = q.centre.expand(len(x), k, -1).clone()
        for factor in q.factors:
            u = centred @ factor.axes
            picked = []
            for part in u.split(max(1, _CHUNK // len(factor.points))):
                chances = torch.softmax(_terms(factor, part, beta)[0], 1)
                picked.append(torch.multinomial(chances, k, replacement=True, generator=generator))
            labels = torch.cat(picked)
            at = factor.points[labels]
            if factor.variances is not None:
                spread = factor.variances[labels]
                g = 1.0 + 2.0 * beta * spread
                e = torch.randn(at.shape, generator=generator, device=u.device, dtype=u.dtype)
                v = (u - (u - at) / g + (spread / g).sqrt() * e)[..., None]
            elif u.shape[1] == 1:
                v = at[..., None]
            else:
                s = u.norm(dim=1, keepdim=True)
                first = torch.eye(1, u.shape[1], dtype=u.dtype, device=u.device)
                towards = torch.where(s > 0.0, u / s, first).repeat_interleave(k, 0)
                kappa = (2.0 * beta * s * at).reshape(-1)
                turned = sample_von_mises_fisher(towards, kappa, generator)
                v = at[..., None] * turned.reshape(*at.shape, -1)
            out += v @ factor.axes.T
        return out

    return sample


def _terms(
    factor: Factor, u: Float[Tensor, "n k"], beta: float
) -> tuple[Float[Tensor, "n m"], Float[Tensor, "n m"]]:
    """log w_j + log K(u, a_j), and the mean of |u - V|^2 under p(v|u) at or about a_j."""
    a, log_w = factor.points.to(u.device), factor.log_weights.to(u.device).double()
    dim = u.shape[1]
    if dim == 1:
        rho = (u - a).square()
        if factor.variances is None:
            return log_w - beta * rho, rho
        spread = factor.variances.to(u.device)
        g = 1.0 + 2.0 * beta * spread
        return log_w - 0.5 * g.log() - beta * rho / g, spread / g + rho / g.square()
    s = u.norm(dim=1, keepdim=True)
    rho = (s - a).square()
    log_mean, cosine = sphere_means(dim, (2.0 * beta * s * a).cpu().numpy())
    turn = 1.0 - torch.from_numpy(cosine).to(u)
    return log_w - beta * rho + torch.from_numpy(log_mean).to(u), rho + 2.0 * s * a * turn


def sphere_means(
    dim: int, kappa: Float[ndarray, "*b"]
) -> tuple[Float[ndarray, "*b"], Float[ndarray, "*b"]]:
    """log E exp(kappa (<e, u> - 1)) over the sphere, and the mean of <e, u> under these weights.

    Of many numbers by cubic splines in asinh kappa through 8,193 of them, within about 1e-10.
    """
    if kappa.size <= 4 * _KNOTS:
        return log_sphere_mean(dim, kappa), mean_cosine(dim, kappa)
    t = np.linspace(0.0, np.arcsinh(kappa.max()) + 1e-9, _KNOTS + 1)
    knots = np.sinh(t)
    values = np.stack([log_sphere_mean(dim, knots), mean_cosine(dim, knots)], 1)
    found = CubicSpline(t, values)(np.arcsinh(kappa))
    return found[..., 0], found[..., 1]
