"""The crack field and its coupling: bar strength, energy of a crack, bounds, irreversibility, viscosity, gates."""

import numpy as np
import pytest

from ecmpipe.fem.gates import Gate, interface_crack
from ecmpipe.fem.mechanics import SPLITS, Mechanics
from ecmpipe.fem.mesh import _tensor
from ecmpipe.fem.phasefield import CrackField
from ecmpipe.laws import fracture
from tests.fem.helpers import small_cell

ELL, G_C = 0.2, 2.7e-3


def column(rows=320, height=4.0):
    """A bar along y whose crack field varies along y only."""
    return _tensor(np.linspace(0, 0.05, 3), np.linspace(0, height, rows + 1), height / 2, 0.0, height)


def field(cell, viscous_time=0.0):
    count = len(cell.triangles)
    return CrackField(cell, np.full(count, G_C), ELL, viscous_time, np.ones(count, dtype=bool))


def test_bar_breaks_at_the_at2_strength():
    # S.31 with S.26: stress (1 - d)2 M eps along a homogeneous confined bar peaks at (9/16) sqrt(M G_c/(3 l)).
    cell = column(8, 1.0)
    lam, mu = fracture.lame(210.0, 0.3)
    count = len(cell.triangles)
    mechanics = Mechanics(cell, np.full(count, lam), np.full(count, mu), np.full(count, SPLITS["directional"]))
    crack, modulus = field(cell), lam + 2 * mu
    zero, best = np.zeros(count), 0.0
    for strain in np.linspace(1e-4, 6e-3, 400):
        u = np.zeros((len(cell.nodes), 2))
        u[:, 1] = strain * cell.nodes[:, 1]
        psi = mechanics.evaluate(u.ravel(), np.ones(count), zero)[2]
        d = crack.solve(psi, np.zeros(len(cell.nodes)), np.zeros(len(cell.nodes)), 1.0)
        assert np.ptp(d) < 1e-6
        best = max(best, float(crack.degradation(d, 0.0).mean()) * modulus * strain)
    assert best == pytest.approx(fracture.at2_strength(modulus, G_C, ELL), rel=1e-3)


def test_crack_energy_of_a_profile_is_the_toughness():
    # S.20: a crack across the bar costs G_c times its width, 1 + O(h/l) with a broken element row.
    cell = column()
    crack = field(cell)
    history = np.zeros(len(cell.triangles))
    row = np.argmin(np.abs(cell.y - 2.0))
    middle = cell.nodes[cell.triangles].mean(axis=1)[:, 1]
    history[(middle > cell.y[row]) & (middle < cell.y[row + 1])] = 1e6 * G_C / ELL
    d = np.zeros(len(cell.nodes))
    for _ in range(6):  # each solve closes in by its tolerance
        d = crack.solve(history, d, d, 1.0)
    h = cell.y[1] - cell.y[0]
    assert d.max() == pytest.approx(1.0, abs=1e-4)
    assert crack.surface_energy(d) / (G_C * 0.05) == pytest.approx(1 + h / (2 * ELL), rel=5e-3)


def test_d_stays_between_zero_and_one_and_never_heals():
    cell = small_cell()
    crack = field(cell)
    random = np.random.default_rng(0)
    before = np.zeros(len(cell.nodes))
    for scale in (1e3, 1e6, 0.0):
        history = random.uniform(0, scale, len(cell.triangles)) * G_C / ELL * (random.uniform(size=len(cell.triangles)) > 0.7)
        d = crack.solve(history, before, before, 1.0)
        assert d.min() >= 0 and d.max() <= 1 + 1e-6
        assert (d >= before).all()
        before = d


def test_viscous_time_slows_the_crack_and_only_that():
    cell = column(8, 1.0)
    history, none = np.full(len(cell.triangles), 3 * G_C / ELL), np.zeros(len(cell.nodes))
    sharp, slow = field(cell).solve(history, none, none, 1.0), field(cell, 30.0).solve(history, none, none, 1.0)
    assert sharp == pytest.approx(6 / 7, rel=1e-3)
    assert slow == pytest.approx(6 / 37, rel=1e-3)
    d = none
    for _ in range(60):
        d = field(cell, 30.0).solve(history, d, d, 10.0)
    assert d == pytest.approx(6 / 7, rel=1e-3)


def test_undriven_bulk_does_not_crack():
    cell = small_cell()
    crack = CrackField(cell, np.full(len(cell.triangles), G_C), ELL, 0.0, np.zeros(len(cell.triangles), dtype=bool))
    none = np.zeros(len(cell.nodes))
    assert (crack.solve(np.full(len(cell.triangles), 1e9), none, none, 1.0) == 0).all()


def test_gates():
    smooth, d_only, paper = (Gate(kind, 0.5, 0.95, 5e-9, 1e-4, 1e-5) for kind in ("smooth", "d_only", "paper"))
    broken, wide, shut = np.array([1.0]), np.array([6e-9]), np.array([0.0])
    assert smooth.blocked(broken, wide) == 1 and smooth.blocked(broken, shut) == 0  # closed under pressure: contact
    assert d_only.blocked(broken, shut) == 1
    assert paper.blocked(np.array([0.2]), shut) == pytest.approx(0.36)  # (1 - d)2 blocks before any crack
    assert smooth.blocked(np.array([0.4]), wide) == 0
    assert smooth.with_floor(np.zeros(1)) == pytest.approx(1e-5)
    cell = small_cell()
    d = np.zeros(len(cell.nodes))
    column_nodes = cell.interface[3]
    d[column_nodes + 1] = 1.0
    assert interface_crack(cell, d)[3] == 1 and interface_crack(cell, d).sum() == 1
    opening = np.full(cell.columns, 1e-8)
    assert smooth.contact(cell, d, opening)[3] == 0
    outside = ~cell.band
    assert (smooth.diffusion(cell, np.ones(len(cell.nodes)), opening)[outside] == 1).all()
    assert smooth.diffusion(cell, np.ones(len(cell.nodes)), opening)[cell.band] == pytest.approx(1e-4)


def test_opening_measures_a_gap_that_was_put_in():
    # Break the band rows of one height and lift everything above it: the opening is that lift.
    cell = small_cell()
    count = len(cell.triangles)
    lam, mu = fracture.lame(113.0, 0.25)
    kind = np.where(cell.band, SPLITS["directional"], SPLITS["elastic"])
    mechanics = Mechanics(cell, np.full(count, lam), np.full(count, mu), kind)
    gap, row = 1e-3, cell.interface[0]
    u = np.zeros((len(cell.nodes), 2))
    u[cell.nodes[:, 1] > cell.nodes[row, 1] + 1e-9, 1] = gap
    d = np.zeros(len(cell.nodes))
    d[cell.interface] = d[cell.interface + 1] = 1.0
    g = ((1 - d[cell.triangles]) ** 2).mean(axis=1)
    assert mechanics.opening(u.ravel(), g, np.zeros(count)) == pytest.approx(gap, rel=1e-9)
    assert mechanics.opening(-u.ravel(), g, np.zeros(count)) == pytest.approx(0)
