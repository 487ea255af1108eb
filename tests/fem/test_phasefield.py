"""The crack field and its coupling: bar strength, energy of a crack, bounds, irreversibility, viscosity, gates."""

import numpy as np
import pytest

from ecmpipe.fem.gates import Gate
from ecmpipe.fem.mechanics import SPLITS, Mechanics
from ecmpipe.fem.phasefield import CrackField
from ecmpipe.laws import fracture
from tests.fem.helpers import block, on_rollers, small_cell, upright

ELL, G_C = 0.2, 2.7e-3


def column(rows=320, height=4.0):
    """A bar along y whose crack field varies along y only."""
    return block(2, rows, 0.05, height)


def field(cell, viscous_time=0.0, model="AT2", a1=1.0):
    count = len(cell.triangles)
    return CrackField(cell, model, np.full(count, G_C), ELL, viscous_time, np.ones(count, dtype=bool), a1)


LAM, MU = fracture.lame(210.0, 0.3)
MODULUS = LAM + 2 * MU
STRENGTH = 1.0  # of PF-CZM
COHESIVE = float(fracture.cohesive_ratio(MODULUS, G_C, ELL, STRENGTH))
PEAKS = {
    "AT2": fracture.at2_strength(MODULUS, G_C, ELL),
    "AT1": fracture.at1_strength(MODULUS, G_C, ELL),
    "PF-CZM": STRENGTH,
}


@pytest.mark.parametrize("model", PEAKS)
def test_bar_breaks_at_the_strength_of_its_model(model):
    # S.31 with S.26: stress (1 - d)2 M eps along a homogeneous confined bar peaks at (9/16) sqrt(M G_c/(3 l)); AT1 and PF-CZM
    # stay whole up to their strength.
    cell = column(8, 1.0)
    count = len(cell.triangles)
    kind = np.full(count, SPLITS["directional"])
    mechanics = Mechanics(cell, on_rollers(cell), np.full(count, LAM), np.full(count, MU), kind, upright(cell))
    crack = field(cell, model=model, a1=COHESIVE)
    zero, best, d = np.zeros(count), 0.0, np.zeros(len(cell.nodes))
    for strain in np.linspace(0.01, 2, 400) * PEAKS[model] / MODULUS:
        u = np.zeros((len(cell.nodes), 2))
        u[:, 1] = strain * cell.nodes[:, 1]
        psi = mechanics.evaluate(u.ravel(), np.ones(count), zero)[2]
        d = crack.solve(psi, np.zeros(len(cell.nodes)), np.zeros(len(cell.nodes)), 1.0)
        assert np.ptp(d) < 1e-6
        if model != "AT2" and strain < 0.99 * PEAKS[model] / MODULUS:
            assert d.max() == 0
        best = max(best, float(crack.degradation(d, 0.0).mean()) * MODULUS * strain)
    assert best == pytest.approx(PEAKS[model], rel=1e-3 if model == "AT2" else 5e-3)  # those peak in a kink between two strains
    assert d.min() > 0.25


def test_crack_energy_of_a_profile_is_the_toughness():
    # S.20: a crack across the bar costs G_c times its width, 1 + O(h/l) with a broken element row.
    cell = column()
    crack = field(cell)
    history = np.zeros(len(cell.triangles))
    h = 4.0 / 320
    middle = cell.nodes[cell.triangles].mean(axis=1)[:, 1]
    history[(middle > 2.0) & (middle < 2.0 + h)] = 1e6 * G_C / ELL
    d = np.zeros(len(cell.nodes))
    for _ in range(6):  # each solve closes in by its tolerance
        d = crack.solve(history, d, d, 1.0)
    assert d.max() == pytest.approx(1.0, abs=1e-4)
    assert crack.surface_energy(d) / (G_C * 0.05) == pytest.approx(1 + h / (2 * ELL), rel=5e-3)


