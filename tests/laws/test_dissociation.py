"""Generation and recombination (S.10, S.11)."""

import numpy as np
import pytest

from ecmpipe.laws import dissociation

K_R, A0, DELTA = 0.9e-8, 3.487e4, 0.7


def test_s11_rate_and_unit():
    # k_r in m3/(mol s) gives 1/s; the printed m3/s would need a0 as a number density.
    assert dissociation.generation_rate(K_R, A0, DELTA) == pytest.approx(5.1e-4, rel=0.01)


def test_s10_s11_rest_is_stationary():
    mobile, bound = dissociation.equilibrium(A0, DELTA)
    assert mobile + bound == pytest.approx(A0)
    k_d = dissociation.generation_rate(K_R, A0, DELTA)
    assert abs(dissociation.source(bound, mobile, k_d, K_R)) < 1e-12 * k_d * bound
    assert dissociation.bound_after_step(bound, mobile, 100.0, k_d, K_R) == pytest.approx(bound, rel=1e-12)


def test_s10_delta_is_a_fraction_not_a_count():
    # Read as Li10-delta, 0.7 of 10 Li would be mobile: 7 %, not 70 %.
    assert dissociation.equilibrium(A0, DELTA)[0] / A0 == pytest.approx(0.7)


def test_elimination_keeps_lithium_and_its_slope_is_right():
    k_d = dissociation.generation_rate(K_R, A0, DELTA)
    mobile, bound, step, h = np.array([1.8e4, 2.4e4, 3e4]), np.array([1e4, 1.1e4, 0.9e4]), 30.0, 1.0
    after = dissociation.bound_after_step(bound, mobile, step, k_d, K_R)
    source = dissociation.source(after, mobile, k_d, K_R)
    assert np.allclose(after - bound, -step * source, rtol=1e-10)
    naive = A0 - mobile  # the form to avoid
    assert not np.allclose(naive - bound, -step * dissociation.source(naive, mobile, k_d, K_R), rtol=1e-2)

    def at(c):
        return dissociation.source(dissociation.bound_after_step(bound, c, step, k_d, K_R), c, k_d, K_R)

    numeric = (at(mobile + h) - at(mobile - h)) / (2 * h)
    assert np.allclose(dissociation.source_slope(mobile, step, k_d, K_R), numeric, rtol=1e-8)
