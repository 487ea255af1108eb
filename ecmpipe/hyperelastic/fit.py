"""C10, C01 and kappa of S.37 from all pulls of a polymer at once, with what the data can and cannot tell."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import lsq_linear

from ecmpipe.cards import CellCard, HyperelasticCard, read_card, write_card, write_curve
from ecmpipe.errors import ConvergenceError
from ecmpipe.hyperelastic.average import Pulls, bin_means, read_pulls
from ecmpipe.laws.mooney_rivlin import principal_basis, small_strain_moduli
from ecmpipe.settings.hyperelastic import FitStep, HyperelasticSettings

NAMES = ("C10", "C01", "kappa")
AXES = ("axial", "lateral 2", "lateral 3")
LEAST_BLOCKS = 10  # fewer block means per run would be mostly chance
ON_BOUND = 1e-9  # of the largest coefficient; a coefficient this close to its bound stands on it


@dataclass(frozen=True)
class Fit:
    """Bounded ``coefficients`` [Pa], residual stresses ``offsets`` (runs, 3) [Pa] and ``model`` (runs, points, 3) [Pa].

    ``free`` and ``covariance`` (3, 3) [Pa2] belong to the fit without bounds; ``inefficiency`` is how many neighbouring points
    count as one, from block means of the misfit.
    """

    coefficients: np.ndarray
    offsets: np.ndarray
    model: np.ndarray
    free: np.ndarray
    covariance: np.ndarray
    inefficiency: float
    at_bound: list[str]

    @property
    def correlation(self) -> float:
        """Of C10 and C01."""
        return float(self.covariance[0, 1] / np.sqrt(self.covariance[0, 0] * self.covariance[1, 1]))


def fit_card(step: FitStep, *, polymer: str, cell: Path, runs: list[Path], output: Path, output_curve: Path) -> dict[str, Any]:
    """Fit S.37 to all three normal stresses of all ``runs``, write the card and the mean curve of Fig. S8."""
    box = read_card(CellCard, cell)
    settings = step.fit
    pulls = read_pulls(runs)
    fit = fit_mooney_rivlin(pulls.stretches, pulls.stresses, settings)
    c10, c01, kappa = (float(value) for value in fit.coefficients)
    shear, young, poisson = small_strain_moduli(c10, c01, kappa)
    separable = is_identifiable(fit, settings)
    card = HyperelasticCard.model_validate(
        {
            "polymer": polymer,
            "engine": box.engine,
            "C10 [Pa]": c10,
            "C01 [Pa]": c01,
            "kappa [Pa]": kappa,
            "Shear modulus [Pa]": shear,
            "Young's modulus [Pa]": young,
            "Poisson ratio [1]": poisson,
            "Density [kg.m-3]": box.density,
            "Covariance of C10, C01, kappa [Pa2]": fit.covariance.tolist(),
            "Correlation of C10 and C01 [1]": fit.correlation,
            "identifiable": separable,
            "at_bound": fit.at_bound,
            "Stretch range [1]": [float(pulls.stretches[..., 0].min()), float(pulls.stretches[..., 0].max())],
            "Strain rate [s-1]": step.strain_rate,
            "Tensile runs [1]": len(runs),
            "Root-mean-square misfit [Pa]": float(np.sqrt(np.mean((fit.model - pulls.stresses) ** 2))),
            "details": _details(fit, pulls, settings, box),
        }
    )
    write_card(output, card)
    write_curve(output_curve, _table(pulls, fit, settings.bins))
    print(
        f"hyperelastic-fit {polymer}: shear modulus {shear:.3e} Pa, kappa {kappa:.3e} Pa at {step.strain_rate:g} /s; "
        f"C10 and C01 {'are' if separable else 'cannot be'} told apart",
        file=sys.stderr,
    )
    return {"engine": "scipy.optimize.lsq_linear", "runs": len(runs), "at_bound": fit.at_bound}


def fit_mooney_rivlin(stretches: np.ndarray, stresses: np.ndarray, settings: HyperelasticSettings) -> Fit:
    """Linear least squares of S.37 on the normal Cauchy ``stresses`` [Pa] at the measured ``stretches``, both (runs, points, 3).

    One residual stress per run and axis is fitted along, else the stress that a box starts with would end up in kappa. The box
    lengths are exact, so no smoothing: the volume fluctuations of a barostat carry much of what is known of kappa, and averages
    over a picosecond halve it. Bounds: C10 and C01 keep the energy Drucker-stable, and the Poisson ratio keeps kappa above a
    multiple of the shear modulus. Raises `ConvergenceError` when the data cannot carry a fit.
    """
    runs, points, _ = stretches.shape
    offsets = np.einsum("rs,ab->rasb", np.eye(runs), np.eye(3)).reshape(runs, 1, 3, 3 * runs)
    matrix = np.concatenate([principal_basis(stretches), np.broadcast_to(offsets, (runs, points, 3, 3 * runs))], axis=3)
    matrix, target = matrix.reshape(runs * points * 3, 3 + 3 * runs), stresses.reshape(-1)
    if len(matrix) <= matrix.shape[1] or np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        raise ConvergenceError("the pulls have too few or too similar points for a fit; pull further or raise the points of the pulls")
    # kappa = ratio (C10 + C01) + excess, excess >= 0: a bound on the Poisson ratio, still linear
    nu = settings.smallest_poisson_ratio
    change = np.eye(matrix.shape[1])
    change[2, :2] = 4 * (1 + nu) / (3 * (1 - 2 * nu))
    lower = np.array([settings.smallest_c10, settings.smallest_c01, 0.0, *[-np.inf] * 3 * runs])
    found = lsq_linear(matrix @ change, target, bounds=(lower, np.full(len(lower), np.inf)), method="bvls", lsq_solver="exact")
    if found.status < 0 or not np.isfinite(found.x).all():
        raise ConvergenceError(f"the least-squares fit failed: {found.message}")
    solution = change @ np.maximum(found.x, lower)
    slack = found.x[:3] - lower[:3]
    at_bound = [name for name, value in zip(NAMES, slack, strict=True) if value <= ON_BOUND * max(abs(solution[:3]))]
    free, covariance, inefficiency = _without_bounds(matrix, target, (runs, points, 3))
    return Fit(
        solution[:3], solution[3:].reshape(runs, 3), (matrix @ solution).reshape(stresses.shape), free, covariance, inefficiency, at_bound
    )


def _without_bounds(matrix: np.ndarray, target: np.ndarray, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray, float]:
    scale = np.linalg.norm(matrix, axis=0)
    left, singular, directions = np.linalg.svd(matrix / scale, full_matrices=False)
    spread = directions.T / singular / scale[:, None]
    solution = spread @ (left.T @ target)
    misfit = (target - matrix @ solution).reshape(shape)
    inefficiency = _inefficiency(misfit)
    variance = float((misfit**2).sum() / (misfit.size - matrix.shape[1])) * inefficiency
    return solution[:3], variance * (spread @ spread.T)[:3, :3], inefficiency


def _inefficiency(misfit: np.ndarray) -> float:
    """The largest growth of the variance of block means over that of independent points: slow noise is few independent numbers."""
    _, points, _ = misfit.shape
    total = float((misfit**2).mean())
    factor = 1.0
    for size in range(2, points // LEAST_BLOCKS + 1):
        kept = misfit[:, : points // size * size]
        means = kept.reshape(len(misfit), -1, size, 3).mean(axis=2)
        factor = max(factor, size * float((means**2).mean()) / total if total else 1.0)
    return factor


def is_identifiable(fit: Fit, settings: HyperelasticSettings) -> bool:
    """Whether C10 and C01 are two numbers: off their bounds, not collinear, and known well against their sum."""
    errors = np.sqrt(np.diag(fit.covariance)[:2])
    half_modulus = fit.coefficients[0] + fit.coefficients[1]
    return bool(
        not {"C10", "C01"} & set(fit.at_bound)
        and abs(fit.correlation) <= settings.largest_correlation
        and (errors <= settings.largest_relative_error * half_modulus).all()
    )


def _details(fit: Fit, pulls: Pulls, settings: HyperelasticSettings, box: CellCard) -> dict[str, Any]:
    covariance = fit.covariance
    shear_variance = float(covariance[0, 0] + covariance[1, 1] + 2 * covariance[0, 1])
    single = [
        fit_mooney_rivlin(stretches[None], stresses[None], settings).coefficients
        for stretches, stresses in zip(pulls.stretches, pulls.stresses, strict=True)
    ]
    shears = [float(2 * (value[0] + value[1])) for value in single]
    between = float(np.std(shears, ddof=1) / len(shears) ** 0.5) if len(shears) > 1 else None
    return {
        "standard error of the shear modulus [Pa]": 2 * max(shear_variance, 0.0) ** 0.5,
        "standard error of the shear modulus between runs [Pa]": between,
        "standard error of kappa [Pa]": float(covariance[2, 2] ** 0.5),
        "points that count as one [1]": fit.inefficiency,
        "without bounds [Pa]": {name: float(value) for name, value in zip(NAMES, fit.free, strict=True)},
        "mean residual stress [Pa]": {name: float(value) for name, value in zip(AXES, fit.offsets.mean(axis=0), strict=True)},
        "shear modulus of each run [Pa]": shears,
        "kappa of each run [Pa]": [float(value[2]) for value in single],
        "bulk modulus from volume fluctuation [Pa]": box.details.get("bulk modulus from volume fluctuation [Pa]"),
        "temperature of the pulls [K]": pulls.temperature,
        "torsion mode": box.torsion_mode,
        "equilibrated": box.equilibrated,
        "atoms": box.atoms,
        "note": "moduli belong to this strain rate; an uncrosslinked melt has no static shear modulus",
    }


def _table(pulls: Pulls, fit: Fit, bins: int) -> pd.DataFrame:
    stretches, stresses, model = (bin_means(values, bins) for values in (pulls.stretches, pulls.stresses, fit.model))
    scatter = stresses.std(axis=0, ddof=1) if len(stresses) > 1 else np.zeros_like(stresses[0])
    columns: dict[str, np.ndarray] = {}
    for index, name in enumerate(AXES):
        columns[f"Stretch {name} [1]"] = stretches.mean(axis=0)[:, index]
        columns[f"Stress {name} [Pa]"] = stresses.mean(axis=0)[:, index]
        columns[f"Scatter {name} [Pa]"] = scatter[:, index]
        columns[f"Fit {name} [Pa]"] = model.mean(axis=0)[:, index]
    # what Fig. S8 plots: both lateral axes as one
    columns["Stress lateral [Pa]"] = stresses.mean(axis=0)[:, 1:].mean(axis=1)
    columns["Fit lateral [Pa]"] = model.mean(axis=0)[:, 1:].mean(axis=1)
    return pd.DataFrame(columns)
