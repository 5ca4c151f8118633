"""How the head is fitted: logistic regressions on features, which have one optimum.

Nothing is random: the same features and penalty give the same head. The penalty is chosen on
held-out pictures. SciPy's L-BFGS is used and not scikit-learn, which would add 54 MB to every
installation for one developers' command, give slightly other heads on a refit and make the
bootstrap of AUC twenty times slower.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh
from scipy.optimize import minimize
from scipy.special import expit

Rows = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]

_MOST_STEPS = 200
_LEAST_SCALE = 1e-4


@dataclass(frozen=True, eq=False)
class Logistic:
    """A logistic regression on standardised columns."""

    mean: Rows
    scale: Rows
    weights: Vector
    bias: float

    def logits(self, rows: Rows) -> Vector:
        """(n,) of rows (n, columns)."""
        found: Vector = ((rows - self.mean) / self.scale).astype(np.float64) @ self.weights
        return found + self.bias


def fit_logistic(
    rows: Rows, labels: npt.NDArray[np.int64], *, penalty: float, weights: Vector | None = None
) -> Logistic:
    """The logistic regression with the least mean log loss and penalty.

    Args:
        rows: (n, columns); labels: (n,) 0 or 1.
        weights: (n,) of each row in the mean; none weights all equally.
    """
    share = np.ones(len(labels)) if weights is None else weights
    share = share / share.sum()
    mean = (share[:, None] * rows).sum(axis=0)
    scale = np.sqrt((share[:, None] * (rows - mean) ** 2).sum(axis=0)) + _LEAST_SCALE
    standard = ((rows - mean) / scale).astype(np.float32)
    signs = 2.0 * labels - 1.0

    def loss(parameters: Vector) -> tuple[float, Vector]:
        slopes = parameters[:-1]
        logits = standard @ slopes.astype(np.float32) + parameters[-1]
        value = float(share @ np.logaddexp(0.0, -signs * logits))
        error = share * (expit(logits) - labels)
        gradient = standard.T @ error.astype(np.float32) + penalty * slopes
        return value + penalty * float(slopes @ slopes) / 2, np.append(gradient, error.sum())

    start = np.zeros(rows.shape[1] + 1)
    # Sums in float32 cannot settle the last digits: searching for them would take minutes.
    options = {"maxiter": _MOST_STEPS, "maxfun": 2 * _MOST_STEPS, "ftol": 1e-7}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    return Logistic(
        mean=mean.astype(np.float32),
        scale=scale.astype(np.float32),
        weights=np.asarray(found.x[:-1], dtype=np.float64),
        bias=float(found.x[-1]),
    )


def balanced_weights(sources: npt.NDArray[np.str_], labels: npt.NDArray[np.int64]) -> Vector:
    """(n,) so that every set has the same share of the loss and, within a set, every class."""
    weights = np.zeros(len(labels))
    for source in set(sources.tolist()):
        for label in (0, 1):
            own = (sources == source) & (labels == label)
            weights[own] = 1.0 / max(1, int(own.sum()))
    return weights


def main_axes(rows: Rows, mean: Rows, scale: Rows, *, components: int) -> Rows:
    """(features, components): the directions in which standardised rows vary most, each scaled
    so that they vary by one along it."""
    standard = ((rows - mean) / scale).astype(np.float32)
    covariance = standard.T @ standard / np.float32(len(standard))
    size = len(covariance)
    kept = min(components, size)
    values, vectors = eigh(covariance, subset_by_index=(size - kept, size - 1))
    axes = vectors / np.sqrt(np.maximum(values, 1e-6))
    ordered: Rows = axes[:, ::-1].astype(np.float32)
    return ordered


def fit_axial(rows: Rows, other: Rows, *, axes: Rows, mean: Rows, scale: Rows) -> Rows:
    """(components + 2,): separates rows of axial chest slices from all other rows by their
    coordinates along the axes and their distance."""
    both = np.concatenate([rows, other])
    along = ((both - mean) / scale) @ axes
    distance = np.sqrt(np.mean(along**2, axis=1))
    columns = np.column_stack([along, distance]).astype(np.float32)
    labels = np.repeat([1, 0], [len(rows), len(other)])
    weights = np.where(labels == 1, 0.5 / len(rows), 0.5 / max(1, len(other)))
    found = fit_logistic(columns, labels, penalty=1e-2, weights=weights)
    slopes = found.weights / found.scale
    return np.append(slopes, found.bias - float(slopes @ found.mean)).astype(np.float32)
