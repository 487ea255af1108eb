"""Bounded linear least squares of S.33 on the normal stresses of all pulls at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import lsq_linear

from ecmpipe.errors import ConvergenceError
from ecmpipe.laws.mooney_rivlin import TWO_PARAMETERS, principal_basis
from ecmpipe.settings.hyperelastic import LEAST_WINDOWS, HyperelasticSettings

ON_BOUND = 1e-9  # of the largest bounded coefficient; one this close to its bound stands on it


@dataclass(frozen=True)
class Fit:
    """Bounded ``coefficients`` (n,) [Pa] of ``names`` (n,), residual stresses ``offsets`` (runs, 3) [Pa] and their misfit ``rms`` [Pa].

    ``free`` (n,) [Pa] and ``covariance`` (n, n) [Pa2] belong to the fit without bounds; ``inefficiency`` is how many neighbouring points
    count as one, from block means of its misfit. ``triangles`` (runs, n + 1, n + 1) hold what each run says of the coefficients.
    """

    names: tuple[str, ...]
    coefficients: np.ndarray
    offsets: np.ndarray
    rms: float
    at_bound: list[str]
    free: np.ndarray
    covariance: np.ndarray
    inefficiency: float
    triangles: np.ndarray

    @property
    def material(self) -> dict[str, float]:
        """What the functions of `ecmpipe.laws.mooney_rivlin` take."""
        return dict(zip(self.names, self.coefficients.tolist(), strict=True))

    @property
    def correlation(self) -> float:
        """Of the first two coefficients."""
        return float(self.covariance[0, 1] / np.sqrt(self.covariance[0, 0] * self.covariance[1, 1]))


def fit_mooney_rivlin(
    stretches: np.ndarray, stresses: np.ndarray, settings: HyperelasticSettings, names: Sequence[str] = TWO_PARAMETERS
) -> Fit:
    """Fit the coefficients ``names`` of S.33 to the normal Cauchy ``stresses`` [Pa] at the ``stretches`` [1], both (runs, points, 3).

    One residual stress per run and axis is fitted along, else the stress that a box starts with would end up in kappa. The box lengths
    are exact, so no smoothing: the volume fluctuations of a barostat carry much of what is known of kappa, and averages over a
    picosecond halve it. Raises `ConvergenceError` when the data cannot carry a fit.
    """
    names = tuple(names)
    runs, points, _ = stretches.shape
    basis = principal_basis(stretches, names)
    # A residual stress per run and axis takes the means of its run and axis away; the rest is small enough to be added run by run.
    basis_rest, rest = (values - values.mean(axis=1, keepdims=True) for values in (basis, stresses))
    triangles = np.linalg.qr(np.concatenate([basis_rest, rest[..., None]], axis=3).reshape(runs, 3 * points, -1), mode="r")
    matrix, target = _stack(triangles)
    scale = np.linalg.norm(matrix, axis=0)
    spare = stresses.size - 3 * runs - len(names)
    if spare <= 0 or not scale.all() or np.linalg.matrix_rank(matrix / scale) < len(names):
        raise ConvergenceError(
            f"the pulls have too few or too similar points for a fit of {', '.join(names)}; pull further, raise the points of the pulls "
            "or fit fewer hyperelastic.coefficients"
        )
    coefficients, at_bound = solve(triangles, names, settings)
    left, singular, directions = np.linalg.svd(matrix / scale, full_matrices=False)
    spread = directions.T / singular / scale[:, None]
    free = spread @ (left.T @ target)
    misfit = rest - basis_rest @ free
    inefficiency = _inefficiency(misfit)
    return Fit(
        names=names,
        coefficients=coefficients,
        offsets=(stresses - basis @ coefficients).mean(axis=1),
        rms=float(np.sqrt(np.mean((rest - basis_rest @ coefficients) ** 2))),
        at_bound=at_bound,
        free=free,
        covariance=float((misfit**2).sum() / spare) * inefficiency * (spread @ spread.T),
        inefficiency=inefficiency,
        triangles=triangles,
    )


def solve(triangles: np.ndarray, names: Sequence[str], settings: HyperelasticSettings) -> tuple[np.ndarray, list[str]]:
    """The bounded coefficients (n,) [Pa] of the runs in ``triangles`` (runs, n + 1, n + 1), and the names of those on their bounds.

    C10 and C01 have the bounds of the settings, and the smallest Poisson ratio keeps kappa1 above a multiple of the shear modulus: with
    them S.37 is stable at rest. Coefficients of higher order are free. Raises `ConvergenceError` when the solver fails.
    """
    smallest = {"C10": settings.smallest_c10, "C01": settings.smallest_c01, "kappa1": 0.0}
    lower = np.array([smallest.get(name, -np.inf) for name in names])
    # kappa1 = ratio (C10 + C01) + excess, excess >= 0: a bound on the Poisson ratio, still linear
    nu = settings.smallest_poisson_ratio
    change = np.eye(len(names))
    change[names.index("kappa1"), [name in ("C10", "C01") for name in names]] = 4 * (1 + nu) / (3 * (1 - 2 * nu))
    matrix, target = _stack(triangles)
    matrix = matrix @ change
    scale, size = np.linalg.norm(matrix, axis=0), np.linalg.norm(target) or 1.0
    found = lsq_linear(matrix / scale, target / size, bounds=(lower * scale / size, np.inf), method="bvls", lsq_solver="exact")
    if found.status < 0 or not np.isfinite(found.x).all():
        raise ConvergenceError(f"the least-squares fit failed: {found.message}")
    solution = np.maximum(found.x * size / scale, lower)
    bounded = np.isfinite(lower)
    near = ON_BOUND * np.abs(solution[bounded]).max()
    return change @ solution, [name for name, slack in zip(names, solution - lower, strict=True) if slack <= near]


def _stack(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = triangles.reshape(-1, triangles.shape[-1])
    return rows[:, :-1], rows[:, -1]


def _inefficiency(misfit: np.ndarray) -> float:
    """The largest growth of the variance of block means over that of independent points: slow noise is few independent numbers."""
    _, points, _ = misfit.shape
    total = float((misfit**2).mean())
    factor = 1.0
    for size in range(2, points // LEAST_WINDOWS + 1):
        kept = misfit[:, : points // size * size]
        means = kept.reshape(len(misfit), -1, size, 3).mean(axis=2)
        factor = max(factor, size * float((means**2).mean()) / total if total else 1.0)
    return factor
