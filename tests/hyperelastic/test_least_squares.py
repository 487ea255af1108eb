"""The fit of S.37 and S.33 on pulls whose coefficients are known."""

from __future__ import annotations

import numpy as np
import pytest

from ecmpipe.errors import ConvergenceError
from ecmpipe.hyperelastic.least_squares import fit_mooney_rivlin
from ecmpipe.hyperelastic.uncertainty import is_identifiable, standard_errors
from ecmpipe.laws.mooney_rivlin import principal_basis, small_strain_moduli
from tests.hyperelastic.samples import GENERALISED, TRUE, pulled, settings, stressed


def test_recovers_exact_data_to_rounding() -> None:
    stretches = pulled(1.15, 40, 3, volume_noise=0.01)
    offsets = np.array([1e7, -2e7, 3e7])
    fit = fit_mooney_rivlin(stretches, stressed(stretches) + offsets, settings())
    assert np.allclose(fit.coefficients, TRUE, rtol=1e-6)
    assert np.allclose(fit.offsets, offsets, rtol=1e-6)
    assert fit.at_bound == [] and is_identifiable(fit, standard_errors(fit, None)[0], settings())


def test_recovers_a_generalised_material_to_rounding() -> None:
    stretches = pulled(1.15, 80, 3, volume_noise=0.02)
    exact = principal_basis(stretches, list(GENERALISED)) @ list(GENERALISED.values())
    fit = fit_mooney_rivlin(stretches, exact - 2e7, settings(), list(GENERALISED))
    assert fit.names == tuple(GENERALISED) and fit.at_bound == []
    for name, value in GENERALISED.items():
        assert fit.material[name] == pytest.approx(value, rel=1e-6), name


def test_is_the_ordinary_least_squares_with_the_residual_stresses_as_unknowns() -> None:
    # the same problem as one dense matrix, by numpy
    stretches = pulled(1.15, 50, 4, volume_noise=0.01)
    stresses = stressed(stretches, noise=3e5)
    columns = np.einsum("rs,ab->rasb", np.eye(4), np.eye(3)).reshape(4, 1, 3, 12)
    matrix = np.concatenate([principal_basis(stretches), np.broadcast_to(columns, (4, 50, 3, 12))], axis=3).reshape(-1, 15)
    solution, squares, _, _ = np.linalg.lstsq(matrix, stresses.ravel())
    fit = fit_mooney_rivlin(stretches, stresses, settings())
    assert np.allclose(fit.free, solution[:3], rtol=1e-8)
    covariance = squares[0] / (stresses.size - 15) * np.linalg.inv(matrix.T @ matrix)[:3, :3]
    assert np.allclose(fit.covariance / fit.inefficiency, covariance, rtol=1e-6, atol=1e-10 * covariance.max())
    assert fit.at_bound == [] and np.allclose(fit.coefficients, solution[:3], rtol=1e-8)
    assert np.allclose(fit.offsets.ravel(), solution[3:], rtol=1e-6)


def test_errors_cover_the_truth() -> None:
    # notes/md.md section 9: within 2 sigma in at least 90 of 100 seeds
    stretches = pulled(1.15, 60, 3, volume_noise=0.01)
    truth = np.array([*TRUE, 2 * (TRUE[0] + TRUE[1])])
    combine = np.vstack([np.eye(3), [2, 2, 0]])
    inside = np.zeros(4, dtype=int)
    for seed in range(100):
        fit = fit_mooney_rivlin(stretches, stressed(stretches, noise=2e7, seed=seed), settings())
        errors = np.sqrt(np.diag(combine @ fit.covariance @ combine.T))
        inside += np.abs(combine @ fit.free - truth) < 2 * errors
    assert (inside >= 90).all(), inside


def test_slow_noise_widens_the_errors() -> None:
    stretches = pulled(1.15, 200, 2)
    exact = stressed(stretches)
    rng = np.random.default_rng(3)
    white = rng.normal(0, 2e7, exact.shape)
    slow = np.repeat(rng.normal(0, 2e7, (2, 20, 3)), 10, axis=1)
    narrow, wide = (fit_mooney_rivlin(stretches, exact + noise, settings()) for noise in (white, slow))
    assert narrow.inefficiency < 3 and wide.inefficiency > 5
    assert wide.covariance[2, 2] > 3 * narrow.covariance[2, 2]


@pytest.mark.parametrize(("runs", "noise"), [(30, 11e6), (1, 2e6)])
def test_pdms_of_the_paper_cannot_tell_c10_from_c01(runs: int, noise: float) -> None:
    # notes/md.md sections 4 and 5: 5 % and 200 points; at the SI's size one pull has 11 MPa of noise, the mean of 30 pulls 2 MPa
    pdms = np.array([1.6e7, 4e6, 1.2e9])  # mu = 40 MPa
    stretches = pulled(1.05, 200, runs, pdms, volume_noise=0.002)
    fit = fit_mooney_rivlin(stretches, stressed(stretches, pdms, noise=noise, seed=4), settings())
    assert not is_identifiable(fit, standard_errors(fit, None)[0], settings())
    assert abs(fit.correlation) > 0.9999
    assert fit.coefficients[2] == pytest.approx(1.2e9, rel=0.1)


def test_a_long_clean_pull_tells_them_apart() -> None:
    stretches = pulled(1.15, 200, 1, volume_noise=0.002)
    fit = fit_mooney_rivlin(stretches, stressed(stretches, noise=2e5, seed=4), settings())
    assert is_identifiable(fit, standard_errors(fit, None)[0], settings())
    assert fit.coefficients[0] == pytest.approx(TRUE[0], rel=0.1)


@pytest.mark.parametrize("seed", range(20))
def test_any_stress_gives_a_material_that_is_stable_at_rest(seed: int) -> None:
    stretches = pulled(1.05, 30, 1, volume_noise=0.005, seed=seed)
    fit = fit_mooney_rivlin(stretches, np.random.default_rng(seed).normal(0, 3e8, stretches.shape), settings())
    c10, c01, kappa = fit.coefficients
    assert c10 >= settings().smallest_c10 and c01 >= 0 and kappa > 0
    assert small_strain_moduli(c10, c01, kappa)[2] >= -1e-12
    assert bool(fit.at_bound) == bool(np.any(np.abs(fit.coefficients - fit.free) > 1e-3 * np.abs(fit.coefficients).max()))


@pytest.mark.parametrize("names", [["C10", "C01", "kappa1"], ["C10", "C20", "kappa1"]])
def test_too_little_data_is_said(names: list[str]) -> None:
    with pytest.raises(ConvergenceError, match=f"too few or too similar points for a fit of {', '.join(names)}; pull further"):
        fit_mooney_rivlin(np.ones((1, 20, 3)), np.zeros((1, 20, 3)), settings(), names)


def test_averaging_the_curves_loses_what_kappa_rests_on() -> None:
    # n runs leave 1/n of the squared volume fluctuation in their mean: its kappa scatters more from data set to data set
    joint, averaged = [], []
    for seed in range(30):
        stretches = pulled(1.15, 60, 9, volume_noise=0.02, seed=seed)
        stresses = stressed(stretches, noise=4e7, seed=seed)
        joint.append(fit_mooney_rivlin(stretches, stresses, settings()).coefficients[2])
        mean = [values.mean(axis=0)[None] for values in (stretches, stresses)]
        averaged.append(fit_mooney_rivlin(*mean, settings()).coefficients[2])
    assert np.std(averaged) > 2 * np.std(joint)
    assert np.mean(joint) == pytest.approx(TRUE[2], rel=0.01)
