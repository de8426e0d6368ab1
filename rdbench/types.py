"""The vocabulary of the package: what a problem, a reference, an estimator and its result are.

Shapes use jaxtyping: ``n`` counts
draws, ``d`` is the dimension of the source, ``m`` counts atoms. Unless a docstring says
otherwise, rates are in nats per source symbol, distortion is summed over dimensions, and beta is
the slope -dR/dD >= 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from rdbench.arrays import array, converts, settle
from rdbench.bracket import Bracket as Bracket
from rdbench.outcomes import RdbenchError as RdbenchError
from rdbench.outcomes import Status as Status

Side = Literal["exact", "upper", "lower", "estimate"]
ConditionalKind = Literal["boltzmann", "encoder"]
Grant = Literal["density", "support"]
Evidence = Literal["closed form", "certified", "searched", "sampled"]
"""How a bound is known: the supremum (or F) by a formula; by exact sums and a rigorous maximum; by
exact sums and a search that may have missed a maximum; by draws, with an interval."""


class OutOfRange(ValueError):
    """A reference was asked about a slope or a distortion that it does not cover."""


# --------------------------------------------------------------------------------------------
# the problem


@runtime_checkable
class Source(Protocol):
    """A memoryless source X on R^d."""

    @property
    def name(self) -> str:
        """A short name with the parameters in it."""

    @property
    def dim(self) -> int:
        """The dimension d of one symbol."""

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n independent symbols in float64 on the generator's device."""


