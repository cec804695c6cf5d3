"""Mixtures of likelihood ratios: the arithmetic that every e-value here is made of.

All in logarithms. What is mixed, and over which grid, is the business of the tests themselves.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LARGEST_EXPONENT = 690.0  # exp() of it is still a finite double, and so is a few times that


def log_sum_exp(values: Floats) -> Floats:
    """log(sum(exp(values))) over the last axis, for values of any size."""
    top = values.max(axis=-1, keepdims=True)
    total = np.log(np.exp(values - top).sum(axis=-1, keepdims=True)) + top
    return np.asarray(total[..., 0])


def normalised(log_density: Floats) -> Floats:
    """Log weights that sum to one, proportional to the density on an even grid."""
    return np.asarray(log_density - log_sum_exp(log_density))


def normal(distances: Floats, sd: float) -> Floats:
    """Log weights of a normal centred on 0; half-normal when all distances have one sign."""
    return normalised(-0.5 * (distances / sd) ** 2)


def odds(log_e: float) -> float:
    """An e-value as a finite positive number."""
    return math.exp(min(max(log_e, -_LARGEST_EXPONENT), _LARGEST_EXPONENT))