@pytest.mark.parametrize("model", PEAKS)
def test_d_stays_between_zero_and_one_and_never_heals(model):
    cell = small_cell()
    crack = field(cell, model=model, a1=COHESIVE)
    random = np.random.default_rng(0)
    before = np.zeros(len(cell.nodes))
    for scale in (1e3, 1e6, 0.0):
        history = random.uniform(0, scale, len(cell.triangles)) * G_C / ELL * (random.uniform(size=len(cell.triangles)) > 0.7)
        d = crack.solve(history, before, before, 1.0)
        assert d.min() >= 0 and d.max() <= 1 + 1e-6
        assert (d >= before).all()
        before = d
    assert before.max() > 0.99


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
    crack = CrackField(cell, "AT2", np.full(len(cell.triangles), G_C), ELL, 0.0, np.zeros(len(cell.triangles), dtype=bool))
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
    across = cell.across(d)
    assert across[3] == 1 and across[:2].sum() + across[5:].sum() == 0  # a neighbour whose element it shares may see it too
    opening = np.full(len(cell.interface), 1e-8)
    contact = smooth.contact(cell, d, opening)
    assert contact[3] == 0 and (contact[[0, 1, 5]] == 1).all()
    outside = ~cell.band
    assert (smooth.diffusion(cell, np.ones(len(cell.nodes)), opening)[outside] == 1).all()
    assert smooth.diffusion(cell, np.ones(len(cell.nodes)), opening)[cell.band] == pytest.approx(1e-4)


def test_a_gap_that_closes_gives_the_contact_back():
    # A broken surface under pressure conducts again: what is blocked follows the opening down, d alone never heals.
    smooth, d_only = (Gate(kind, 0.5, 0.95, 5e-9, 1e-4, 1e-5) for kind in ("smooth", "d_only"))
    cell = small_cell()
    count = len(cell.interface)
    d = np.ones(len(cell.nodes))
    gaps = [np.full(count, gap) for gap in (6e-9, 4e-9, 2e-9, 0.0)]
    contact = [smooth.contact(cell, d, gap).mean() for gap in gaps]
    assert contact[0] == 0 and contact[-1] == 1 and (np.diff(contact) > 0.1).all()
    flow = [smooth.diffusion(cell, d, gap)[cell.band].mean() for gap in gaps]
    assert flow[0] == pytest.approx(1e-4) and flow[-1] == 1 and (np.diff(flow) > 0.1).all()
    assert all((d_only.contact(cell, d, gap) == 0).all() for gap in gaps)
    one = gaps[0].copy()
    one[3] = 0.0  # one node comes back, its neighbours stay open
    assert smooth.contact(cell, d, one).tolist() == [0, 0, 0, 1] + [0] * (count - 4)


def opening_of(cell, u, g):
    """The opening (m) at the interface nodes for displacements ``u`` (n, 2) and the factor ``g`` (t,) of psi+."""
    count = len(cell.triangles)
    lam, mu = fracture.lame(113.0, 0.25)
    kind = np.where(cell.band, SPLITS["directional"], SPLITS["elastic"])
    mechanics = Mechanics(cell, on_rollers(cell), np.full(count, lam), np.full(count, mu), kind, cell.normals)
    added = mechanics.opening(u.ravel(), g, np.zeros(count), cell.reach.triangles)
    return cell.reach.spread(added, len(cell.interface)) / cell.interface_length


@pytest.mark.parametrize(("filler", "place"), [(0.0, "between"), (0.2, "between"), (0.2, "behind")])
def test_opening_measures_a_gap_that_was_put_in(filler, place):
    # Break the band rows of one height and lift everything above it: the opening is that lift.
    cell = small_cell(filler, place=place)
    gap, row = 1e-3, cell.interface[0]
    u = np.zeros((len(cell.nodes), 2))
    u[cell.nodes[:, 1] > cell.nodes[row, 1] + 1e-9, 1] = gap
    d = np.zeros(len(cell.nodes))
    d[cell.interface] = d[cell.interface + 1] = 1.0
    g = ((1 - d[cell.triangles]) ** 2).mean(axis=1)
    found = opening_of(cell, u, g)
    assert found == pytest.approx(gap, rel=1e-9)
    assert cell.interface_length @ found == pytest.approx(gap * cell.width, rel=1e-12)
    assert opening_of(cell, -u, g) == pytest.approx(0)
