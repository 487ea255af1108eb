"""The fit of S.37 on curves whose coefficients are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

from ecmpipe.cards import CellCard, HyperelasticCard, read_card, read_curve, write_card
from ecmpipe.errors import CardError, ConvergenceError
from ecmpipe.hyperelastic.fit import fit_card, fit_mooney_rivlin, is_identifiable
from ecmpipe.laws.mooney_rivlin import principal_basis, small_strain_moduli
from ecmpipe.settings.hyperelastic import FitStep, HyperelasticSettings

SETTINGS = HyperelasticSettings.model_validate(
    {
        "bins": 20,
        "smallest_C10 [Pa]": 1e6,
        "smallest_C01 [Pa]": 0,
        "smallest_poisson_ratio [1]": 0,
        "largest_correlation [1]": 0.9999,
        "largest_relative_error [1]": 0.5,
    }
)
STEP = FitStep(version=1, fit=SETTINGS, strain_rate=1e10)
TRUE = np.array([1.5e8, 4e7, 3e9])


def pulled(end: float, points: int, runs: int, coefficients: np.ndarray = TRUE, volume_noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Stretches (runs, points, 3) with free lateral faces, plus a barostat's volume noise."""
    axial = np.linspace(1, end, points)
    lateral = np.array([brentq(lambda t, a=a: (principal_basis(np.array([a, t, t])) @ coefficients)[1], 0.7, 1.2) for a in axial])
    stretches = np.repeat(np.stack([axial, lateral, lateral], axis=1)[None], runs, axis=0)
    noise = np.random.default_rng(seed).normal(0, volume_noise, (runs, points, 1))
    stretches[:, :, 1:] *= 1 + noise / 2
    return stretches


def test_recovers_exact_data_to_rounding() -> None:
    stretches = pulled(1.15, 40, 3, volume_noise=0.01)
    offsets = np.array([1e7, -2e7, 3e7])
    fit = fit_mooney_rivlin(stretches, principal_basis(stretches) @ TRUE + offsets, SETTINGS)
    assert np.allclose(fit.coefficients, TRUE, rtol=1e-6)
    assert np.allclose(fit.offsets, offsets, rtol=1e-6)
    assert fit.at_bound == [] and is_identifiable(fit, SETTINGS)


def test_errors_cover_the_truth() -> None:
    stretches = pulled(1.15, 60, 3, volume_noise=0.01)
    exact = principal_basis(stretches) @ TRUE
    inside = 0
    for seed in range(100):
        fit = fit_mooney_rivlin(stretches, exact + np.random.default_rng(seed).normal(0, 2e7, exact.shape), SETTINGS)
        inside += abs(fit.free[2] - TRUE[2]) < 2 * fit.covariance[2, 2] ** 0.5
    assert inside >= 90


def test_slow_noise_widens_the_errors() -> None:
    stretches = pulled(1.15, 200, 2)
    exact = principal_basis(stretches) @ TRUE
    rng = np.random.default_rng(3)
    white = rng.normal(0, 2e7, exact.shape)
    slow = np.repeat(rng.normal(0, 2e7, (2, 20, 3)), 10, axis=1)
    narrow, wide = (fit_mooney_rivlin(stretches, exact + noise, SETTINGS) for noise in (white, slow))
    assert narrow.inefficiency < 3 and wide.inefficiency > 5
    assert wide.covariance[2, 2] > 3 * narrow.covariance[2, 2]


def test_a_short_noisy_pull_is_not_identifiable_but_usable() -> None:
    stretches = pulled(1.05, 100, 3)
    noise = np.random.default_rng(5).normal(0, 3e7, stretches.shape)
    fit = fit_mooney_rivlin(stretches, principal_basis(stretches) @ TRUE + noise, SETTINGS)
    assert not is_identifiable(fit, SETTINGS)
    assert abs(fit.correlation) > 0.99


@pytest.mark.parametrize("seed", range(20))
def test_any_stress_gives_a_stable_material(seed: int) -> None:
    stretches = pulled(1.05, 30, 1, volume_noise=0.005, seed=seed)
    fit = fit_mooney_rivlin(stretches, np.random.default_rng(seed).normal(0, 3e8, stretches.shape), SETTINGS)
    c10, c01, kappa = fit.coefficients
    assert c10 >= SETTINGS.smallest_c10 and c01 >= 0 and kappa > 0
    assert small_strain_moduli(c10, c01, kappa)[2] >= -1e-12
    assert bool(fit.at_bound) == bool(np.any(np.abs(fit.coefficients - fit.free) > 1e-3 * np.abs(fit.coefficients).max()))


def test_too_little_data_is_said() -> None:
    with pytest.raises(ConvergenceError, match="too few"):
        fit_mooney_rivlin(np.ones((1, 20, 3)), np.zeros((1, 20, 3)), SETTINGS)


def written(folder: Path, stretches: np.ndarray, stresses: np.ndarray, axis: int) -> Path:
    table = {"Time [s]": np.arange(len(stretches)) * 1e-12}
    turned = [(column - axis) % 3 for column in range(3)]
    table |= {f"Stretch {name} [1]": stretches[:, turned[index]] for index, name in enumerate("xyz")}
    table |= {f"Stress {name}{name} [Pa]": stresses[:, turned[index]] for index, name in enumerate("xyz")}
    table["Temperature [K]"] = np.full(len(stretches), 300.0)
    path = folder / f"{'xyz'[axis]}_0.csv"
    pd.DataFrame(table).to_csv(path, index=False)
    return path


def cell_file(folder: Path) -> Path:
    card = {
        "polymer": "pdms",
        "engine": "LAMMPS",
        "Atoms [1]": 606,
        "Chains [1]": 3,
        "Density [kg.m-3]": 940,
        "Box lengths [m]": [2e-9] * 3,
        "Net charge [e]": 0,
        "seed": 1,
        "torsion_mode": "linear_safe",
    }
    write_card(folder / "cell.json", CellCard.model_validate(card))
    return folder / "cell.json"


def test_card_and_curve(tmp_path: Path) -> None:
    stretches = pulled(1.15, 40, 3, volume_noise=0.005)
    stresses = principal_basis(stretches) @ TRUE
    runs = [written(tmp_path, stretches[axis], stresses[axis], axis) for axis in range(3)]
    out, curve = tmp_path / "pdms.json", tmp_path / "pdms_curve.csv"
    fit_card(STEP, polymer="pdms", cell=cell_file(tmp_path), runs=runs, output=out, output_curve=curve)
    card = read_card(HyperelasticCard, out)
    assert card.c10 == pytest.approx(TRUE[0], rel=1e-6) and card.kappa == pytest.approx(TRUE[2], rel=1e-6)
    assert (card.runs, card.strain_rate, card.density) == (3, 1e10, 940)
    assert np.allclose(card.covariance, np.transpose(card.covariance))
    table = read_curve(curve, ["Stretch axial [1]", "Stress lateral [Pa]", "Scatter axial [Pa]"])
    for name in ("axial", "lateral 2", "lateral 3", "lateral"):
        assert np.allclose(table[f"Fit {name} [Pa]"], table[f"Stress {name} [Pa]"], atol=1e3)
    json.loads(out.read_text())


def test_runs_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    short, long = pulled(1.05, 40, 1)[0], pulled(1.15, 40, 1)[0]
    runs = [written(tmp_path, short, short, 0), written(tmp_path, long, long, 1)]
    with pytest.raises(CardError, match="another end"):
        fit_card(STEP, polymer="pdms", cell=cell_file(tmp_path), runs=runs, output=tmp_path / "a.json", output_curve=tmp_path / "b.csv")
