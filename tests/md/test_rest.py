"""The verdict on a box at rest, on series whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import constants

from ecmpipe.md.rest import energy_drift, judge
from ecmpipe.settings.md import EquilibriumSettings

SETTINGS = EquilibriumSettings.model_validate({"discard [1]": 0.25, "halves [1]": 0.01, "drift [1]": 0.02, "extensions": 3})
WINDOW = 5e-14


def rows(density: np.ndarray) -> pd.DataFrame:
    length = (1e-23 / density) ** (1 / 3)
    return pd.DataFrame({"density": density, "temperature": np.full(len(density), 300.0)} | {f"length_{axis}": length for axis in "xyz"})


def test_noise_about_a_mean_is_rest_and_its_error_is_that_of_independent_blocks() -> None:
    noise = np.random.default_rng(1).normal(0, 10, 400)
    rest = judge(rows(1000 + noise), WINDOW, 2e-12, SETTINGS)
    assert rest.calm and rest.density == pytest.approx(1000, abs=3 * 10 / 300**0.5)
    assert rest.density_error == pytest.approx(10 / 300**0.5, rel=0.6)
    assert rest.time == pytest.approx(300 * WINDOW)


@pytest.mark.parametrize(
    ("density", "why"),
    [
        (np.linspace(1000, 1040, 200), "a slope"),
        (np.where(np.arange(200) < 125, 1000.0, 1011.0), "two halves"),
        (1000 + 40 * np.sin(np.linspace(0, 2 * np.pi, 200)), "a swing as long as the run"),
    ],
)
def test_a_density_that_moves_is_not_at_rest(density: np.ndarray, why: str) -> None:
    assert not judge(rows(density), WINDOW, 2e-12, SETTINGS).calm, why


def test_a_short_run_proves_nothing() -> None:
    flat = rows(np.full(200, 1000.0) + np.random.default_rng(2).normal(0, 1, 200))
    assert judge(flat, WINDOW, 2e-12, SETTINGS).calm and not judge(flat, WINDOW, 1e-11, SETTINGS).calm


def test_bulk_modulus_is_the_volume_fluctuation_formula() -> None:
    # <dV2> = k T V / K of an isothermal-isobaric box, drawn with K = 2 GPa
    volume, modulus = 8e-27, 2e9
    drawn = np.random.default_rng(3).normal(volume, (constants.k * 300 * volume / modulus) ** 0.5, 20_000)
    assert judge(rows(1e-23 / drawn), WINDOW, 0, SETTINGS).bulk_modulus == pytest.approx(modulus, rel=0.05)


def test_error_of_the_bulk_modulus_knows_how_slowly_the_volume_moves() -> None:
    # an autoregressive volume, x -> a x + noise, has the autocorrelation a^lag: the squares sum to 2 a2 / (1 - a2) + 1 = 1.81 / 0.19
    draw, found = np.random.default_rng(4), []
    for _ in range(200):
        noise, volume = draw.normal(0, 1, 800), np.zeros(800)
        for step in range(1, 800):
            volume[step] = 0.9 * volume[step - 1] + noise[step]
        found.append(judge(rows(1e-23 / (8e-27 * (1 + 1e-3 * volume))), WINDOW, 0, SETTINGS))
    moduli = np.array([rest.bulk_modulus for rest in found])
    errors = np.array([rest.bulk_modulus_error for rest in found])
    assert errors.mean() == pytest.approx(moduli.std(ddof=1), rel=0.2)
    assert errors.mean() / moduli.mean() == pytest.approx((2 / 600 * 1.81 / 0.19) ** 0.5, rel=0.15)


def test_energy_drift_is_the_slope() -> None:
    table = pd.DataFrame({"energy": -3e-17 + 3e-9 * np.arange(50) * WINDOW})
    assert energy_drift(table, WINDOW) == pytest.approx(3e-9, rel=1e-6)
