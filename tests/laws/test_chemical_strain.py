"""Chemical strain (S.19) and the elastic strain that makes stress (S.30)."""

import numpy as np
import pytest

from ecmpipe.laws.chemical_strain import chemical_strain, elastic_strain


def test_s19_is_exact_for_any_volume():
    v = np.array([1.0, 0.97, 0.922])
    assert np.allclose((1 + chemical_strain(v, 1.0)) ** 3, v)


def test_s19_holds_no_second_concentration():
    # Printed: (1/3)(dV/V0) dc, which at dc = 0.5 is half of it.
    strain = chemical_strain(0.95, 1.0)
    assert strain == pytest.approx(-0.05 / 3, rel=0.02)
    assert strain != pytest.approx(-0.05 / 3 * 0.5, rel=0.1)


def test_s30_elastic_strain_in_plane_strain_keeps_zz():
    total = np.zeros((3, 3))
    e = elastic_strain(total, chemical_strain(0.95, 1.0))
    assert e[2, 2] == e[0, 0] > 0
