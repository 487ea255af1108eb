"""What holds the top: nothing moves, a rigid plate, or a pressure; against the closed forms of an elastic cell."""

from dataclasses import replace

import numpy as np
import pytest

from ecmpipe.errors import SettingsError
from ecmpipe.fem.filler import NONE
from ecmpipe.fem.mechanics import SPLITS, Mechanics, support_of
from ecmpipe.fem.mesh import CATHODE, FILLER
from ecmpipe.fem.model import Model
from ecmpipe.fem.staggered import run_protocol
from ecmpipe.fem.state import Record
from ecmpipe.laws import fracture
from ecmpipe.settings.base import validate
from ecmpipe.settings.fem import TopSettings
from tests.fem.helpers import model, small_cell

PRESSURE = 50e6
HARD, SOFT = fracture.lame(113e9, 0.25), fracture.lame(15e9, 0.35)
PRESSED = ["platen", "pressure"]


def top(hold: str, pressure: float = PRESSURE) -> TopSettings:
    return validate(TopSettings, {"hold": hold, "pressure [Pa]": pressure})


def settled(problem: Mechanics) -> np.ndarray:
    """Displacements in equilibrium with the load alone; the elastic cell is linear, so a few Newton steps do."""
    mesh = problem.mesh
    u, whole, nothing = np.zeros(2 * len(mesh.nodes)), np.ones(len(mesh.triangles)), np.zeros(len(mesh.triangles))
    for _ in range(5):
        u, _ = problem.newton(u, problem.evaluate(u, whole, nothing), whole, nothing, 1e-10)
    residual = problem.evaluate(u, whole, nothing)[0]
    assert np.linalg.norm(residual) < 1e-10 * np.linalg.norm(problem.support.load)
    return u.reshape(-1, 2)


@pytest.mark.parametrize("hold", PRESSED)
def test_confined_layers_shorten_by_their_oedometric_moduli_in_series(hold):
    # x held everywhere: eps_yy = -p/(lambda + 2 mu) in each layer, whatever holds the top.
    cell = small_cell()
    cell = replace(cell, fixed_x=np.arange(len(cell.nodes)))
    lam, mu = (np.where(cell.layer == CATHODE, a, b) for a, b in zip(HARD, SOFT, strict=True))
    problem = Mechanics(cell, support_of(cell, top(hold)), lam, mu, np.full(len(lam), SPLITS["elastic"]), cell.normals)
    u = settled(problem)
    by_layer = [PRESSURE / (a + 2 * b) for a, b in (HARD, SOFT)]
    y = cell.nodes[:, 1]
    assert u[:, 1] == pytest.approx(-np.minimum(y, 1.0) * by_layer[0] - np.maximum(y - 1.0, 0) * by_layer[1], rel=1e-9)
    reaction = problem.reaction.reshape(-1, 2)
    assert reaction[cell.fixed_y, 1].sum() == pytest.approx(PRESSURE * cell.width, rel=1e-9)
    still, whole, nothing = np.zeros(u.size), np.ones(len(lam)), np.zeros(len(lam))
    work = problem.work_of_load(still, u.ravel())
    assert work == pytest.approx(PRESSURE * cell.width * sum(by_layer), rel=1e-9)
    assert problem.energy(u.ravel(), whole, nothing) == pytest.approx(work / 2, rel=1e-9)


@pytest.mark.parametrize("hold", PRESSED)
def test_a_free_side_gives_the_plane_strain_modulus(hold):
    # One material, the right side free: eps_yy = -p (1 - nu2)/E, eps_xx = p nu (1 + nu)/E.
    cell, youngs, poisson = small_cell(), 113e9, 0.25
    cell = replace(cell, fixed_x=np.flatnonzero(cell.nodes[:, 0] == 0))  # the collector as a roller: nothing else is uniform
    count = len(cell.triangles)
    lam, mu = (np.full(count, value) for value in fracture.lame(youngs, poisson))
    problem = Mechanics(cell, support_of(cell, top(hold)), lam, mu, np.full(count, SPLITS["elastic"]), cell.normals)
    u = settled(problem)
    expected = cell.nodes * np.array([poisson * (1 + poisson), -(1 - poisson**2)]) * PRESSURE / youngs
    assert np.abs(u - expected).max() < 1e-9 * np.abs(expected).max()


@pytest.mark.parametrize("filler", ["none", "pdms"])
def test_a_platen_stays_level_where_a_pressure_does_not(filler, tmp_path):
    # Two layers with a free side bend the top; forces balance either way, through a soft filler at finite strain too.
    heights = {}
    for hold in PRESSED:
        wide = {"geometry": {"width [m]": 3e-6}, "top": {"hold": hold, "pressure [Pa]": PRESSURE}}
        case = model(tmp_path / hold, wide, filler=filler)
        cell, state = case.cell, case.start()
        heights[hold] = state.u[2 * cell.top + 1]
        case.mechanics.evaluate(state.u, case.degradation(state), case.chemical_strain(state.charge), NONE)
        reaction = case.mechanics.reaction.reshape(-1, 2)
        load = PRESSURE * cell.width
        assert reaction[cell.fixed_y, 1].sum() == pytest.approx(load, rel=1e-6)
        assert reaction[cell.top, 1].sum() == pytest.approx(-load, rel=1e-6)
        assert np.abs(reaction[:, 0].sum()) < 1e-6 * load
        assert case.interface_traction(state) == pytest.approx(-PRESSURE, rel=0.1)
        assert (state.contact == 1).all() and state.d.max() == 0
    assert np.ptp(heights["platen"]) == 0 and (heights["platen"] < 0).all()
    assert np.ptp(heights["pressure"]) > 1e-3 * np.abs(heights["pressure"]).mean()
    assert heights["platen"].mean() == pytest.approx(heights["pressure"].mean(), rel=0.05)


