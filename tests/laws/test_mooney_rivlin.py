"""S.33 to S.37 against finite differences of the energy, and one test per misprint that the printed form fails."""

from __future__ import annotations

import numpy as np
import pytest

from ecmpipe.laws import mooney_rivlin as law
from tests.hyperelastic.samples import free_lateral_stretch

RNG = np.random.default_rng(7)
GRADIENTS = np.eye(3) + RNG.uniform(-0.25, 0.25, (40, 3, 3))
GENERALISED = {"C10": 0.7, "C01": 0.3, "C11": 0.2, "C20": 0.1, "C02": 0.05, "kappa1": 5.0, "kappa2": 2.0}
CASES = {
    "two parameters (S.37)": law.two_parameters(0.7, 0.3, 5.0),
    "generalised (S.33)": GENERALISED,
    "C10 only": {"C10": 1.0},
    "C01 only": {"C01": 1.0},
    "kappa only": {"kappa1": 1.0},
}
STRETCHES = RNG.uniform(0.8, 1.3, (30, 3))


def stress_by_differences(c: np.ndarray, material: dict[str, float]) -> np.ndarray:
    """2 dW/dC by central differences; W depends on C only, so F = sqrt(C) serves."""
    found = np.empty((3, 3))
    step = 1e-5
    for a in range(3):
        for b in range(3):
            move = np.zeros((3, 3))
            move[a, b] += step / 2
            move[b, a] += step / 2
            up, down = (law.energy(np.linalg.cholesky(c + sign * move).T, material) for sign in (1, -1))
            found[a, b] = (up - down) / step
    return found


@pytest.mark.parametrize("name", CASES)
def test_stress_is_the_derivative_of_the_energy(name: str) -> None:
    # S.36: fails with I3^(-1/3) in dJ2/dE ("C01 only") and with I3^(-1/2) in dJ/dE ("kappa only"), as the SI prints them
    for f in GRADIENTS:
        c = f.T @ f
        exact = law.second_piola_kirchhoff(c, CASES[name])
        assert np.allclose(exact, stress_by_differences(c, CASES[name]), rtol=1e-7, atol=1e-7 * np.abs(exact).max())


def test_erratum_s36_the_printed_derivatives_are_far_off() -> None:
    c = np.diag([1.3, 0.9, 1.2])
    i1, i2, i3 = law.principal_invariants(c)
    inverse = np.linalg.inv(c)
    printed_j2 = 2 * (i1 * np.eye(3) - c) * i3 ** (-1 / 3) - 4 / 3 * i2 * i3 ** (-2 / 3) * inverse
    printed_j = i3**-0.5 * inverse
    assert np.abs(printed_j2 - law.second_piola_kirchhoff(c, {"C01": 1.0})).max() > 0.05
    j = np.sqrt(i3)
    assert np.abs((j - 1) * printed_j - law.second_piola_kirchhoff(c, {"kappa1": 1.0})).max() > 0.05


def test_erratum_s34_invariants_of_a_known_stretch() -> None:
    # printed: J = I1 I3^(-1/3), which is 3 at rest, and "I1" for the second invariant
    assert np.allclose(law.invariants(np.eye(3)), [3, 3, 1])
    i1, i2, i3 = law.principal_invariants(np.diag([1.0, 2.0, 3.0]))
    assert (i1, i2) == (6, 11) and i3 == pytest.approx(6)
    f = np.diag([1.2, 0.9, 1.1])
    assert law.invariants(f.T @ f)[2] == pytest.approx(1.2 * 0.9 * 1.1)


def test_erratum_s33_a_constant_term_is_no_energy() -> None:
    # the sums of S.33 begin at p = q = 0, which would store C00 in a body at rest
    assert law.energy(np.eye(3), {"C00": 5.0, "C10": 1.0, "kappa1": 1.0}) == 0
    # with N_p = N_q = 1 they hold a mixed term too, which S.37 drops
    c = np.diag([1.3, 0.9, 1.2])
    i1, i2, i3 = law.principal_invariants(c)
    mixed = (i1 * i3 ** (-1 / 3) - 3) * (i2 * i3 ** (-2 / 3) - 3)
    assert law.energy(np.sqrt(c), {"C11": 2.0}) == pytest.approx(2 * mixed)
    assert "C11" not in law.two_parameters(1.0, 1.0, 1.0)


