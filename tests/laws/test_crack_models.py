"""The three crack models: derivatives, ends, the cost of a crack, strengths of AT1 and of PF-CZM."""

import numpy as np
import pytest

from ecmpipe.laws import fracture
from ecmpipe.laws.fracture import CRACK_MODELS

A1 = {"AT2": 1.0, "AT1": 1.0, "PF-CZM": 5.3}
MODULUS, G_C, ELL = 60e9, 0.5, 0.1e-6


@pytest.mark.parametrize("name", CRACK_MODELS)
def test_slopes_and_curvatures_are_derivatives(name):
    # S.20 and S.26 in AT2's case; the solver's Newton steps are made of these.
    model, h = CRACK_MODELS[name], 1e-5
    d = np.linspace(0.01, 0.99, 99)
    for function in (model.alpha, lambda d: model.omega(d, A1[name])):
        _, slope, curvature = function(d)
        up, down = function(d + h), function(d - h)
        assert slope == pytest.approx((up[0] - down[0]) / (2 * h), abs=1e-7)
        assert np.broadcast_to(curvature, d.shape) == pytest.approx((up[1] - down[1]) / (2 * h), abs=1e-6)


@pytest.mark.parametrize("name", CRACK_MODELS)
@pytest.mark.parametrize("a1", [1.5, 5.3, 200.0])
def test_a_whole_solid_carries_all_and_a_crack_nothing(name, a1):
    model = CRACK_MODELS[name]
    d = np.linspace(0, 1, 101)
    omega, alpha = model.omega(d, a1)[0], model.alpha(d)[0]
    assert (omega[0], omega[-1]) == (1, 0) and (np.diff(omega) < 0).all()
    assert (alpha[0], alpha[-1]) == (0, 1) and (np.diff(alpha) > 0).all()
    assert model.omega(d, a1)[1][-1] == 0  # the drive ends with the crack: d stays at or below 1


@pytest.mark.parametrize("name", CRACK_MODELS)
def test_c_w_makes_a_crack_cost_its_toughness(name):
    # int gamma over the optimal profile is (4/c_w) int sqrt(alpha) dd = 1.
    model = CRACK_MODELS[name]
    s = np.linspace(0, 1, 200001)
    d = 1 - s**2  # PF-CZM has a root singularity at neither end then
    value = np.trapezoid(np.sqrt(model.alpha(d)[0]) * 2 * s, s)
    assert 4 / model.c_w * value == pytest.approx(1, rel=1e-6)


def test_at2_is_the_density_and_the_degradation_of_the_si():
    # S.20 and S.26
    model, d = CRACK_MODELS["AT2"], np.linspace(0, 1, 11)
    density = (model.alpha(d)[0] / ELL + ELL * 4.0) / model.c_w
    assert density == pytest.approx(fracture.crack_density(d, 4.0, ELL))
    assert model.omega(d)[0] == pytest.approx(fracture.degradation(d, 0.0))


def uniform_bar(name: str, a1: float, strain: np.ndarray) -> np.ndarray:
    """Stress of a bar without gradients of d: for each strain the least energy over d in [0, 1]."""
    d = np.linspace(0, 1, 4001)
    model = CRACK_MODELS[name]
    omega, alpha = model.omega(d, a1)[0], model.alpha(d)[0]
    pi = omega * 0.5 * MODULUS * strain[:, None] ** 2 + G_C / (model.c_w * ELL) * alpha
    return omega[pi.argmin(axis=1)] * MODULUS * strain


def test_at1_strength_is_where_damage_begins():
    strength = fracture.at1_strength(MODULUS, G_C, ELL)
    stress = uniform_bar("AT1", 1.0, np.linspace(0, 3, 1501) * strength / MODULUS)
    assert stress.max() == pytest.approx(strength, rel=3e-3)
    before = np.linspace(0, 0.99, 50) * strength / MODULUS
    assert uniform_bar("AT1", 1.0, before) == pytest.approx(MODULUS * before)  # an elastic range, which AT2 lacks


def test_pf_czm_has_the_strength_it_is_given_whatever_the_length_scale():
    strength = 2e8
    # d = 0 is a minimum of the energy for every stress below f_t and for none above
    for ell in (0.02e-6, 0.05e-6):
        a1 = float(fracture.cohesive_ratio(MODULUS, G_C, ell, strength))
        assert a1 == pytest.approx(4 * MODULUS * G_C / (np.pi * ell * strength**2))
        model, zero = CRACK_MODELS["PF-CZM"], np.zeros(1)
        for factor, grows in ((0.999, False), (1.001, True)):
            drive = 0.5 * (factor * strength) ** 2 / MODULUS
            slope = model.omega(zero, a1)[1] * drive + G_C / (model.c_w * ell) * model.alpha(zero)[1]
            assert (slope[0] < 0) == grows


@pytest.mark.parametrize("poisson", [0.0, 0.18, 0.3])
@pytest.mark.parametrize("split", ["none", "miehe"])
def test_the_drawn_modulus_is_that_of_a_bar_in_plane_strain(split, poisson):
    # none: E/(1 - nu2); Miehe's split leaves out the sides, which shorten: (lambda/2) tr2 + mu e2
    lam, mu = fracture.lame(MODULUS, poisson)
    along = (1 - poisson**2) / MODULUS
    trace = (1 + poisson) * (1 - 2 * poisson) / MODULUS
    expected = 1 / along if split == "none" else 1 / (lam * trace**2 + 2 * mu * along**2)
    assert fracture.drawn_modulus(split, MODULUS, poisson) == pytest.approx(expected)


def test_pf_czm_softens_along_a_line_that_ends_at_twice_the_toughness_over_the_strength():
    # Wu 2017: the opening w of a localised crack and its traction, sigma = f_t (1 - w/w_c) with w_c = 2 G_c/f_t.
    strength, ell = 2e8, 0.02e-6
    a1 = float(fracture.cohesive_ratio(MODULUS, G_C, ell, strength))
    model, w_c = CRACK_MODELS["PF-CZM"], 2 * G_C / strength

    def softness(d):
        return (1 / model.omega(d, a1)[0] - 1) / a1

    for top in (0.3, 0.6, 0.9):
        # first integral of the profile under a stress: (l d')2 = alpha(d) - 2 (sigma/f_t)2 softness(d), zero at its top
        ratio = float(np.sqrt(model.alpha(np.array(top))[0] / (2 * softness(np.array(top)))))
        s = np.linspace(0, 1, 100001)[1:-1]
        d = top * (1 - s**2)
        steep = np.sqrt(model.alpha(d)[0] - 2 * ratio**2 * softness(d))
        opening = 2 * ell * ratio * strength / MODULUS * a1 * np.trapezoid(softness(d) / steep * 2 * top * s, s)
        assert ratio == pytest.approx(1 - top)
        assert opening == pytest.approx((1 - ratio) * w_c, rel=1e-3)
