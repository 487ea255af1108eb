"""C10, C01 and kappa of S.37 from all pulls of a polymer at once, with what the data can and cannot tell."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecmpipe.cards import GeneralisedFit, HyperelasticCard, Stability, write_card, write_curve
from ecmpipe.errors import ConvergenceError
from ecmpipe.hyperelastic.boxes import Boxes, join_boxes
from ecmpipe.hyperelastic.least_squares import Fit, fit_mooney_rivlin, solve
from ecmpipe.hyperelastic.pulls import Pulls, bin_means, over_windows, read_pulls
from ecmpipe.hyperelastic.uncertainty import MODULI, bootstrap_runs, is_identifiable, moduli, standard_errors
from ecmpipe.laws.mooney_rivlin import (
    TWO_PARAMETERS,
    baker_ericksen,
    drucker,
    principal_basis,
    small_strain_moduli,
)
from ecmpipe.settings.hyperelastic import LEAST_WINDOWS, FitStep, HyperelasticSettings

AXES = ("axial", "lateral 2", "lateral 3", "lateral")
KAPPA = {"kappa1": "kappa"}  # S.37 has one


def fit_card(step: FitStep, *, polymer: str, cells: list[Path], runs: list[Path], output: Path, output_curve: Path) -> dict[str, Any]:
    """Fit S.37 to all three normal stresses of all ``runs`` of the boxes ``cells``, write the card and the curve of Fig. S8.

    The finite elements have S.37 only, so the card always carries it; other coefficients of S.33 that the settings name are fitted to
    the same stresses and stand beside it. The SI averages its curves before it fits; that fit stands beside too. It is not handed on:
    at constant pressure <dP dV> = -kT, so that the slope of stress on the fluctuating volume is the bulk modulus in every run. The mean
    of n runs keeps 1/n of the squared fluctuation under 1/n of the noise, one run's worth of it, and a kappa that is less well known.
    """
    boxes = join_boxes(cells, polymer)
    drawn = read_pulls(runs)
    pulls = over_windows(drawn, step.fit.window)
    try:
        fit = fit_mooney_rivlin(pulls.stretches, pulls.stresses, step.fit)
    except ConvergenceError as error:
        raise ConvergenceError(f"{runs[0].parent}: {error}; look at the stresses of these pulls") from None
    card = _card(step, polymer, boxes, pulls, fit, by_window(drawn, step.fit))
    write_card(output, card)
    write_curve(output_curve, curve_table(pulls, fit, step.fit.bins))
    print(
        f"hyperelastic-fit {polymer}: shear modulus {card.shear_modulus:.3e} Pa, kappa {card.kappa:.3e} Pa at {card.strain_rate:.3g} /s; "
        f"C10 and C01 {'are' if card.identifiable else 'cannot be'} told apart"
        + (f"; on the bound: {', '.join(card.at_bound)}" if card.at_bound else "")
        + ("; NOT all boxes at rest" if card.equilibrated is False else ""),
        file=sys.stderr,
    )
    return {"engine": "scipy.optimize.lsq_linear", "runs": len(runs), "at_bound": card.at_bound}


def _card(step: FitStep, polymer: str, boxes: Boxes, pulls: Pulls, fit: Fit, windows: dict[str, dict[str, float]]) -> HyperelasticCard:
    settings = step.fit
    bootstrap = bootstrap_runs(fit, settings, boxes.count)
    errors, sources = standard_errors(fit, bootstrap)
    averaged = fit_mooney_rivlin(*(values.mean(axis=0)[None] for values in (pulls.stretches, pulls.stresses)), settings)
    return HyperelasticCard.model_validate(
        {
            "polymer": polymer,
            "engine": boxes.engine,
            **moduli(fit.coefficients),
            "Poisson ratio [1]": small_strain_moduli(*fit.coefficients.tolist())[2],
            "Standard errors": errors,
            "Standard errors from": sources,
            "Covariance of C10, C01, kappa [Pa2]": fit.covariance.tolist(),
            "Correlation of C10 and C01 [1]": fit.correlation,
            "Bootstrap": bootstrap,
            "identifiable": is_identifiable(fit, errors, settings),
            "at_bound": [KAPPA.get(name, name) for name in fit.at_bound],
            "stability": stability(pulls.stretches, fit),
            "Fit of the averaged curve": moduli(averaged.coefficients),
            "Fit of the averaged curve, at its bounds": [KAPPA.get(name, name) for name in averaged.at_bound],
            "Window of the fit [s]": pulls.window,
            "Fits by window [ps]": windows,
            "Generalised fit (S.33)": generalised_fit(pulls, settings),
            "Stretch range [1]": [float(pulls.stretches[..., 0].min()), float(pulls.stretches[..., 0].max())],
            "Strain rate [s-1]": pulls.rate,
            "Tensile runs [1]": len(pulls.stretches),
            "Root-mean-square misfit [Pa]": fit.rms,
            "Boxes [1]": boxes.count,
            "Atoms [1]": boxes.atoms,
            "Density [kg.m-3]": boxes.density,
            "Density standard error [kg.m-3]": boxes.density_error,
            "Bulk modulus from volume fluctuation [Pa]": boxes.bulk_modulus,
            "Bulk modulus from volume fluctuation, standard error [Pa]": boxes.bulk_modulus_error,
            "torsion_mode": boxes.torsion_mode,
            "equilibrated": boxes.equilibrated,
            "conserves_energy": boxes.conserves_energy,
            "details": _details(fit, pulls, settings),
        }
    )


def by_window(drawn: Pulls, settings: HyperelasticSettings) -> dict[str, dict[str, float]]:
    """The moduli by the window [ps] that the points are averaged over before the fit: the points' own, the set one, the longest that fits.

    Short windows see the fluctuations of the box, long ones the trend of the pull. Where the two disagree, the moduli belong to their
    window, and no standard error of one window covers the other.
    """
    longest = drawn.window * (drawn.stretches.shape[1] // LEAST_WINDOWS)
    found = {}
    for window in sorted({drawn.window, settings.window, max(longest, settings.window)}):
        pulls = over_windows(drawn, window)
        found[f"{pulls.window * 1e12:.3g}"] = moduli(fit_mooney_rivlin(pulls.stretches, pulls.stresses, settings).coefficients)
    return found


def generalised_fit(pulls: Pulls, settings: HyperelasticSettings) -> GeneralisedFit | None:
    """The fit of the settings' coefficients of S.33; None where they are those of S.37."""
    if set(settings.coefficients) == set(TWO_PARAMETERS):
        return None
    fit = fit_mooney_rivlin(pulls.stretches, pulls.stresses, settings, settings.coefficients)
    return GeneralisedFit.model_validate(
        {
            "Coefficients [Pa]": fit.material,
            "Covariance of the coefficients [Pa2]": fit.covariance.tolist(),
            "at_bound": fit.at_bound,
            "Root-mean-square misfit [Pa]": fit.rms,
            "stability": stability(pulls.stretches, fit),
        }
    )