def test_cauchy_stress_s35_of_a_rotated_body_rotates() -> None:
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    for f in GRADIENTS[:5]:
        assert np.allclose(law.cauchy_stress(turn @ f, GENERALISED), turn @ law.cauchy_stress(f, GENERALISED) @ turn.T)


def diagonal(stretches: np.ndarray) -> np.ndarray:
    return stretches[..., None] * np.eye(3)


@pytest.mark.parametrize("name", [*GENERALISED, "C21", "kappa3"])
def test_principal_basis_s33_is_the_derivative_of_the_energy(name: str) -> None:
    # sigma_i = lambda_i/J dW/dlambda_i, by central differences of S.33
    step = 1e-5
    found = law.principal_basis(STRETCHES, [name])[..., 0]
    for axis in range(3):
        up, down = (law.energy(diagonal(STRETCHES + sign * step * np.eye(3)[axis]), {name: 1.0}) for sign in (1, -1))
        differences = (up - down) / (2 * step) * STRETCHES[:, axis] / np.prod(STRETCHES, axis=1)
        assert np.allclose(found[:, axis], differences, rtol=1e-7, atol=1e-7 * np.abs(found).max())


@pytest.mark.parametrize("name", CASES)
def test_principal_basis_times_the_coefficients_is_the_cauchy_stress(name: str) -> None:
    # two independent ways: principal stretches here, the tensors of S.36 there
    material = CASES[name]
    full = law.cauchy_stress(diagonal(STRETCHES), material)
    found = law.principal_basis(STRETCHES, list(material)) @ list(material.values())
    assert np.allclose(found, np.diagonal(full, axis1=1, axis2=2), rtol=1e-11, atol=1e-13)


def test_principal_basis_without_names_is_s37() -> None:
    assert np.array_equal(law.principal_basis(STRETCHES), law.principal_basis(STRETCHES, ["C10", "C01", "kappa1"]))


@pytest.mark.parametrize("name", CASES)
def test_tangent_is_the_derivative_of_the_kirchhoff_stress(name: str) -> None:
    material = CASES[name]

    def kirchhoff(logarithms: np.ndarray) -> np.ndarray:
        stretches = np.exp(logarithms)
        return np.prod(stretches, axis=-1)[..., None] * (law.principal_basis(stretches, list(material)) @ list(material.values()))

    exact, step, at = law.kirchhoff_tangent(STRETCHES, material), 1e-5, np.log(STRETCHES)
    for axis in range(3):
        move = step * np.eye(3)[axis]
        differences = (kirchhoff(at + move) - kirchhoff(at - move)) / (2 * step)
        assert np.allclose(exact[:, :, axis], differences, rtol=1e-7, atol=1e-7 * np.abs(exact).max())


def test_tangent_at_rest_has_the_moduli_as_eigenvalues() -> None:
    # closed form: 2 mu twice in shear, 3 kappa in volume; higher coefficients of S.33 have no part
    eigenvalues = np.linalg.eigvalsh(law.kirchhoff_tangent(np.ones(3), GENERALISED))
    shear = 2 * (GENERALISED["C10"] + GENERALISED["C01"])
    assert np.allclose(eigenvalues, [2 * shear, 2 * shear, 3 * GENERALISED["kappa1"]])


