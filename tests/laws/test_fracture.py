"""Splits, degradation, history and strength (S.20-S.31) against finite differences and closed forms."""

import numpy as np
import pytest

from ecmpipe.laws import fracture

LAM, MU = fracture.lame(113e9, 0.25)
NORMAL, TANGENT = np.array([0.6, 0.8, 0.0]), np.array([-0.8, 0.6, 0.0])
RANDOM = np.random.default_rng(1)
STATES = {
    "general": np.array([[1e-3, 4e-4, 0], [4e-4, -5e-4, 0], [0, 0, 3e-4]]),
    "equal eigenvalues": np.diag([1e-3, 1e-3, 1e-3]),
    "two equal": np.diag([1e-3, 1e-3, -2e-4]),
    "compression": np.diag([-1e-3, -2e-3, -1e-3]),
    "pure shear": np.array([[0, 1e-3, 0], [1e-3, 0, 0], [0, 0, 0.0]]),
    "zz only": np.diag([0.0, 0.0, 5e-3]),
}


def split(name, strain):
    if name == "spectral":
        return fracture.spectral_energies(strain, LAM, MU), fracture.spectral_stresses(strain, LAM, MU)
    return (
        fracture.directional_energies(strain, LAM, MU, NORMAL, TANGENT),
        fracture.directional_stresses(strain, LAM, MU, NORMAL, TANGENT),
    )


@pytest.mark.parametrize("name", ["spectral", "directional"])
@pytest.mark.parametrize("state", [*STATES, "zero"])
def test_s21_to_s25_stress_is_the_derivative_of_the_energy(name, state):
    strain = STATES.get(state, np.zeros((3, 3)))
    energies, stresses = split(name, strain)
    assert sum(energies) == pytest.approx(fracture.elastic_energy(strain, LAM, MU), rel=1e-12, abs=1e-9)  # S.21
    scale = 2 * MU * 1e-3
    for sign in (0, 1):
        for _ in range(4):
            direction = RANDOM.normal(size=(3, 3))
            direction = direction + direction.T
            h = 1e-10
            up, down = split(name, strain + h * direction)[0][sign], split(name, strain - h * direction)[0][sign]
            assert (up - down) / (2 * h) == pytest.approx(np.sum(stresses[sign] * direction), abs=2e-6 * scale)


def test_s22_to_s25_eps_zz_enters_trace_split_and_energy():
    # Plane strain with eps_zz = -eps_chem; leaving it out loses 58 % of this energy.
    e = 5e-3
    with_zz, without = np.diag([e, e, e]), np.diag([e, e, 0.0])
    assert fracture.spectral_energies(with_zz, LAM, MU)[0] > 1.5 * fracture.spectral_energies(without, LAM, MU)[0]
    assert fracture.spectral_parts(with_zz)[0][2, 2] == pytest.approx(e)  # S.24 sums over a = 1..3


def test_s24_s25_parts_add_up_to_the_strain():
    for strain in STATES.values():
        plus, minus = fracture.spectral_parts(strain)
        assert np.allclose(plus + minus, strain, atol=1e-18)
        assert np.linalg.eigvalsh(plus).min() >= -1e-18
        assert np.linalg.eigvalsh(minus).max() <= 1e-18


def test_directional_split_ignores_strain_along_the_interface():
    # In-plane and out-of-plane tension at zero normal traction does not drive the crack; the Miehe split of S.22 counts it.
    stress = np.diag([200e6, 0.0, 200e6])
    normal, tangent = np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0])
    strain = (stress - LAM / (3 * LAM + 2 * MU) * np.trace(stress) * np.eye(3)) / (2 * MU)
    assert fracture.directional_energies(strain, LAM, MU, normal, tangent)[0] < 1e-9
    assert fracture.spectral_energies(strain, LAM, MU)[0] > 1e5


def test_s20_crack_density_of_the_optimal_profile_is_one():
    # int gamma over d = exp(-|x|/l) is 1; printed without the l in the gradient term it is 1/2 + 1/(2 l2).
    ell = 0.1e-6
    x = np.linspace(-40 * ell, 40 * ell, 400001)
    d = np.exp(-np.abs(x) / ell)
    assert np.trapezoid(fracture.crack_density(d, (d / ell) ** 2, ell), x) == pytest.approx(1.0, abs=1e-4)


