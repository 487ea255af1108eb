"""Generalised Mooney-Rivlin elasticity: energy (S.33), invariants (S.34), stresses (S.35, S.36), the two-parameter form (S.37), stability.

Arrays carry the tensor in their last two axes, stretches in their last. A material is a mapping from the names of its coefficients,
``C10`` for C_pq with p = 1 and q = 0, ``kappa1`` for kappa_m with m = 1, to their values [Pa]. Misprints of the SI that are corrected
here: S.33 starts its sums at p = q = 0 (a constant); S.34 prints J = I1 I3^(-1/3) and "I1" for I2; S.36 prints I3^(-1/3) for I3^(-2/3)
in dJ2/dE and I3^(-1/2) for I3^(1/2) in dJ/dE.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

Coefficients = Mapping[str, float]
TWO_PARAMETERS = ("C10", "C01", "kappa1")  # S.37


def invariants(c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reduced invariants J1, J2 and J = det F of the right Cauchy-Green tensor ``c`` (..., 3, 3) (S.34)."""
    i1, i2, i3 = principal_invariants(c)
    return i1 * i3 ** (-1 / 3), i2 * i3 ** (-2 / 3), np.sqrt(i3)


def principal_invariants(c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """I1, I2, I3 of a symmetric tensor (..., 3, 3) (S.34)."""
    i1 = np.trace(c, axis1=-2, axis2=-1)
    i2 = (i1**2 - np.trace(c @ c, axis1=-2, axis2=-1)) / 2
    return i1, i2, np.linalg.det(c)


def energy(f: np.ndarray, coefficients: Coefficients) -> np.ndarray:
    """W [J/m3] of the deformation gradient ``f`` (..., 3, 3) (S.33)."""
    return _sum(coefficients, invariants(np.swapaxes(f, -1, -2) @ f), (0, 0, 0))


def second_piola_kirchhoff(c: np.ndarray, coefficients: Coefficients) -> np.ndarray:
    """S = dW/dE [Pa] of the right Cauchy-Green tensor ``c`` (..., 3, 3) (S.36)."""
    i1, i2, i3 = (value[..., None, None] for value in principal_invariants(c))
    inverse = np.linalg.inv(c)
    identity = np.eye(3)
    d_j1 = 2 * i3 ** (-1 / 3) * (identity - i1 * inverse / 3)
    d_j2 = 2 * i3 ** (-2 / 3) * (i1 * identity - c) - 4 / 3 * i2 * i3 ** (-2 / 3) * inverse
    d_j = np.sqrt(i3) * inverse
    w_1, w_2, w_j = (_sum(coefficients, invariants(c), by)[..., None, None] for by in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    return w_1 * d_j1 + w_2 * d_j2 + w_j * d_j


def cauchy_stress(f: np.ndarray, coefficients: Coefficients) -> np.ndarray:
    """J^-1 F S F^T [Pa] of the deformation gradient ``f`` (..., 3, 3) (S.35)."""
    turned = np.swapaxes(f, -1, -2)
    return f @ second_piola_kirchhoff(turned @ f, coefficients) @ turned / np.linalg.det(f)[..., None, None]


def two_parameters(c10: float, c01: float, kappa: float) -> dict[str, float]:
    """The material of S.37, coefficients in Pa."""
    return dict(zip(TWO_PARAMETERS, (c10, c01, kappa), strict=True))


def principal_basis(stretches: np.ndarray, names: Sequence[str] = TWO_PARAMETERS) -> np.ndarray:
    """Normal Cauchy stresses per unit of each named coefficient, shape (..., 3 axes, len(names)) (S.33, S.35).

    ``stretches`` (..., 3) are the measured principal stretches. S.33 is linear in its coefficients, so ``principal_basis(stretches, names)
    @ values`` is the Cauchy stress; the names of S.37 are the default.
    """
    reduced, (d_j1, d_j2, d_j), _ = _principal(stretches)
    stresses = [
        _unit(name, *reduced, (1, 0, 0)) * d_j1 + _unit(name, *reduced, (0, 1, 0)) * d_j2 + _unit(name, *reduced, (0, 0, 1)) * d_j
        for name in names
    ]
    return np.stack(stresses, axis=-1) / reduced[2][..., None]


def kirchhoff_tangent(stretches: np.ndarray, coefficients: Coefficients) -> np.ndarray:
    """d tau_i / d ln(lambda_j) [Pa] (..., 3, 3) of the Kirchhoff stress tau = J sigma at ``stretches`` (..., 3).

    Symmetric, being the second derivative of the energy of S.33 by the logarithmic stretches. Positive definite is Drucker's stability
    under changes that keep the principal axes; turning the axes is what `baker_ericksen` is about.
    """
    reduced, (d_j1, d_j2, d_j), (dd_j1, dd_j2, dd_j) = _principal(stretches)

    def slope(*by: int) -> np.ndarray:
        return _sum(coefficients, reduced, by)[..., None]

    def outer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a[..., :, None] * b[..., None, :]

    return (
        slope(2, 0, 0) * outer(d_j1, d_j1)
        + slope(1, 1, 0) * (outer(d_j1, d_j2) + outer(d_j2, d_j1))
        + slope(0, 2, 0) * outer(d_j2, d_j2)
        + slope(0, 0, 2) * outer(d_j, d_j)
        + slope(1, 0, 0) * dd_j1
        + slope(0, 1, 0) * dd_j2
        + slope(0, 0, 1) * dd_j
    )


def drucker(stretches: np.ndarray, coefficients: Coefficients) -> np.ndarray:
    """The smallest eigenvalue [Pa] (...) of the `kirchhoff_tangent` at ``stretches`` (..., 3); stable where it is positive."""
    return np.linalg.eigvalsh(kirchhoff_tangent(stretches, coefficients))[..., 0]


def baker_ericksen(stretches: np.ndarray, coefficients: Coefficients) -> np.ndarray:
    """(sigma_i - sigma_j) / (lambda_i2 - lambda_j2) [Pa] (..., 3) of the pair across from each axis k; stable where all are positive.

    This is 2/J (W1 J^(-2/3) + W2 J^(-4/3) lambda_k2) for the energy of S.33, which needs no unequal stretches: where two are equal it is
    the limit.
    """
    reduced, _, _ = _principal(stretches)
    j = reduced[2]
    w_1, w_2 = (_sum(coefficients, reduced, by) for by in ((1, 0, 0), (0, 1, 0)))
    return 2 / j * (w_1 * j ** (-2 / 3) + w_2 * j ** (-4 / 3) * np.asarray(stretches, dtype=float) ** 2)


def small_strain_moduli(c10: float, c01: float, kappa: float) -> tuple[float, float, float]:
    """Shear modulus [Pa], Young's modulus [Pa] and Poisson ratio at rest; higher coefficients of S.33 have no part in them."""
    shear = 2 * (c10 + c01)
    return shear, 9 * kappa * shear / (3 * kappa + shear), (3 * kappa - 2 * shear) / (2 * (3 * kappa + shear))


def _sum(coefficients: Coefficients, reduced: tuple[np.ndarray, ...], by: tuple[int, ...]) -> np.ndarray:
    return sum((value * _unit(name, *reduced, by) for name, value in coefficients.items()), np.zeros_like(reduced[2]))


def _unit(name: str, j1: np.ndarray, j2: np.ndarray, j: np.ndarray, by: tuple[int, ...]) -> np.ndarray:
    """S.33 per unit of the coefficient ``name``, differentiated ``by`` (times by J1, times by J2, times by J)."""
    if name.startswith("kappa"):
        return np.zeros_like(j) if by[0] or by[1] else _power(j - 1, 2 * int(name[5:]), by[2]) / 2
    p, q = int(name[1]), int(name[2])
    # C00, from which the sums of S.33 start, would store energy at rest
    return np.zeros_like(j) if by[2] or p + q == 0 else _power(j1 - 3, p, by[0]) * _power(j2 - 3, q, by[1])


def _power(x: np.ndarray, exponent: int, times: int) -> np.ndarray:
    """x^exponent differentiated ``times`` times."""
    return math.perm(exponent, times) * x ** max(exponent - times, 0)


def _principal(stretches: np.ndarray) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """J1, J2 and J with a last axis of 1, their first (..., 3) and their second (..., 3, 3) derivatives by the logarithmic stretches."""
    b = np.asarray(stretches, dtype=float) ** 2
    j = np.sqrt(np.prod(b, axis=-1, keepdims=True))
    first = b * j ** (-2 / 3)
    second = 1 / first  # J2 is the sum of the inverses, the reduced tensor having determinant 1
    j1, j2 = (part.sum(axis=-1, keepdims=True) for part in (first, second))

    def curvature(part: np.ndarray) -> np.ndarray:
        thirds = (part[..., :, None] + part[..., None, :]) / 3
        return 4 * (part[..., None] * np.eye(3) - thirds + part.sum(axis=-1)[..., None, None] / 9)

    slopes = 2 * (first - j1 / 3), -2 * (second - j2 / 3), j * np.ones(3)
    return (j1, j2, j), slopes, (curvature(first), curvature(second), j[..., None] * np.ones((3, 3)))
