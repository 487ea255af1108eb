"""S.32 against the definition of stress: the derivative of the energy with strain."""

from __future__ import annotations

import numpy as np
import pytest

from ecmpipe.laws.virial import cauchy_stress, virial_stress

RNG = np.random.default_rng(1)
PLACES = RNG.uniform(0, 1, (6, 3)) + np.arange(6)[:, None]
FIRST, SECOND = np.triu_indices(6, 1)


def pair_energy(places: np.ndarray) -> float:
    return float((1 / np.linalg.norm(places[FIRST] - places[SECOND], axis=1) ** 4).sum())


def pair_forces(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    gaps = places[FIRST] - places[SECOND]
    return gaps, 4 * gaps / np.linalg.norm(gaps, axis=1)[:, None] ** 6


@pytest.mark.parametrize("a", range(3))
@pytest.mark.parametrize("b", range(3))
def test_stress_is_the_derivative_of_the_energy(a: int, b: int) -> None:
    step = 1e-6
    strain = np.zeros((3, 3))
    strain[a, b] = step
    plus, minus = PLACES @ (np.eye(3) + strain).T, PLACES @ (np.eye(3) - strain).T
    volume = 7.0
    expected = (pair_energy(plus) - pair_energy(minus)) / (2 * step) / volume
    pairs, forces = pair_forces(PLACES)
    found = virial_stress(np.ones(6), np.zeros((6, 3)), pairs, forces, volume)
    assert found[a, b] == pytest.approx(expected, rel=1e-6)


def test_erratum_s32_a_repulsive_box_is_in_compression() -> None:
    # S.32 as printed adds + r_ij F_ij / 2 over ordered pairs, with F_ij on i: that makes repulsion a tension.
    pairs, forces = pair_forces(PLACES)
    found = np.trace(virial_stress(np.ones(6), np.zeros((6, 3)), pairs, forces, 1.0))
    printed = np.trace(np.einsum("ma,mb->ab", pairs, forces))
    assert found < 0 < printed


def test_kinetic_part_is_the_ideal_gas() -> None:
    velocities = RNG.normal(size=(50_000, 3))
    found = virial_stress(np.full(50_000, 2.0), velocities, np.zeros((0, 3)), np.zeros((0, 3)), 3.0)
    assert np.allclose(found, -2.0 * 50_000 / 3.0 * np.eye(3), atol=600)


def test_tension_is_positive_where_an_engine_gives_negative_pressure() -> None:
    assert np.array_equal(cauchy_stress(np.array([-5.0, 2.0])), [5.0, -2.0])
