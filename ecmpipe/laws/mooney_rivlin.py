"""Generalised Mooney-Rivlin elasticity: energy (S.33), invariants (S.34), stresses (S.35, S.36) and the two-parameter form (S.37).

Arrays carry the tensor in their last two axes. Misprints of the SI that are corrected here: S.33 starts its sums at p = q = 0
(a constant); S.34 prints J = I1 I3^(-1/3) and "I1" for I2; S.36 prints I3^(-1/3) for I3^(-2/3) in dJ2/dE and I3^(-1/2) for
I3^(1/2) in dJ/dE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

Coefficients = Mapping[tuple[int, int], float]


def invariants(c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reduced invariants J1, J2 and J = det F of the right Cauchy-Green tensor ``c`` (..., 3, 3) (S.34)."""
    i1, i2, i3 = principal_invariants(c)
    return i1 * i3 ** (-1 / 3), i2 * i3 ** (-2 / 3), np.sqrt(i3)


def principal_invariants(c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """I1, I2, I3 of a symmetric tensor (..., 3, 3) (S.34)."""
    i1 = np.trace(c, axis1=-2, axis2=-1)
    i2 = (i1**2 - np.trace(c @ c, axis1=-2, axis2=-1)) / 2
    return i1, i2, np.linalg.det(c)


def energy(f: np.ndarray, c_pq: Coefficients, kappa_m: Sequence[float]) -> np.ndarray:
    """W [J/m3] of the deformation gradient ``f`` (..., 3, 3); ``c_pq[(p, q)]`` [Pa], ``kappa_m[0]`` is kappa_1 [Pa] (S.33)."""
    j1, j2, j = invariants(np.swapaxes(f, -1, -2) @ f)
    shape = sum((value * (j1 - 3) ** p * (j2 - 3) ** q for (p, q), value in c_pq.items() if (p, q) != (0, 0)), np.zeros_like(j))
    return shape + sum(kappa / 2 * (j - 1) ** (2 * m) for m, kappa in enumerate(kappa_m, start=1))


def second_piola_kirchhoff(c: np.ndarray, c_pq: Coefficients, kappa_m: Sequence[float]) -> np.ndarray:
    """S = dW/dE [Pa] of the right Cauchy-Green tensor ``c`` (..., 3, 3) (S.36)."""
    i1, i2, i3 = (value[..., None, None] for value in principal_invariants(c))
    inverse = np.linalg.inv(c)
    identity = np.eye(3)
    d_j1 = 2 * i3 ** (-1 / 3) * (identity - i1 * inverse / 3)
    d_j2 = 2 * i3 ** (-2 / 3) * (i1 * identity - c) - 4 / 3 * i2 * i3 ** (-2 / 3) * inverse
    d_j = np.sqrt(i3) * inverse
    j1, j2, j = (value[..., None, None] for value in invariants(c))
    w_1, w_2 = np.zeros_like(j1), np.zeros_like(j1)
    for (p, q), value in c_pq.items():
        if p:
            w_1 = w_1 + value * p * (j1 - 3) ** (p - 1) * (j2 - 3) ** q
        if q:
            w_2 = w_2 + value * q * (j1 - 3) ** p * (j2 - 3) ** (q - 1)
    w_j = sum(kappa * m * (j - 1) ** (2 * m - 1) for m, kappa in enumerate(kappa_m, start=1))
    return w_1 * d_j1 + w_2 * d_j2 + w_j * d_j


def cauchy_stress(f: np.ndarray, c_pq: Coefficients, kappa_m: Sequence[float]) -> np.ndarray:
    """sigma = F S F^T / J [Pa] of the deformation gradient ``f`` (..., 3, 3) (S.35)."""
    transposed = np.swapaxes(f, -1, -2)
    return f @ second_piola_kirchhoff(transposed @ f, c_pq, kappa_m) @ transposed / np.linalg.det(f)[..., None, None]


def two_parameters(c10: float, c01: float, kappa: float) -> tuple[dict[tuple[int, int], float], list[float]]:
    """The arguments of the functions above for the two-parameter form (S.37)."""
    return {(1, 0): c10, (0, 1): c01}, [kappa]


def principal_basis(stretches: np.ndarray) -> np.ndarray:
    """Normal Cauchy stresses of S.37 per unit of C10, C01 and kappa, shape (..., 3 axes, 3 coefficients).

    ``stretches`` (..., 3) are the measured principal stretches. S.37 is linear in its coefficients, so
    ``principal_basis(stretches) @ [c10, c01, kappa]`` is the Cauchy stress.
    """
    b = np.asarray(stretches, dtype=float) ** 2
    j = np.prod(stretches, axis=-1)[..., None]
    i1 = b.sum(axis=-1)[..., None]
    i2 = (i1**2 - (b**2).sum(axis=-1)[..., None]) / 2
    first = 2 / j * j ** (-2 / 3) * (b - i1 / 3)
    second = 2 / j * j ** (-4 / 3) * (i1 * b - b**2 - 2 / 3 * i2)
    return np.stack([first, second, np.broadcast_to(j - 1, b.shape)], axis=-1)


def small_strain_moduli(c10: float, c01: float, kappa: float) -> tuple[float, float, float]:
    """Shear modulus [Pa], Young's modulus [Pa] and Poisson ratio of S.37 at rest."""
    shear = 2 * (c10 + c01)
    return shear, 9 * kappa * shear / (3 * kappa + shear), (3 * kappa - 2 * shear) / (2 * (3 * kappa + shear))
