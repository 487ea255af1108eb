"""Transport laws against closed forms; the printed signs of S.1 and S.12 must fail."""

import numpy as np
import pytest

from ecmpipe.laws import diffusion
from ecmpipe.units import FARADAY, GAS_CONSTANT


def test_s1_flux_runs_down_the_gradient():
    # S.1 is printed with a plus: Li would pile up.
    assert diffusion.fick_flux(3e-13, np.array([0.0, 2e9]))[1] < 0
    assert diffusion.fick_flux(3e-13, 2e9) == pytest.approx(-6e-4)


def test_s2_s3_s13_s14_s15_one_sign_convention():
    # Charge: Li leaves the cathode (S.2), enters the electrolyte (S.13) and leaves it at the metal (S.14), all along +y.
    current = 3.3
    assert diffusion.interface_flux(current) == diffusion.electrolyte_boundary_flux(current) == current / FARADAY > 0
    assert diffusion.interface_flux(2.0, area=2.0) == pytest.approx(1 / FARADAY)
    assert diffusion.collector_flux() == 0 == diffusion.counter_charge_boundary_flux()  # S.3, S.15


def test_s12_no_flux_in_a_boltzmann_profile():
    # c ~ exp(-z f phi) is equilibrium; with the printed plus it carries a current.
    f = FARADAY / (GAS_CONSTANT * 298.15)
    for valence in (1, -1):
        phi, dphi = 0.01, 3e4
        c = 2.4e4 * np.exp(-valence * f * phi)
        gradient = -valence * f * dphi * c
        flux = diffusion.nernst_planck_flux(2.2e-12, valence, c, gradient, dphi, 298.15)
        assert abs(flux) < 1e-12 * abs(2.2e-12 * gradient)


def test_s12_a_cation_runs_down_the_potential():
    assert diffusion.nernst_planck_flux(2.2e-12, 1, 2.4e4, 0.0, 1e3, 298.15) < 0
    assert diffusion.nernst_planck_flux(2.2e-12, -1, 2.4e4, 0.0, 1e3, 298.15) > 0


def test_one_c_empties_the_cathode_in_an_hour():
    assert diffusion.one_c_current_density(4.92e4, 2.5e-6) * 3600 == pytest.approx(FARADAY * 4.92e4 * 2.5e-6)
    assert diffusion.one_c_current_density(4.92e4, 2.5e-6) == pytest.approx(3.30, abs=0.01)


def test_slab_series_limits():
    # Early: semi-infinite 2 i sqrt(t/(pi D))/F; late: linear with the lag i L/(3 F D).
    i, d, length = 3.3, 3.04e-13, 2.5e-6
    early = diffusion.slab_surface_depletion(0.05, i, d, length, terms=4000)[0]
    assert early == pytest.approx(2 * i / FARADAY * np.sqrt(0.05 / (np.pi * d)), rel=2e-3)
    late = diffusion.slab_surface_depletion(500.0, i, d, length)[0]
    assert late == pytest.approx(i / (FARADAY * length) * 500.0 + i * length / (3 * FARADAY * d), rel=1e-9)