def test_a_cell_under_pressure_is_shorter_than_its_stiffest_and_longer_than_its_softest_layer_makes_it(tmp_path):
    case = model(tmp_path, {"top": {"hold": "platen", "pressure [Pa]": PRESSURE}})
    shortening = -case.start().u[2 * case.cell.top[0] + 1]
    stiff, soft = (PRESSURE * 5e-6 * (1 - nu**2) / youngs for youngs, nu in ((113e9, 0.25), (15e9, 0.35)))
    confined = PRESSURE * 2.5e-6 * sum(1 / (a + 2 * b) for a, b in (HARD, SOFT))
    free = 0.5 * (stiff + soft)
    assert confined < shortening < free  # each layer between no and full freedom along x


def after_a_charge(case: Model):
    record, rows = Record(), []
    state = run_protocol(case, case.start(), record, lambda *step: rows.append(step[1]))
    assert record.reason == "throughput cap 0.1 reached"
    return state


@pytest.mark.parametrize("hold", ["clamped", *PRESSED])
def test_a_cathode_that_shrinks_pulls_on_a_clamped_top_alone(hold, tmp_path):
    pressure = 0.0 if hold == "clamped" else PRESSURE
    case = model(tmp_path, {"top": {"hold": hold, "pressure [Pa]": pressure}, "time": {"largest_throughput [1]": 0.1}})
    before, after = case.start(), after_a_charge(case)
    chem = case.chemical_strain(after.charge)
    assert chem.min() < -1e-4  # it does shrink
    case.mechanics.evaluate(after.u, case.degradation(after), chem, NONE)
    force = case.mechanics.reaction.reshape(-1, 2)[case.cell.fixed_y, 1].sum() / case.cell.width
    heights = (after.u - before.u)[2 * case.cell.top + 1]
    if hold == "clamped":
        assert force < -1e7 and np.abs(heights).max() == 0  # tension builds up
        assert case.interface_traction(after) > 1e7
    else:
        assert force == pytest.approx(PRESSURE, rel=1e-3)  # the top follows
        assert heights.max() < 0
        assert case.interface_traction(after) < 0
    if hold == "platen":
        assert np.ptp(heights) == 0


def test_a_filler_between_takes_the_pressure_and_stays_the_right_way_round(tmp_path):
    case = model(tmp_path, {"top": {"hold": "platen", "pressure [Pa]": 10 * PRESSURE}}, filler="pdms")
    state, cell = case.start(), case.cell
    grad = np.einsum("tai,taj->tij", state.u.reshape(-1, 2)[cell.triangles], cell.gradients)
    ratio = np.linalg.det(np.eye(2) + grad)[cell.layer == FILLER]
    assert 0.5 < ratio.min() < ratio.mean() < 1


def test_pressure_on_a_clamped_top_is_refused():
    with pytest.raises(SettingsError, match="cannot act on a clamped top; set hold: platen, or the pressure to 0"):
        top("clamped")
    assert top("clamped", 0.0).pressure == 0


def test_a_load_belongs_to_the_top_alone():
    cell = small_cell(0.2, place="behind")
    for hold in PRESSED:
        support = support_of(cell, top(hold))
        assert support.load.sum() == pytest.approx(-PRESSURE * cell.width)
        loaded = np.isin(support.number, np.flatnonzero(support.load))
        assert np.array_equal(np.flatnonzero(loaded), 2 * cell.top + 1)
    assert not support_of(cell, top("clamped", 0.0)).load.any()


@pytest.mark.parametrize("split", ["directional", "miehe"])
def test_the_interface_traction_is_what_the_top_is_held_with(split, tmp_path):
    # the same force crosses every height, whatever part of the stress the split lets a crack take
    case = model(tmp_path, {"fracture": {"band_split": split}})
    cell, chem = case.cell, -0.004 * case.shrinkage
    g, u = np.where(cell.band, 0.5, 1.0), np.zeros(2 * len(cell.nodes))
    for _ in range(15):
        u, _ = case.mechanics.newton(u, case.mechanics.evaluate(u, g, chem), g, chem, 1e-10)
    case.mechanics.evaluate(u, g, chem)
    held = case.mechanics.reaction[2 * cell.top + 1].sum() / cell.width
    assert case.mechanics.normal_stress(u, g, chem, case.under_surface) == pytest.approx(held, rel=2e-3)


def test_a_pair_in_series_shrinks_and_yields_as_its_neighbours_do(tmp_path):
    # between rigid sides the stress of the whole stack is the same with the band's own moduli and with those in series
    stress = []
    for modulus in ("own", "series"):
        wide = {"width [m]": 30e-6, "elements_per_length_scale [1]": 1}
        case = model(tmp_path, {"fracture": {"band_modulus": modulus}, "geometry": wide})
        mechanics, cell = case.mechanics, case.cell
        chem, g, u = -0.004 * case.shrinkage, np.ones(len(cell.triangles)), np.zeros(2 * len(cell.nodes))
        for _ in range(3):
            u, _ = mechanics.newton(u, mechanics.evaluate(u, g, chem), g, chem, 1e-10)
        inner = np.intersect1d(case.under_surface, np.flatnonzero(cell.nodes[cell.triangles].mean(axis=1)[:, 0] < 3e-6))
        stress.append(mechanics.normal_stress(u, g, chem, inner))
    assert stress[1] == pytest.approx(stress[0], rel=1e-4)
