"""Standard errors against the scatter that was put into the data."""

from __future__ import annotations

import numpy as np
import pytest

from ecmpipe.hyperelastic.least_squares import Fit, fit_mooney_rivlin
from ecmpipe.hyperelastic.uncertainty import MODULI, bootstrap_runs, moduli, standard_errors
from ecmpipe.laws.mooney_rivlin import small_strain_moduli
from tests.hyperelastic.samples import TRUE, pulled, settings, stressed

SCATTER = np.array([2e7, 8e6, 2e8])  # between runs, of C10, C01 and kappa


def scattered(runs: int, noise: float = 1e4, seed: int = 2) -> tuple[Fit, np.ndarray]:
    """A fit to runs of different coefficients, and those coefficients (runs, 3)."""
    coefficients = np.random.default_rng(seed).normal(TRUE, SCATTER, (runs, 3))
    stretches = pulled(1.15, 60, runs)  # one path for all: the joint fit is the mean of the fits of each run
    return fit_mooney_rivlin(stretches, stressed(stretches, coefficients, noise), settings()), coefficients


@pytest.mark.parametrize("runs", [3, 30])
def test_bootstrap_finds_the_scatter_between_runs(runs: int) -> None:
    # closed form: the standard error of a mean; without the factor of Hesterberg (2015) it fails for three runs, by 18 %
    resamples = 4000
    fit, coefficients = scattered(runs)
    found = bootstrap_runs(fit, settings(bootstrap=resamples), 1)
    drawn = np.array([list(moduli(values).values()) for values in coefficients])
    chance = (2 * resamples) ** -0.5  # of a standard deviation from so many resamples, relative
    for name, column in zip(MODULI, drawn.T, strict=True):
        assert found.errors[name] == pytest.approx(column.std(ddof=1) / runs**0.5, rel=5 * chance), name


def test_bootstrap_finds_the_scatter_that_the_runs_were_drawn_with() -> None:
    fit, _ = scattered(30)
    found = bootstrap_runs(fit, settings(), 1)
    for name, value in zip(MODULI, SCATTER, strict=False):  # within three times the chance of 30 draws, 13 % each
        assert found.errors[name] == pytest.approx(value / 30**0.5, rel=3 * (2 * 29) ** -0.5), name


def test_whole_boxes_are_drawn_where_there_are_enough() -> None:
    # four boxes that differ, whose three pulls do not: the error is that of the mean of four numbers, not of twelve
    shears = np.repeat(1.5e8 + np.array([-3e7, -1e7, 2e7, 4e7]), 3)
    stretches = pulled(1.15, 40, 12)
    coefficients = np.stack([shears, np.full(12, 4e7), np.full(12, 3e9)], axis=1)
    fit = fit_mooney_rivlin(stretches, stressed(stretches, coefficients, noise=1e4), settings())
    found = bootstrap_runs(fit, settings(bootstrap=4000), 4)
    assert (found.units, found.distinct) == ("boxes", 35)
    assert found.errors["C10 [Pa]"] == pytest.approx(shears[::3].std(ddof=1) / 4**0.5, rel=0.06)
    assert bootstrap_runs(fit, settings(), 2).units == "pulls"


def test_bootstrap_is_reproducible_by_its_seed() -> None:
    fit, _ = scattered(5)
    first, again, other = (bootstrap_runs(fit, settings(seed=seed), 1) for seed in (1, 1, 2))
    assert first == again
    assert first.errors != other.errors


def test_bootstrap_says_how_many_draws_differ() -> None:
    assert bootstrap_runs(scattered(1)[0], settings(), 1) is None
    few, many = (bootstrap_runs(scattered(runs)[0], settings(), 1) for runs in (3, 30))
    assert few.distinct == 10  # aaa bbb ccc aab aac bba bbc cca ccb abc
    assert many.distinct > 1e16
    for low, lower, upper, high in many.percentiles.values():
        assert low < lower < upper < high


def test_bootstrap_stays_within_the_bounds() -> None:
    stretches = pulled(1.05, 60, 6)
    fit = fit_mooney_rivlin(stretches, stressed(stretches, noise=4e7), settings())
    found = bootstrap_runs(fit, settings(), 1)
    assert found.percentiles["C01 [Pa]"][0] >= 0 and found.percentiles["C10 [Pa]"][0] >= 1e6


def test_errors_of_the_covariance_are_the_scatter_of_repeated_fits() -> None:
    stretches = pulled(1.15, 60, 3, volume_noise=0.01)
    repeated = [fit_mooney_rivlin(stretches, stressed(stretches, noise=2e6, seed=seed), settings()) for seed in range(200)]
    values = np.array([list(moduli(fit.free).values()) for fit in repeated])
    mean = np.mean([list(standard_errors(fit, None)[0].values()) for fit in repeated], axis=0)
    # the inefficiency is at least 1 by construction, so the errors lie a little above the scatter
    assert ((mean / values.std(axis=0)) > 0.9).all() and ((mean / values.std(axis=0)) < 1.4).all()


def test_the_larger_error_is_printed_and_named() -> None:
    fit, _ = scattered(5)  # hardly any noise, runs that differ
    bootstrap = bootstrap_runs(fit, settings(), 1)
    errors, sources = standard_errors(fit, bootstrap)
    alone, only = standard_errors(fit, None)
    assert set(only.values()) == {"covariance"}
    for name in MODULI:
        assert errors[name] == max(alone[name], bootstrap.errors[name])
        assert sources[name] == ("bootstrap" if bootstrap.errors[name] > alone[name] else "covariance")
    assert sources["kappa [Pa]"] == "bootstrap"


def test_moduli_are_those_of_small_strain() -> None:
    found = moduli(TRUE)
    shear, young, _ = small_strain_moduli(*TRUE)
    assert list(found) == list(MODULI)
    assert (found["kappa [Pa]"], found["Shear modulus [Pa]"], found["Young's modulus [Pa]"]) == (TRUE[2], shear, young)