def test_s26_s27_degradation_and_history():
    assert fracture.degraded_energy(0.0, 3.0, 2.0, 0.0) == 5.0
    assert fracture.degraded_energy(1.0, 3.0, 2.0, 1e-6) == pytest.approx(2.0 + 3e-6)
    assert list(fracture.update_history(np.array([1.0, 4.0]), np.array([2.0, 3.0]))) == [2.0, 4.0]


def test_s28_s29_s31_signs_and_halves():
    # The uniform d of S.31 must minimise Pi of S.28/S.29; with -G_c gamma or with half of psi it does not.
    ell, g_c, history = 0.1e-6, 0.5, 1e6
    d = fracture.uniform_crack_field(history, g_c, ell)

    def pi(value, crack_sign=1.0, half=1.0):
        bulk = half * fracture.degraded_energy(value, history, 0.0, 0.0)
        return fracture.total_energy(bulk, value, 0.0, crack_sign * g_c, ell, np.ones(1))

    h = 1e-4
    assert pi(d) < min(pi(d - h), pi(d + h))
    assert not pi(d, crack_sign=-1) < min(pi(d - h, -1), pi(d + h, -1))
    assert not pi(d, half=0.5) < min(pi(d - h, half=0.5), pi(d + h, half=0.5))


def test_s29_has_no_separate_chemical_energy():
    # A freely shrunk body is stress-free and stores nothing; the printed -1/2 Y eps2 would give it an energy.
    strain = -0.01 * np.eye(3)
    assert fracture.elastic_energy(strain + 0.01 * np.eye(3), LAM, MU) == 0


def test_at2_strength_is_the_peak_of_the_uniform_bar():
    modulus, g_c, ell = 113e9, 0.5, 0.1e-6
    strain = np.linspace(0, 0.02, 200001)
    d = fracture.uniform_crack_field(0.5 * modulus * strain**2, g_c, ell)
    stress = (1 - d) ** 2 * modulus * strain
    peak = stress.argmax()
    assert stress[peak] == pytest.approx(fracture.at2_strength(modulus, g_c, ell), rel=1e-8)
    assert d[peak] == pytest.approx(0.25, abs=1e-4)


def test_series_modulus_keeps_the_compliance_of_the_pair():
    first, second = fracture.lame(113e9, 0.25), fracture.lame(15e9, 0.35)
    lam, mu = fracture.series_lame(first, second)
    assert 2 / (lam + 2 * mu) == pytest.approx(sum(1 / (a + 2 * b) for a, b in (first, second)))
    assert 2 / mu == pytest.approx(1 / first[1] + 1 / second[1])
    assert 3 * lam + 2 * mu > 0


def test_smoothstep_ends():
    assert list(fracture.smoothstep(np.array([-1.0, 0.0, 0.5, 1.0, 2.0]))) == [0, 0, 0.5, 1, 1]


@pytest.mark.parametrize(("half_width", "ratio"), [(1.2, 16.0), (2.4, 16.0), (3.0, 0.5)])
def test_band_formula_against_a_one_dimensional_solution(half_width, ratio):
    # Energy of a crack (d = 1 at x = 0) in a band of toughness 1 between neighbours of toughness r, one side, l = 1.
    x = np.linspace(0, 12, 6001)
    h = x[1] - x[0]
    g_c = np.where(0.5 * (x[1:] + x[:-1]) < half_width, 1.0, ratio)
    main = np.zeros(len(x))
    main[:-1] += g_c * (1 / h + h / 3)
    main[1:] += g_c * (1 / h + h / 3)
    off = g_c * (-1 / h + h / 6)
    lower, diagonal, right = off[1:], main[1:].copy(), np.zeros(len(x) - 1)
    right[0] = -off[0]
    for i in range(1, len(diagonal)):  # elimination of a tridiagonal matrix
        factor = lower[i - 1] / diagonal[i - 1]
        diagonal[i] -= factor * lower[i - 1]
        right[i] -= factor * right[i - 1]
    field = np.ones(len(x))
    field[-1] = right[-1] / diagonal[-1]
    for i in range(len(diagonal) - 2, -1, -1):
        field[i + 1] = (right[i] - lower[i] * field[i + 2]) / diagonal[i]
    energy = sum(g_c * (np.diff(field) ** 2 / (2 * h) + h / 6 * (field[:-1] ** 2 + field[:-1] * field[1:] + field[1:] ** 2)))
    assert 2 * energy == pytest.approx(fracture.band_toughness_factor(half_width, 1.0, ratio), rel=1e-4)
