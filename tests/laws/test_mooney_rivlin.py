"""S.33 to S.37 against finite differences of the energy, and one test per misprint that the printed form fails."""

from __future__ import annotations

import numpy as np
import pytest

from ecmpipe.laws import mooney_rivlin as law

RNG = np.random.default_rng(7)
GRADIENTS = np.eye(3) + RNG.uniform(-0.25, 0.25, (40, 3, 3))
CASES = {
    "two parameters (S.37)": law.two_parameters(0.7, 0.3, 5.0),
    "generalised (S.33)": ({(1, 0): 0.7, (0, 1): 0.3, (1, 1): 0.2, (2, 0): 0.1, (0, 2): 0.05}, [5.0, 2.0]),
    "C10 only": ({(1, 0): 1.0}, []),
    "C01 only": ({(0, 1): 1.0}, []),
    "kappa only": ({}, [1.0]),
}


def stress_by_differences(c: np.ndarray, c_pq, kappa_m) -> np.ndarray:
    """2 dW/dC by central differences; W depends on C only, so F = sqrt(C) serves."""
    found = np.empty((3, 3))
    step = 1e-5
    for a in range(3):
        for b in range(3):
            move = np.zeros((3, 3))
            move[a, b] += step / 2
            move[b, a] += step / 2
            up, down = (law.energy(np.linalg.cholesky(c + sign * move).T, c_pq, kappa_m) for sign in (1, -1))
            found[a, b] = (up - down) / step
    return found


@pytest.mark.parametrize("name", CASES)
def test_stress_is_the_derivative_of_the_energy(name: str) -> None:
    # S.36: fails with I3^(-1/3) in dJ2/dE ("C01 only") and with I3^(-1/2) in dJ/dE ("kappa only"), as the SI prints them
    c_pq, kappa_m = CASES[name]
    for f in GRADIENTS:
        c = f.T @ f
        exact = law.second_piola_kirchhoff(c, c_pq, kappa_m)
        assert np.allclose(exact, stress_by_differences(c, c_pq, kappa_m), rtol=1e-7, atol=1e-7 * np.abs(exact).max())


def test_erratum_s36_the_printed_derivatives_are_far_off() -> None:
    c = np.diag([1.3, 0.9, 1.2])
    i1, i2, i3 = law.principal_invariants(c)
    inverse = np.linalg.inv(c)
    printed_j2 = 2 * (i1 * np.eye(3) - c) * i3 ** (-1 / 3) - 4 / 3 * i2 * i3 ** (-2 / 3) * inverse
    printed_j = i3**-0.5 * inverse
    assert np.abs(printed_j2 - law.second_piola_kirchhoff(c, {(0, 1): 1.0}, [])).max() > 0.05
    j = np.sqrt(i3)
    assert np.abs((j - 1) * printed_j - law.second_piola_kirchhoff(c, {}, [1.0])).max() > 0.05


def test_erratum_s34_invariants_of_a_known_stretch() -> None:
    # printed: J = I1 I3^(-1/3), which is 3 at rest, and "I1" for the second invariant
    assert np.allclose(law.invariants(np.eye(3)), [3, 3, 1])
    i1, i2, i3 = law.principal_invariants(np.diag([1.0, 2.0, 3.0]))
    assert (i1, i2) == (6, 11) and i3 == pytest.approx(6)
    f = np.diag([1.2, 0.9, 1.1])
    assert law.invariants(f.T @ f)[2] == pytest.approx(1.2 * 0.9 * 1.1)


def test_erratum_s33_a_constant_term_is_no_energy() -> None:
    # the sums of S.33 begin at p = q = 0, which would store C00 in a body at rest
    assert law.energy(np.eye(3), {(0, 0): 5.0, (1, 0): 1.0}, [1.0]) == 0


def test_cauchy_stress_s35_of_a_rotated_body_rotates() -> None:
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    arguments = CASES["generalised (S.33)"]
    for f in GRADIENTS[:5]:
        assert np.allclose(law.cauchy_stress(turn @ f, *arguments), turn @ law.cauchy_stress(f, *arguments) @ turn.T)


def test_principal_basis_s37_is_the_cauchy_stress() -> None:
    stretches = RNG.uniform(0.8, 1.3, (30, 3))
    coefficients = np.array([0.7, 0.3, 5.0])
    f = np.einsum("na,ab->nab", stretches, np.eye(3))
    full = law.cauchy_stress(f, *law.two_parameters(*coefficients))
    assert np.allclose(law.principal_basis(stretches) @ coefficients, np.diagonal(full, axis1=1, axis2=2), rtol=1e-12)


def test_small_strain_moduli_are_the_slope_of_the_stress() -> None:
    c10, c01, kappa = 0.7, 0.3, 5.0
    shear, young, poisson = law.small_strain_moduli(c10, c01, kappa)
    step = 1e-6
    stretches = np.array([1 + step, 1 - poisson * step, 1 - poisson * step])
    axial, lateral, _ = law.principal_basis(stretches) @ [c10, c01, kappa]
    assert axial / step == pytest.approx(young, rel=1e-4)
    assert abs(lateral) < 1e-4 * axial
    assert shear == 2 * (c10 + c01) and young == pytest.approx(2 * shear * (1 + poisson))