def test_baker_ericksen_is_the_quotient_of_the_differences_and_its_limit() -> None:
    # the inequality itself, Baker & Ericksen, J. Wash. Acad. Sci. 44, 33 (1954): (sigma_i - sigma_j)(lambda_i - lambda_j) > 0
    names, values = list(GENERALISED), list(GENERALISED.values())
    nearly_equal = np.array([[1.1, 1.1 + 1e-6, 0.9], [1.2, 0.95, 0.95 + 1e-6], [1 + 1e-6, 1.05, 1.0]])
    for stretches in (*STRETCHES, *nearly_equal):
        stress = law.principal_basis(stretches, names) @ values
        for across, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
            quotient = (stress[i] - stress[j]) / (stretches[i] ** 2 - stretches[j] ** 2)
            assert law.baker_ericksen(stretches, GENERALISED)[across] == pytest.approx(quotient, rel=1e-8)
    assert np.allclose(law.baker_ericksen(np.ones(3), GENERALISED), 2 * (0.7 + 0.3))


def test_a_material_that_breaks_baker_ericksen_and_one_that_breaks_drucker() -> None:
    # C01 = -0.6 C10: in shear stable at rest, but the larger stress comes to stand across the smaller of two stretches
    turned = law.two_parameters(1.0, -0.6, 50.0)
    assert (law.baker_ericksen(np.ones(3), turned) > 0).all()
    stretches = np.array([1.4, 0.86, 0.83])
    stress = law.principal_basis(stretches) @ list(turned.values())
    assert (stress[1] - stress[2]) * (stretches[1] - stretches[2]) < 0
    assert law.baker_ericksen(stretches, turned)[0] < 0
    # C20 < 0: the axial stress of a bar with free faces has a maximum, beyond which Drucker's product is negative; Baker-Ericksen holds
    softening = {"C10": 1.0, "C20": -1.0, "kappa1": 50.0}
    axial = np.linspace(1.01, 1.3, 30)
    lateral = free_lateral_stretch(axial, softening)
    path = np.stack([axial, lateral, lateral], axis=1)
    load = (law.principal_basis(path, list(softening)) @ list(softening.values()))[:, 0] * np.prod(path, axis=1)
    after = np.diff(load) < 0
    assert after.any() and not after.all()
    assert (law.drucker(path[1:][after], softening) < 0).all()
    assert law.drucker(path[0], softening) > 0
    first = path[1:][after][0]
    assert (law.baker_ericksen(first, softening) > 0).all()


def test_s37_with_positive_coefficients_is_stable_where_the_pulls_go() -> None:
    stretches = RNG.uniform(0.85, 1.15, (500, 3))
    material = law.two_parameters(0.15, 0.04, 3.0)
    assert (law.baker_ericksen(stretches, material) > 0).all()
    assert (law.drucker(stretches[np.prod(stretches, axis=1) > 0.6], material) > 0).all()


@pytest.mark.parametrize("poisson", [0.0, 0.3, 0.499])
def test_free_faces_are_free_and_contract_by_the_poisson_ratio(poisson: float) -> None:
    shear = 2 * (0.15 + 0.04)
    material = law.two_parameters(0.15, 0.04, 2 * shear * (1 + poisson) / (3 * (1 - 2 * poisson)))
    axial = np.array([0.9, 1.0, 1 + 1e-5, 1.15, 2.0])
    lateral = free_lateral_stretch(axial, material)
    stress = law.principal_basis(np.stack([axial, lateral, lateral], axis=1)) @ list(material.values())
    assert np.abs(stress[:, 1]).max() < 1e-9
    assert lateral[1] == 1 and (1 - lateral[2]) / 1e-5 == pytest.approx(poisson, abs=1e-4)


def test_small_strain_moduli_are_the_slope_of_the_stress() -> None:
    c10, c01, kappa = 0.7, 0.3, 5.0
    shear, young, poisson = law.small_strain_moduli(c10, c01, kappa)
    step = 1e-6
    stretches = np.array([1 + step, 1 - poisson * step, 1 - poisson * step])
    axial, lateral, _ = law.principal_basis(stretches) @ [c10, c01, kappa]
    assert axial / step == pytest.approx(young, rel=1e-4)
    assert abs(lateral) < 1e-4 * axial
    assert shear == 2 * (c10 + c01) and young == pytest.approx(2 * shear * (1 + poisson))
