"""Charge transfer (S.4-S.9, S.16-S.18) against closed forms and finite differences."""

import numpy as np
import pytest

from ecmpipe.laws import kinetics
from ecmpipe.units import FARADAY

T = 298.15


def test_s5_s17_zero_at_equilibrium_and_odd_for_equal_coefficients():
    eta = np.array([-0.1, 0.0, 0.1])
    current = kinetics.butler_volmer(1.0, eta, 0.5, T)
    assert current[1] == 0
    assert current[2] == -current[0] > 0


def test_s5_bracket_second_term_holds_one_minus_alpha():
    # Without the closing bracket the second exponential could be read as exp(-(1 - alpha f eta)).
    small = 1e-6
    for alpha in (0.3, 0.5, 0.7):
        slope = kinetics.butler_volmer(1.0, small, alpha, T) / small
        assert slope == pytest.approx(kinetics.thermal_factor(T), rel=1e-4)


def test_slope_is_the_derivative():
    eta, h = np.linspace(-0.2, 0.2, 9), 1e-6
    numeric = (kinetics.butler_volmer(2.0, eta + h, 0.4, T) - kinetics.butler_volmer(2.0, eta - h, 0.4, T)) / (2 * h)
    assert np.allclose(kinetics.butler_volmer_slope(2.0, eta, 0.4, T), numeric, rtol=1e-6)


def test_asinh_law_inverts_butler_volmer():
    eta = kinetics.charge_transfer_overpotential(33.0, 20.0, T)
    assert kinetics.butler_volmer(20.0, eta, 0.5, T) == pytest.approx(33.0, rel=1e-12)


def test_s6_s18_exchange_currents():
    # F k must be a current density: 5.1e-4 mol/(m2 s) times F is 49.2 A/m2, at x = 1/2 half of it.
    assert kinetics.cathode_exchange_current(5.1e-4, 0.5, 1.0, 0.5) == pytest.approx(0.5 * FARADAY * 5.1e-4)
    assert kinetics.cathode_exchange_current(5.1e-4, 0.9, 1.0, 0.3) == pytest.approx(FARADAY * 5.1e-4 * 0.1**0.3 * 0.9**0.7)
    assert kinetics.anode_exchange_current(1e-2, 4.0, 0.5) == pytest.approx(2 * FARADAY * 1e-2)


def test_s6_satisfies_detailed_balance():
    # At equilibrium both directions of S.4 run at i0: k_f a_LiM e^(alpha f E) = k_b a_M a_ion e^(-(1 - alpha) f E), with the
    # Nernst potential f E = ln(a_M a_ion / a_LiM) and k_f = k_b = k. Swapped exponents fail for any alpha but a half.
    k, x, ion, alpha = 5.1e-4, 0.3, 1.4, 0.3
    potential = np.log((1 - x) * ion / x)
    forward = FARADAY * k * x * np.exp(alpha * potential)
    backward = FARADAY * k * (1 - x) * ion * np.exp(-(1 - alpha) * potential)
    assert kinetics.cathode_exchange_current(k, x, ion, alpha) == pytest.approx(forward) == pytest.approx(backward)
    # i0 vanishes when either partner is used up.
    assert kinetics.cathode_exchange_current(5.1e-4, 1.0, 1.0, 0.5) == 0
    assert kinetics.cathode_exchange_current(5.1e-4, 0.0, 1.0, 0.5) == 0


def test_s7_s8_s9_parts_add_up():
    # One eta for three things is the misprint: the reported one is S.7, the driving one S.8, their split S.9.
    parts = kinetics.split_overpotential(4.1, 3.99, 4.02, 0.03, 0.01)
    assert sum(parts.values()) == pytest.approx(kinetics.overpotential(4.1, 3.99))
    assert parts["charge transfer"] == pytest.approx(kinetics.local_overpotential(4.1, 0.03, 4.02))
    assert parts["charge transfer"] != pytest.approx(kinetics.overpotential(4.1, 3.99))
    assert kinetics.local_overpotential(0.0, 0.01, 0.0) < 0  # the anode of S.16 on charge