def stability(stretches: np.ndarray, fit: Fit) -> Stability:
    """Baker-Ericksen and Drucker at every measured stretch (..., 3)."""
    return Stability(
        baker_ericksen=bool((baker_ericksen(stretches, fit.material) > 0).all()),
        drucker=bool((drucker(stretches, fit.material) > 0).all()),
    )


def _details(fit: Fit, pulls: Pulls, settings: HyperelasticSettings) -> dict[str, Any]:
    single = [moduli(solve(triangle[None], fit.names, settings)[0]) for triangle in fit.triangles]
    return {
        "points that count as one [1]": fit.inefficiency,
        "without bounds [Pa]": {KAPPA.get(name, name): value for name, value in zip(fit.names, fit.free.tolist(), strict=True)},
        "mean residual stress [Pa]": dict(zip(AXES[:3], fit.offsets.mean(axis=0).tolist(), strict=True)),
        "each run": {name: [found[name] for found in single] for name in MODULI},
        "temperature of the pulls [K]": pulls.temperature,
        "note": "moduli belong to this strain rate; an uncrosslinked melt has no static shear modulus",
    }


def curve_table(pulls: Pulls, fit: Fit, bins: int) -> pd.DataFrame:
    """What Fig. S8 plots: means over runs and over ``bins`` parts of the pull, their standard errors between runs, and the fit.

    The fit carries the mean residual stress and runs along the mean lateral stretches of the pulls, smoothed by a parabola: along the path
    of free faces it would miss the data where the box settles to another volume than it started from. ``lateral`` is the mean of both
    lateral axes. One run has no standard error, hence no column of it.
    """
    stretches, stresses = (_with_lateral(bin_means(values, bins)) for values in (pulls.stretches, pulls.stresses))
    axial = stretches[..., 0].mean(axis=0)
    path = np.stack([axial, *(_smooth(axial, stretches[..., index].mean(axis=0)) for index in (1, 2))], axis=1)
    model = _with_lateral(principal_basis(path, fit.names) @ fit.coefficients + fit.offsets.mean(axis=0))
    runs = len(stresses)
    columns: dict[str, np.ndarray] = {}
    for index, name in enumerate(AXES):
        columns[f"Stretch {name} [1]"] = stretches[..., index].mean(axis=0)
        columns[f"Stress {name} [Pa]"] = stresses[..., index].mean(axis=0)
        if runs > 1:
            columns[f"Standard error {name} [Pa]"] = stresses[..., index].std(axis=0, ddof=1) / runs**0.5
        columns[f"Fit {name} [Pa]"] = model[:, index]
    return pd.DataFrame(columns)


def _smooth(axial: np.ndarray, lateral: np.ndarray) -> np.ndarray:
    return np.polynomial.Polynomial.fit(axial, lateral, 2)(axial)


def _with_lateral(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values, values[..., 1:].mean(axis=-1, keepdims=True)], axis=-1)
