"""Whether a probability means what it says: how often 0.8 comes true.

Shapes: N answers, F hints, B bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.stats import rankdata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """Predicted against observed, in B bins of equal width; empty bins left out.

    Attributes
    ----------
    predicted
        (B,) mean of the probabilities in a bin.
    observed
        (B,) share of them that came true.
    count
        (B,) how many there are.
    """

    predicted: Floats
    observed: Floats
    count: NDArray[np.intp]

    @property
    def error(self) -> float:
        """Expected calibration error: mean gap between the two, by count."""
        gaps = np.abs(self.predicted - self.observed)
        return float(np.average(gaps, weights=self.count))


def reliability(probability: Floats, right: Bools, *, bins: int = 10) -> Reliability:
    """Sort answers into bins by their probability.

    Parameters
    ----------
    probability
        (N,) in [0, 1].
    right
        (N,) what came true.
    bins
        Number of bins of equal width.

    Raises
    ------
    ValueError
        When there is no answer.
    """
    if not len(probability):
        message = "There is nothing to calibrate: evaluate at least one answer."
        raise ValueError(message)
    place = np.minimum((probability * bins).astype(np.intp), bins - 1)
    count = np.bincount(place, minlength=bins)
    filled = count > 0
    total = np.bincount(place, probability, bins)
    true = np.bincount(place, right, bins)
    return Reliability(
        predicted=total[filled] / count[filled],
        observed=true[filled] / count[filled],
        count=count[filled],
    )


def area_under_curve(score: Floats, right: Bools) -> float:
    """Probability that a right answer scores higher than a wrong one (ROC AUC).

    Ties count half. NaN if all are right or all wrong.

    Parameters
    ----------
    score
        (N,) any scale.
    right
        (N,) what came true.
    """
    yes = int(np.count_nonzero(right))
    no = len(right) - yes
    if not yes or not no:
        return float("nan")
    ranks = float(rankdata(score)[right].sum())
    return (ranks - yes * (yes + 1) / 2) / (yes * no)


def fit_logistic(
    hints: Floats,
    right: Bools,
    *,
    weight: Floats,
    signs: Sequence[int],
    penalty: float = 1e-3,
) -> Floats:
    """Fit the log odds of being right as a weighted sum of hints.

    Parameters
    ----------
    hints
        (N, F), the first of which is 1.
    right
        (N,) what came true.
    weight
        (N,) how much each answer counts.
    signs
        F numbers: 1 for a coefficient that must not be negative, -1 for one that
        must not be positive, 0 for any.
    penalty
        Of the mean squared coefficients but the first, against chance.

    Returns
    -------
    numpy.ndarray
        (F,) coefficients.

    Raises
    ------
    RuntimeError
        When the fit does not settle.
    """
    share = weight / weight.sum()
    side = np.where(right, 1.0, -1.0)
    held = np.full(hints.shape[1], penalty)
    held[0] = 0.0

    def loss(coefficients: Floats) -> tuple[float, Floats]:
        margin = side * (hints @ coefficients)
        # 1 - sigmoid(margin), without overflow
        doubt = 0.5 * (1 - np.tanh(margin / 2))
        value = share @ np.logaddexp(0, -margin) + held @ coefficients**2
        slope = -(share * side * doubt) @ hints + 2 * held * coefficients
        return float(value), slope

    limits = {0: (None, None), 1: (0.0, None), -1: (None, 0.0)}
    found = minimize(
        loss,
        np.zeros(hints.shape[1]),
        jac=True,
        method="L-BFGS-B",
        bounds=[limits[sign] for sign in signs],
    )
    if not found.success:
        message = (
            f"The fit did not settle ({found.message}): give more answers, of which "
            "some are right and some are wrong."
        )
        raise RuntimeError(message)
    return np.asarray(found.x, dtype=np.float64)