@runtime_checkable
class HasDensity(Protocol):
    """A source with a density with respect to Lebesgue measure."""

    def log_prob(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Log density in nats."""


@dataclass(frozen=True)
class LineTail:
    """How a density on the line falls outwards: what bounds the mass far out.

    On x <= beyond[0] and on x >= beyond[1] the density must not rise outwards, and there

    - ``log_concave``: log p is concave (Gaussian, exponential and lighter tails);
    - ``power``: |x - about|^power p(x) does not rise outwards (power laws; a little less than the
      exponent of the density, for a Student t with df degrees of freedom than df + 1). Squared
      error needs a finite variance, power > 3.
    """

    beyond: tuple[float, float]
    kind: Literal["log_concave", "power"] = "log_concave"
    power: float = math.inf
    about: float = 0.0


@runtime_checkable
class HasLineDensity(Protocol):
    """A source on the line that says of its density what certified truth takes.

    Beside ``name``, ``dim = 1`` and ``sample``. What is said is checked as far as numbers can:
    the density must integrate to one and agree with the sampler.
    """

    def log_prob(self, x: Float[Tensor, "n 1"]) -> Float[Tensor, " n"]:
        """Log density in nats, -inf where it is zero."""

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the support, infinite or not; the density may jump there."""

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """Where, inside the interval, the density jumps or is not smooth."""

    @property
    def tail(self) -> LineTail | None:
        """How it falls towards an infinite end; None where both ends are finite."""


@runtime_checkable
class HasSupport(Protocol):
    """A source on finitely many points; the audit of it is an exact sum."""

    @property
    def support(self) -> Float[Tensor, "m d"]:
        """The points."""

    @property
    def pmf(self) -> Float[Tensor, " m"]:
        """Their probabilities; they sum to one."""


@runtime_checkable
class HasHeldOut(Protocol):
    """A source known by rows alone: a fixed training set, and rows that only an audit sees."""

    @property
    def training(self) -> Float[Tensor, "n d"]:
        """The rows that estimators see; they are shown nothing else."""

    @property
    def held_out(self) -> Float[Tensor, "m d"]:
        """The rows that every audit is on, in an order that has nothing to do with the values."""

    @property
    def groups(self) -> Int[Tensor, " m"] | None:
        """For each of ``held_out`` the number of its group: rows of different groups alone are
        independent. None where all rows are.
        """


@runtime_checkable
class HasTail(Protocol):
    """A source that says how heavy its tail is: the audit trusts a standard error by it."""

    @property
    def tail_index(self) -> float:
        """Moments of ||X|| below this order are finite; infinite for exponential tails, NaN for
        what is not known.
        """


@runtime_checkable
class HasRadius(Protocol):
    """An elliptical source: X = c + A S U, U uniform on the unit sphere, S >= 0 independent of it.

    The audit draws S in strata, the tail included.
    """

    def log_radius(self, s: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Log density of S at s > 0, in nats."""

    def from_radius(
        self, s: Float[Tensor, " n"], direction: Float[Tensor, "n d"]
    ) -> Float[Tensor, "n d"]:
        """c + A s u for unit vectors u."""


@runtime_checkable
class HasComponents(Protocol):
    """A mixture that knows its components: the audit draws of the rare ones, too."""

    @property
    def weights(self) -> Float[Tensor, " k"]:
        """Probabilities of the components; they sum to one."""

    def log_joint(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """log of weight times density, for every component."""

    def sample_components(
        self, labels: Int[Tensor, " n"], generator: Generator
    ) -> Float[Tensor, "n d"]:
        """One draw of the component that each label names."""


@runtime_checkable
class Distortion(Protocol):
    """A distortion measure rho(x, y), summed over dimensions.

    A constant added to all rho(x, .) of one x changes nothing but D, so that negative values are
    as good as others; +inf forbids y to x.
    """

    name: ClassVar[str]

    def pairwise(self, x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
        """rho(x_i, y_j); never through an expanded square that cancels."""

    def value_and_grad(
        self, x: Float[Tensor, "*b d"], y: Float[Tensor, "*b d"]
    ) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b d"]]:
        """rho(x, y) and its gradient (or a subgradient) in y, row by row."""

    def noise(self, beta: float, n: int, dim: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draws of the noise with density proportional to exp(-beta rho(0, z)).

        Args:
            beta: the slope > 0.
            n: how many.
            dim: d.
            generator: of all draws.

        Raises:
            NotImplementedError: this distortion has no such noise on R^d.
        """

    def log_noise_mass(self, beta: float, dim: int) -> float:
        """log of the integral of exp(-beta rho(0, z)) dz over R^d."""


@runtime_checkable
class HasLetters(Protocol):
    """A distortion that is defined between given letters alone, such as a table."""

    @property
    def letters(self) -> Float[Tensor, "m d"]:
        """The reproduction letters."""

    def check_letters(
        self, x: Float[Tensor, "n k"] | None, y: Float[Tensor, "m d"], dim: int
    ) -> None:
        """Refuse a source or an alphabet that the letters do not fit.

        Raises:
            RdbenchError: a point that is not a letter, or another number of source letters.
        """


def given_letters(distortion: Distortion) -> Float[Tensor, "m d"] | None:
    """The reproduction letters that a distortion brings itself, if it does."""
    return distortion.letters if isinstance(distortion, HasLetters) else None


@converts
@dataclass(frozen=True)
class Problem:
    """A source and a distortion; ``alphabet`` limits the reproduction to given points.

    The alphabet may be a list or an array. Left out, it is that of the distortion where it has
    one: all columns of a table.

    Raises:
        RdbenchError: an alphabet that is not an array of finite points of the source's dimension,
            or that a table does not fit.
    """

    source: Source
    distortion: Distortion
    alphabet: Float[Tensor, "m d"] | None = None

    def __post_init__(self) -> None:
        dim = self.source.dim
        alphabet = given_letters(self.distortion)
        if self.alphabet is not None:
            alphabet = array(self.alphabet, "the alphabet", 2)
            if alphabet.shape[1] != dim:
                raise RdbenchError(
                    f"the alphabet must be points (m, {dim}), as the source's are; "
                    f"got the shape {tuple(alphabet.shape)}"
                )
        settle(self, alphabet=alphabet)
        if isinstance(self.distortion, HasLetters) and alphabet is not None:
            support = self.source.support if isinstance(self.source, HasSupport) else None
            self.distortion.check_letters(support, alphabet, dim)


@dataclass(frozen=True)
class View:
    """All that an estimator is shown of a problem.

    It holds sealed callables, not the source, so that nothing in it tells the parameters, the
    name or the target rate. ``log_prob``, ``support`` and ``pmf`` are there only for an estimator
    whose ``info.needs`` asks for them and a source that has them.
    """

    dim: int
    distortion: Distortion
    device: torch.device
    sample: Callable[[int], Tensor]
    """``sample(n)``: fresh training draws (n, d) in float64, a stream that depends on the suite,
    the case and the seed alone. Where there are ``training`` points it draws from them, with
    replacement."""
    log_prob: Callable[[Tensor], Tensor] | None = None
    support: Tensor | None = None
    pmf: Tensor | None = None
    alphabet: Tensor | None = None
    training: Float[Tensor, "n d"] | None = None
    """A fixed training set: independent draws of the source, all that there are. A fit splits them
    by `rdbench.fitting.split`, so that it does not choose and claim on what it was fitted to."""

    @property
    def n_train(self) -> int | None:
        """The number of fixed training points; None where draws are fresh."""
        return None if self.training is None else len(self.training)


# --------------------------------------------------------------------------------------------
# the truth


@dataclass(frozen=True)
class TruthPoint:
    """The optimum at slope beta: F*(beta) = R* + beta D*, each as a bracket, in nats."""

    beta: float
    lagrangian: Bracket
    rate: Bracket
    distortion: Bracket
    kind: str = ""
    """How this point is known, where it differs from the reference's ``kind``."""

    @classmethod
    def exact(cls, beta: float, rate: float, distortion: float) -> TruthPoint:
        """A point in closed form."""
        e = Bracket.exact
        return cls(beta, e(rate + beta * distortion), e(rate), e(distortion))


@runtime_checkable
class Reference(Protocol):
    """The truth of one problem: R(D), as far as it is known."""

    kind: ClassVar[str]
    """"closed form", "certified" (a proof, up to rounding), "certified (numerical)" (the same for
    a quadrature of the source, widened by its observed error), "bounds" (far apart) or "unknown"
    (nothing: it raises, and gaps are blank)."""

    @property
    def citation(self) -> str:
        """Where the formula comes from."""

    @property
    def validity(self) -> str:
        """For which slopes it holds, in words."""

    def point(self, beta: float) -> TruthPoint:
        """F*, R* and D* at slope beta.

        Raises:
            OutOfRange: the reference does not cover beta (it never extrapolates).
        """

    def rate(self, distortion: float) -> Bracket:
        """R(D) in nats.

        Raises:
            OutOfRange: the reference does not cover this distortion.
        """

    def slope(self, rate: float) -> float:
        """The slope beta at which R* equals ``rate``.

        Raises:
            OutOfRange: the reference does not cover this rate.
        """


@runtime_checkable
class HasRefinedRate(Protocol):
    """A reference that can narrow R(D) by computing more; ``rate`` makes do with what it has."""

    def refined_rate(self, distortion: float) -> Bracket:
        """R(D) in nats, as narrow as the reference can make it; may take seconds or minutes.

        Raises:
            OutOfRange: the reference does not cover this distortion.
        """


@runtime_checkable
class HasPotential(Protocol):
    """A reference that knows the optimal potential: the control variate of the audit."""

    def potential(self, x: Float[Tensor, "n d"], beta: float) -> Float[Tensor, " n"]:
        """f*(x) = -log Z*(x) = -log E_{q*} exp(-beta rho(x, Y)).

        Its mean is the upper end of ``point(beta).lagrangian``: of a bracket, it belongs to the q
        that was found. Of a closed form it is the optimum's own, and its mean is F*, wherever in
        the bracket that lies.
        """


@runtime_checkable
class HasConditional(Protocol):
    """A reference that can draw from the optimal test channel."""

    def sample_conditional(
        self, x: Float[Tensor, "n d"], k: int, beta: float, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """k draws of p*(y|x) for every row of x.

        Args:
            x: the symbols (n, d).
            k: draws for each of them.
            beta: the slope, nats per unit of distortion.
            generator: of all draws.
        """


@dataclass(frozen=True)
class Case:
    """One problem, its truth, and the ladder of target rates (nats) at which it is solved."""

    name: str
    problem: Problem
    reference: Reference
    rates: tuple[float, ...]


@dataclass(frozen=True)
class Suite:
    """A named, versioned set of cases.

    ``build(dim)`` gives the cases of one dimension. A suite whose cases have dimensions of their
    own has ``default_dims = None``: its ``build`` is called once, with ``None``.
    """

    name: str
    version: int
    summary: str
    build: Callable[[int | None], tuple[Case, ...]]
    default_dims: tuple[int, ...] | None = None
    dim_range: tuple[int, int] | None = None

    def cases(self, dims: Sequence[int] | None = None) -> tuple[Case, ...]:
        """The cases, at ``dims`` or at the default dimensions.

        Raises:
            RdbenchError: dims were given to a suite without them, or lie outside its range.
        """
        if self.default_dims is None or self.dim_range is None:
            if dims is not None:
                raise RdbenchError(f"suite {self.name} takes no dimensions (drop --dims)")
            return self.build(None)
        chosen = self.default_dims if dims is None else tuple(dict.fromkeys(dims))
        lo, hi = self.dim_range
        for dim in chosen:
            if not lo <= dim <= hi:
                raise RdbenchError(
                    f"dimension {dim} is out of range: suite {self.name} takes {lo} to {hi}"
                )
        if not chosen:
            raise RdbenchError(f"no dimensions given: suite {self.name} takes {lo} to {hi}")
        return tuple(case for dim in chosen for case in self.build(dim))


# --------------------------------------------------------------------------------------------
# what an estimator returns


@dataclass(frozen=True)
class Atoms:
    """q = sum_j w_j delta(y_j): points in float64 and log weights that sum to one."""

    points: Float[Tensor, "m d"]
    log_weights: Float[Tensor, " m"]

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n points."""
        picked = torch.multinomial(self.log_weights.exp(), n, replacement=True, generator=generator)
        return self.points[picked]


@dataclass(frozen=True)
class Encoder:
    """A normalised density e(z|x) with its sampler: on the latent space, or on q's own.

    ``sample(x (n, d), k, generator)`` draws (n, k, l); ``log_prob(z (n, k, l), x (n, d))`` gives
    (n, k), in nats.
    """

    sample: Callable[[Tensor, int, Generator], Tensor]
    log_prob: Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Density:
    """q with a normalised log density and an exact sampler.

    A ``proposal`` for p(y|x), where there is one, is an ``Encoder`` on q's own space (l = d): the
    audit importance-samples with it. It need not be exact, but where it is little noise is left.
    """

    sample: Callable[[int, Generator], Tensor]
    log_prob: Callable[[Tensor], Tensor]
    proposal: Encoder | None = None


@dataclass(frozen=True)
class Energy:
    """q(y) = exp(-E(y)) / Z with Z unknown.

    ``value_and_grad`` maps (n, d) float64 to E (n,) and its gradient (n, d) in float64;
    ``sample`` draws from q by Markov chains, so its draws are good, not exact. ``value`` is E
    alone, where that costs less: an audit on a grid needs no gradient.
    """

    sample: Callable[[int, Generator], Tensor]
    value_and_grad: Callable[[Tensor], tuple[Tensor, Tensor]]
    value: Callable[[Tensor], Tensor] | None = None

    def at(self, y: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """E(y)."""
        return self.value_and_grad(y)[0] if self.value is None else self.value(y)


@dataclass(frozen=True)
class Pushforward:
    """q is the law of ``decode(z)`` for z ~ ``prior``, by default N(0, I) of ``latent_dim``.

    ``decode`` maps (n, l) to (n, d), row by row, in float64 and differentiably. An ``encoder``,
    where there is one, proposes the z that matter for x: the audit importance-samples with it.
    """

    decode: Callable[[Tensor], Tensor]
    latent_dim: int
    prior: Density | None = None
    encoder: Encoder | None = None

    def sample_latent(self, n: int, generator: Generator) -> Float[Tensor, "n l"]:
        """Draw n latent points."""
        if self.prior is not None:
            return self.prior.sample(n, generator)
        return torch.randn(
            n, self.latent_dim, generator=generator, device=generator.device, dtype=torch.float64
        )

    def log_prior(self, z: Float[Tensor, "n l"]) -> Float[Tensor, " n"]:
        """Log density of the latent points in nats."""
        if self.prior is not None:
            return self.prior.log_prob(z)
        return -0.5 * (z.square().sum(1) + self.latent_dim * math.log(2.0 * math.pi))

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n points."""
        return self.decode(self.sample_latent(n, generator))


@dataclass(frozen=True)
class Factor:
    """The law of Y in a subspace, of which the columns of ``axes`` are an orthonormal basis.

    k = 1: atoms at ``points`` along the axis, or Gaussians about them where there are
    ``variances``. k >= 2: with probability w_j the uniform law on the sphere of radius
    ``points[j]`` >= 0 about the origin. ``log_weights`` sum to one.
    """

    axes: Float[Tensor, "d k"]
    points: Float[Tensor, " m"]
    log_weights: Float[Tensor, " m"]
    variances: Float[Tensor, " m"] | None = None

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n vectors of the subspace, in the coordinates of R^d."""
        weights, dev = self.log_weights.exp(), generator.device
        labels = torch.multinomial(weights, n, replacement=True, generator=generator)
        k = self.axes.shape[1]
        out = self.points[labels][:, None]
        if k > 1 or self.variances is not None:
            u = torch.randn(n, k, generator=generator, device=dev, dtype=torch.float64)
            if self.variances is None:
                out = out * u / u.norm(dim=1, keepdim=True)
            else:
                out = out + self.variances[labels].sqrt()[:, None] * u
        return out @ self.axes.T


@dataclass(frozen=True)
class Product:
    """q is the law of ``centre`` + sum_k V_k, V_k independent, each of a factor.

    The subspaces of the factors are orthogonal and span R^d, so that squared error is a sum over
    them and Z(x) a product: sums over m^d atoms, or Gaussians, in closed form
    (`rdbench.inference.product`).
    """

    centre: Float[Tensor, " d"]
    factors: tuple[Factor, ...]

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n points."""
        out = self.centre.expand(n, -1).clone()
        for factor in self.factors:
            out += factor.sample(n, generator)
        return out


@dataclass(frozen=True)
class Gaussians:
    """q = sum_k w_k N(m_k, S_k) by its parameters, float64; covariances may be singular.

    Under squared error Z(x) is in closed form (`rdbench.sources.mixture`), and the audit exact.
    """

    weights: Float[Tensor, " k"]
    means: Float[Tensor, "k d"]
    covs: Float[Tensor, "k d d"]

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n points."""
        labels = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        values, vectors = torch.linalg.eigh(self.covs)
        roots = vectors * values.clamp(min=0.0).sqrt()[:, None, :]
        z = torch.randn(
            n, self.means.shape[1], generator=generator, device=generator.device,
            dtype=torch.float64,
        )  # fmt: skip
        out = self.means[labels].clone()
        for k, root in enumerate(roots):
            rows = labels == k
            out[rows] += z[rows] @ root.T
        return out


Marginal = Atoms | Density | Energy | Pushforward | Product | Gaussians


@dataclass(frozen=True)
class Claim:
    """The point an estimator states itself, by its own formula on its own data, in nats."""

    rate: float
    distortion: float
    side: Side


@dataclass(frozen=True)
class Start:
    """Where the fit of one slope began: a reproduction marginal, and what it is called.

    ``name`` is read in tables: ``N(m, C)``, ``draws of the source``, ``fitted mixture``. With warm
    starts along the ladder it is the start of the whole fit, as it would be at this slope.
    """

    marginal: Marginal
    name: str


@dataclass(frozen=True)
class TestChannel:
    """One estimate at slope beta: the reproduction marginal q, p(y|x), and what is claimed.

    Every estimator is scored by F(q), whatever its loss was. ``sample_conditional(x, k, g)``
    draws (n, k, d) of p(y|x); ``boltzmann`` means p(y|x) is proportional to
    q(y) exp(-beta rho(x, y)) (the paper, Lemma 1), ``encoder`` a density of its own.

    ``q_is`` names the family of q in a few words (``energy network``, ``product of atoms``); empty,
    it is the kind of ``marginal``. The audit takes F of ``start``, too, where there is one, and
    the row says what was gained over it; a channel whose ``marginal`` is that of its ``start``
    has learned nothing, and its row says so.
    """

    __test__ = False  # not a test class, whatever pytest makes of the name

    beta: float
    marginal: Marginal
    claim: Claim
    sample_conditional: Callable[[Tensor, int, Generator], Tensor]
    conditional_kind: ConditionalKind = "boltzmann"
    status: Literal["ok", "not_converged"] = "ok"
    reason: str = ""
    q_is: str = ""
    start: Start | None = None

    @property
    def is_start(self) -> bool:
        """Whether q is where the fit began."""
        return self.start is not None and self.start.marginal is self.marginal


@dataclass(frozen=True)
class DualBound:
    """A lower bound of F* at slope beta: a positive function lambda(x), Csiszar's dual.

    Every lambda > 0 gives, in nats (Csiszar 1974; Berger 1971, section 2.5),

        F* >= E log lambda(X) - log sup_y c(y),   c(y) = E[lambda(X) exp(-beta rho(X, y))].

    ``log_lambda`` maps (n, d) to (n,) in float64, a function of each symbol alone. The audit takes
    the mean on fresh symbols and looks for the supremum itself; ``peaks`` are where the estimator
    found c to be large, and are looked at, too. A factor in lambda cancels.
    """

    beta: float
    log_lambda: Callable[[Tensor], Tensor]
    peaks: Float[Tensor, "m d"]
    claim: float
    """F_lo as the estimator finds it itself, in nats."""
    made_of: str = ""
    """What lambda is, in a few words (``1/Z of atoms, capped``)."""
    claim_side: Side = "lower"
    """``estimate`` where the claim rests on what was fitted, and bounds nothing by itself."""
    status: Literal["ok", "not_converged"] = "ok"
    reason: str = ""


@dataclass(frozen=True)
class Refusal:
    """An estimator's answer at a slope it cannot handle."""

    beta: float
    status: Literal["unsupported", "not_converged", "error"]
    reason: str


@runtime_checkable
class Monitor(Protocol):
    """The runner as an estimator sees it: progress, checkpoints and the budget.

    Its answers come from time and step budgets alone, never from an audit.
    """

    @property
    def effort(self) -> float:
        """Multiply deterministic units of work (steps, samples) by this; 1 is the default."""

    def advance(self, done: float) -> bool:
        """Report the fraction of the whole fit that is done; False means stop now."""

    def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:
        """Offer the current channels for the accuracy trace; False means stop now.

        ``build`` makes them, cheaply, without drawing from the fit's generators; it is called only
        where a look is wanted, so that offering often costs nothing. Nothing reads their claims
        and conditionals.
        """

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        """Add gradient steps to the count; state the number of trained parameters."""


class Unsupported(RdbenchError):
    """Raised by a fit that finds only in its draws that it cannot handle the problem.

    The runner refuses every slope that is not answered yet, with this reason. What can be told
    from the problem alone is declared in `EstimatorInfo`.
    """


@dataclass(frozen=True)
class EstimatorInfo:
    """Declarations of an estimator for the runner, the tables and the figures.

    ``distortions``, ``alphabet``, ``max_dim`` and ``slopes`` say what it supports: other slopes and
    problems are refused before ``fit`` is called. The first three speak of sources on R^d: they do
    not apply where ``needs`` asks for the support and the source has one.
    """

    summary: str
    citation: str
    side: Literal["upper", "lower"] = "upper"
    """Whether it bounds R(D) from above, by channels, or from below, by dual bounds."""
    needs: frozenset[Grant] = frozenset()
    distortions: tuple[str, ...] | None = None
    """Names of the distortions it takes; None for all."""
    alphabet: bool = True
    """Whether it takes a given reproduction alphabet; else the reproduction space has to be R^d."""
    max_dim: int | None = None
    """The largest dimension it takes; None for all."""
    slopes: Literal["positive", "nonnegative"] = "nonnegative"
    """Whether it answers at beta = 0, where every reproduction marginal is optimal."""
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Limits that a setting changes: ``"field=value"`` of the estimator -> fields of this class."""
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    preset_notes: Mapping[str, str] = field(default_factory=dict)
    not_invariant: frozenset[str] = frozenset()
    colour: str | None = None
    marker: str | None = None


@runtime_checkable
class Estimator(Protocol):
    """A frozen dataclass whose fields are its hyper-parameters, and whose ``fit`` does the work.

    ``fit`` takes the whole ladder of slopes at once, so that it may batch or warm-start them, and
    yields a channel (a dual bound, where ``info.side`` is ``lower``) or a refusal as each slope is
    done, in any order. What it yielded before a failure is audited and kept.
    """

    info: ClassVar[EstimatorInfo]

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | DualBound | Refusal]:
        """Estimate the optimal reproduction marginal at every slope of ``betas``.

        Args:
            view: all that is shown of the problem.
            betas: the slopes, nats per unit of distortion.
            generator: of all draws.
            monitor: takes progress and checkpoints; may end the fit.
        """


# --------------------------------------------------------------------------------------------
# what the audit finds


@dataclass(frozen=True)
class Audited:
    """An independent evaluation of one channel or dual bound, in nats.

    ``gap`` = F(q) - F*, of a dual bound F* - F_lo, which has no R and D of its own (NaN) but the
    tangent line R >= F_lo - beta D; ``gap_lo, gap_hi`` combine the 95% sampling interval with the
    method's own bracket and the truth's. ``side``: ``exact``, the interval is of F(q) itself;
    ``upper``, the statistic lies above F(q) in expectation and only ``gap_hi`` is meant;
    ``estimate``, neither is guaranteed. Where an acceptance test failed, ``gap`` is NaN and only
    the bracket is known.
    """

    beta: float
    lagrangian: float
    rate: float
    distortion: float
    gap: float
    gap_lo: float
    gap_hi: float
    rate_error: float
    """R - R(D): how far the audited point lies above the true curve; NaN where the interval
    [rate_error_lo, rate_error_hi] says nothing."""
    side: Side
    method: str
    ess: float
    """Effective sample size as a fraction, 1 where nothing was weighted."""
    rate_half: float = math.nan
    """Half the width of the 95% interval of ``rate``; that of ``distortion`` follows."""
    distortion_half: float = math.nan
    rate_error_lo: float = math.nan
    rate_error_hi: float = math.nan
    """R - R(D) as a difference of brackets: the intervals of R and D, and the truth's R(D)."""
    blocks: tuple[float, ...] = ()
    """Means of f - f* (of f where f* is not known) over up to 64 equal blocks of the audit's
    symbols, in their order; the symbols are the same for every estimator, so that differences of
    blocks compare two of them in pairs. Empty for exact sums."""
    common_se: float = 0.0
    """The standard error of ``gap`` that all blocks share: log Z, draws of q."""
    note: str = ""
    """Why the side is ``estimate`` where it might be more, and what was left out."""
    gap_paper_protocol: float = math.nan
    """The gap by the paper's Appendix A (plug-in) with ``n_paper_protocol`` draws."""
    n_paper_protocol: int = 0
    conditional_error: float = math.nan
    """How far ``sample_conditional`` is from p*(y|x), with its 95% interval; the floor is what two
    sets of exact draws of the same size differ by at most, in 95% of cases."""
    conditional_lo: float = math.nan
    conditional_hi: float = math.nan
    conditional_floor: float = math.nan
    mode_mass_error: float = math.nan
    """The largest error of the mass that the conditional gives to a mode, over the modes."""
    gain: float = math.nan
    """F(start) - F(q) on the same symbols, with its 95% interval; NaN where no start is given, or
    an end of the interval is not known."""
    gain_lo: float = math.nan
    gain_hi: float = math.nan
    accepted: bool = True
    """False where the method's acceptance test failed: there is no estimate, only the bracket."""
    lagrangian_lo: float = math.nan
    lagrangian_hi: float = math.nan
    """The 95% interval of F(q), of a dual bound that of F_lo, without the truth's bracket; NaN for
    an end that is not known. What is trusted is the upper end of a channel and the lower end of a
    dual bound."""
    evidence: Evidence = "sampled"
