"""Standard errors of the moduli: of the covariance of the fit, and of a bootstrap over the pulls."""

from __future__ import annotations

import math

import numpy as np

from ecmpipe.cards import Bootstrap
from ecmpipe.hyperelastic.least_squares import Fit, solve
from ecmpipe.laws.mooney_rivlin import small_strain_moduli
from ecmpipe.settings.hyperelastic import HyperelasticSettings

MODULI = ("C10 [Pa]", "C01 [Pa]", "kappa [Pa]", "Shear modulus [Pa]", "Young's modulus [Pa]")
FEW = 3  # boxes; two make three distinct draws, which say less than their pulls
PERCENTILES = (2.5, 16, 84, 97.5)


def moduli(coefficients: np.ndarray) -> dict[str, float]:
    """C10, C01, kappa, shear and Young's modulus [Pa] of the ``coefficients`` (3,) [Pa] of S.37."""
    return dict(zip(MODULI, _moduli(np.asarray(coefficients)).tolist(), strict=True))


def standard_errors(fit: Fit, bootstrap: Bootstrap | None) -> tuple[dict[str, float], dict[str, str]]:
    """By modulus of S.37, the larger standard error [Pa] of covariance and bootstrap, and the name of the larger one.

    The covariance knows the noise about the curve that all runs share, not that runs differ; the bootstrap knows both, but poorly from
    few runs and not beyond the bounds.
    """
    found = {}
    for name, value in _covariance_errors(fit).items():
        other = bootstrap.errors[name] if bootstrap else 0.0
        found[name] = (other, "bootstrap") if other > value else (value, "covariance")
    return {name: error for name, (error, _) in found.items()}, {name: source for name, (_, source) in found.items()}


def _covariance_errors(fit: Fit) -> dict[str, float]:
    """To first order; Young's modulus is 9 kappa mu / (3 kappa + mu)."""
    shear, kappa = 2 * fit.coefficients[:2].sum(), fit.coefficients[2]
    by_shear, by_kappa = (factor / (3 * kappa + shear) ** 2 for factor in (27 * kappa**2, 9 * shear**2))
    slopes = np.vstack([np.eye(3), [2, 2, 0], [2 * by_shear, 2 * by_shear, by_kappa]])
    variances = np.einsum("ma,ab,mb->m", slopes, fit.covariance, slopes)
    return dict(zip(MODULI, np.sqrt(np.maximum(variances, 0.0)).tolist(), strict=True))


def bootstrap_runs(fit: Fit, settings: HyperelasticSettings, boxes: int) -> Bootstrap | None:
    """Draw whole runs with replacement and fit S.37 to each draw within the same bounds; None for one run, which has no scatter.

    The pulls of one box share its structure. Of `FEW` independent boxes or more, whole boxes are drawn, with all their runs, which are
    neighbours in ``fit``; of fewer boxes, single runs, and what differs between boxes is not in the scatter.
    n runs make C(2n - 1, n) distinct draws: 10 for three runs, so their percentiles are coarse. The scatter of draws of n runs is
    smaller than that of n new runs by the square root of (n - 1)/n, which is taken out of the standard errors
    (T. Hesterberg, Am. Stat. 69, 371 (2015), doi:10.1080/00031305.2015.1089789) and not of the percentiles.
    """
    by_box = boxes >= FEW and len(fit.triangles) % boxes == 0
    units = fit.triangles.reshape(boxes if by_box else len(fit.triangles), -1, *fit.triangles.shape[1:])
    count = len(units)
    if count < 2:
        return None
    draws = np.random.default_rng(settings.seed).integers(count, size=(settings.bootstrap, count))
    values = np.array([_moduli(solve(np.concatenate(units[draw]), fit.names, settings)[0]) for draw in draws])
    errors = values.std(axis=0, ddof=1) * math.sqrt(count / (count - 1))
    percentiles = np.percentile(values, PERCENTILES, axis=0).T
    return Bootstrap.model_validate(
        {
            "units": "boxes" if by_box else "pulls",
            "Resamples [1]": settings.bootstrap,
            "Distinct resamples [1]": math.comb(2 * count - 1, count),
            "seed": settings.seed,
            "Standard errors": dict(zip(MODULI, errors.tolist(), strict=True)),
            "Percentiles 2.5, 16, 84, 97.5": dict(zip(MODULI, percentiles.tolist(), strict=True)),
        }
    )


def is_identifiable(fit: Fit, errors: dict[str, float], settings: HyperelasticSettings) -> bool:
    """Whether C10 and C01 of S.37 are two numbers: off their bounds, not collinear, and known well against their sum."""
    largest = settings.largest_relative_error * fit.coefficients[:2].sum()
    return bool(
        not {"C10", "C01"} & set(fit.at_bound)
        and abs(fit.correlation) <= settings.largest_correlation
        and max(errors["C10 [Pa]"], errors["C01 [Pa]"]) <= largest
    )


def _moduli(coefficients: np.ndarray) -> np.ndarray:
    shear, young, _ = small_strain_moduli(*coefficients)
    return np.array([*coefficients, shear, young])
