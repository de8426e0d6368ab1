"""The vocabulary of the package: what a problem, a reference, an estimator and its result are.

Shapes use jaxtyping: ``n`` counts draws, ``d`` is the dimension of the source, ``m`` counts atoms.
Unless a docstring says otherwise, rates are in nats per source symbol, distortion is summed over
dimensions, and beta is the slope -dR/dD >= 0.
"""

from rdbench.bracket import Bracket
from rdbench.outcomes import RdbenchError, Status
from rdbench.types.answer import Claim, DualBound, Refusal, Start, TestChannel
from rdbench.types.audited import Audited
from rdbench.types.estimator import Estimator, EstimatorInfo, Monitor, Unsupported
from rdbench.types.marginal import (
    Atoms,
    Density,
    Encoder,
    Energy,
    Factor,
    Gaussians,
    Marginal,
    Product,
    Pushforward,
)
from rdbench.types.problem import Distortion, HasLetters, Problem, View, given_letters
from rdbench.types.source import (
    HasComponents,
    HasDensity,
    HasHeldOut,
    HasLineDensity,
    HasRadius,
    HasSupport,
    HasTail,
    LineTail,
    Source,
)
from rdbench.types.suite import Case, Suite
from rdbench.types.terms import ConditionalKind, Evidence, Grant, Side
from rdbench.types.truth import (
    HasConditional,
    HasPotential,
    HasRefinedRate,
    OutOfRange,
    Reference,
    TruthPoint,
)

__all__ = [
    "Atoms",
    "Audited",
    "Bracket",
    "Case",
    "Claim",
    "ConditionalKind",
    "Density",
    "Distortion",
    "DualBound",
    "Encoder",
    "Energy",
    "Estimator",
    "EstimatorInfo",
    "Evidence",
    "Factor",
    "Gaussians",
    "Grant",
    "HasComponents",
    "HasConditional",
    "HasDensity",
    "HasHeldOut",
    "HasLetters",
    "HasLineDensity",
    "HasPotential",
    "HasRadius",
    "HasRefinedRate",
    "HasSupport",
    "HasTail",
    "LineTail",
    "Marginal",
    "Monitor",
    "OutOfRange",
    "Problem",
    "Product",
    "Pushforward",
    "RdbenchError",
    "Reference",
    "Refusal",
    "Side",
    "Source",
    "Start",
    "Status",
    "Suite",
    "TestChannel",
    "TruthPoint",
    "Unsupported",
    "View",
    "given_letters",
]
