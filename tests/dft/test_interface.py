import itertools

import numpy as np
import pytest
from ase.build import fcc100
from ase.calculators.emt import EMT
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from ecmpipe.cards import AdhesionCard, read_card, write_card
from ecmpipe.dft import slabs
from ecmpipe.dft.adhesion import binding_curve, collect_adhesion
from ecmpipe.dft.cuts import cut_cell
from ecmpipe.dft.interface import as_cut, build_interface, match_planes, principal_strains
from ecmpipe.dft.records import BatchCard, Contact, InterfaceCard, cell_of
from ecmpipe.dft.starts import interface_start
from ecmpipe.errors import ConvergenceError
from ecmpipe.settings.dft import INTERFACE, adhesion_step, interface_step, slabs_step
from ecmpipe.settings.dft_runs import run_step
from tests.dft.conftest import MATERIALS, crystal_of, load_dft, made_run

BOTH = {"interface": {"faces": ["lower", "upper"]}}


def build(settings, structure_files, cards, folder):
    runs = {}
    for material, name in zip(MATERIALS, ("li12", "bulk"), strict=True):
        runs[material] = folder / f"{material}_runs.json"
        run = made_run(name, "bulk", cards[material].arrangements[0].bulk.structure(), -1.0, arrangement=1)
        write_card(runs[material], BatchCard(material=material, batch="relaxation", engine="closed form", runs={name: run}))
    files = {
        f"{side}_{kind}": value
        for side, material in zip(("cathode", "electrolyte"), MATERIALS, strict=True)
        for kind, value in (("crystal", crystal_of(material)), ("structures", structure_files[material]), ("runs", [runs[material]]))
    }
    build_interface(interface_step(settings), output=folder / "interface.json", **files)
    return read_card(InterfaceCard, folder / "interface.json")


@pytest.fixture(scope="module")
def settings_with_both():
    return load_dft(BOTH)


@pytest.fixture(scope="module")
def interface(settings_with_both, structure_files, cards, tmp_path_factory):
    return build(settings_with_both, structure_files, cards, tmp_path_factory.mktemp("interface"))


def across(cell, count):
    """Distances between the atoms of the two halves."""
    return cell.structure().distance_matrix[:count, count:]


def test_every_registry_of_both_faces_is_in_contact(interface, settings_with_both):
    for face in ("lower", "upper"):
        count = interface.faces[face].cathode_atoms
        found = []
        for task in run_step(settings_with_both, INTERFACE, face).tasks:
            if task.kind == "registry":
                cell = interface_start(task, interface, {})
                assert across(cell, count).min() == pytest.approx(2.3, abs=1e-4)
                found.append(cell.positions[count][:2])
                heights = np.array(cell.positions)[:, 2] * cell.lattice[2][2]
                assert heights.min() > 5 and cell.lattice[2][2] - heights.max() > 5
                below, above = (heights[:count], heights[count:]) if face == "lower" else (heights[count:], heights[:count])
                assert np.mean(below) < np.mean(above)
        assert len({tuple(place) for place in found}) == 6


def test_the_two_faces_are_the_two_sides_of_the_electrolyte(interface):
    """Seen from the cathode, the lower face shows the electrolyte in its order, the upper face upside down."""
    orders = {}
    for face, contact in interface.faces.items():
        heights = np.array(contact.cell.positions)[contact.cathode_atoms :, 2]
        away = heights - heights.min() if face == "lower" else heights.max() - heights
        orders[face] = np.round(away * contact.cell.lattice[2][2], 4)
    assert orders["lower"] == pytest.approx(orders["upper"].max() - orders["upper"], abs=1e-3)
    assert not np.allclose(np.sort(orders["lower"]), np.sort(orders["upper"]), atol=0.05)


def test_halves_are_the_crystals_up_to_the_stated_strain(interface, cards):
    assert interface.area == pytest.approx(interface.cathode_cells * 2.875 * 5.7815, rel=1e-4)
    assert max(np.abs(interface.strains)) < 0.08
    contact = interface.faces["lower"]
    whole = contact.cell.structure()
    cathode = Structure.from_sites(whole[: contact.cathode_atoms])
    electrolyte = Structure.from_sites(whole[contact.cathode_atoms :])
    lithium = cathode.composition["Li"]
    assert cathode.composition["O"] == 2 * lithium and lithium == 3 * interface.cathode_cells
    metals = [cathode.composition[name] for name in ("Ni", "Co", "Mn")]
    assert sum(metals) == lithium and metals == pytest.approx([lithium * share / 12 for share in (10, 1, 1)], abs=1)
    assert electrolyte.composition.reduced_formula == cards["lgps"].arrangements[0].bulk.structure().composition.reduced_formula
    bonds = {"P-S": 2.4, "Ge-S": 2.5}
    assert {n for counts in slabs.coordination(electrolyte, bonds).values() for n in counts} == {4}
    nearest = cathode.distance_matrix[np.triu_indices(len(cathode), 1)].min()
    assert nearest == pytest.approx(1.975, abs=0.01)  # the cathode is not strained
    area = abs(np.linalg.det(whole.lattice.matrix[:2, :2]))
    free = 8.69407 * np.hypot(8.69407, 12.5994) * interface.electrolyte_cells
    assert area / free == pytest.approx(np.prod(1 + np.array(interface.strains)), rel=1e-6)


def test_no_match_says_what_to_raise(structure_files, cards, tmp_path):
    tight = load_dft({"interface": {"largest area [angstrom2]": 140, "largest strain [1]": 0.03}})
    with pytest.raises(ConvergenceError, match="largest area"):
        build(tight, structure_files, cards, tmp_path)


def test_planes_of_a_rotated_lattice_match_without_strain():
    base = np.array([[3.0, 0, 0], [0, 3.0, 0]])
    turn = np.array([[2, 1], [-1, 2]])  # the sqrt(5) cell
    film = turn @ base
    pairs = match_planes(base, film, 200, 0.05)
    assert pairs
    for lower, upper in pairs:
        rows = [np.linalg.norm(plane @ vectors, axis=1) for plane, vectors in ((lower, base), (upper, film))]
        assert rows[0] == pytest.approx(rows[1], rel=0.05)
    assert any(abs(round(np.linalg.det(lower))) == 5 for lower, _ in pairs)
    stretch = np.array([[1.03, 0.01], [0.0, 0.98]])
    found = principal_strains(np.array([[4.0, 0], [1.0, 3.0]]), np.array([[4.0, 0], [1.0, 3.0]]) @ stretch)
    assert found == pytest.approx(np.sort(np.linalg.svd(stretch, compute_uv=False)) - 1)


def test_registries_are_shifts_of_the_surface_cell_in_a_skew_supercell_too(settings, cards):
    """The cut may turn b round; the shifts must follow it."""
    cut = slabs_step(settings, "ncm811").cut
    cell = cut_cell(cut, crystal_of("ncm811"), cards["ncm811"].arrangements[0].bulk, None)
    lattice, skew = np.array(cell.cell.lattice), np.array([[2, 1], [-4, 2]])
    first, second, _ = slabs.plane_vectors(lattice, cell.miller)
    base = np.array(slabs.in_plane_vectors(lattice, cell.miller, skew.tolist()))
    assert not np.array_equal(base, skew @ np.array([first, second]))  # b is turned here
    for point in ([0.5, 0.0], [0.0, 1 / 3], [0.5, 2 / 3]):
        shift = np.array(point) @ np.linalg.inv(as_cut(cell, skew)) @ base
        assert shift == pytest.approx(np.array(point) @ np.array([first, second]), abs=1e-9)


def test_binding_curve_gives_back_its_work_length_and_strength():
    s = np.array([0, 0.3, 0.6, 1.0, 1.5, 2.2, 3.5, 6.0])
    exact = -0.5 * (1 + s / 0.6) * np.exp(-s / 0.6)
    found = binding_curve(s, exact)
    assert found["Rigid work of separation [J.m-2]"] == pytest.approx(0.5, rel=1e-6)
    assert found["Decay length [m]"] == pytest.approx(0.6e-10, rel=1e-6)
    fine = np.linspace(0, 6, 100001)
    slope = np.gradient(-0.5 * (1 + fine / 0.6) * np.exp(-fine / 0.6), fine).max() * 1e10
    assert found["Rigid strength [Pa]"] == pytest.approx(slope, rel=1e-6)
    seeds, inside = 60, 0
    for seed in range(seeds):
        noisy = binding_curve(s, exact + np.random.default_rng(seed).normal(scale=0.01, size=s.size))
        inside += abs(noisy["Rigid strength [Pa]"] - slope) < 2 * noisy["Rigid strength, standard error [Pa]"]
    assert inside >= 0.85 * seeds  # six degrees of freedom: the t distribution gives 0.91


def test_work_of_adhesion_of_copper_on_copper_is_twice_its_surface_energy(tmp_path):
    """Dupre: an interface that is none costs two surfaces. Energies from EMT, of a crystal cut in two."""
    a = 3.5899

    def energy(atoms):
        atoms.calc = EMT()
        return atoms.get_potential_energy()

    whole = fcc100("Cu", (2, 2, 8), a=a, vacuum=8.0, orthogonal=True)
    whole.pbc = True
    lower, upper = whole[:16], whole[16:]
    thick = [fcc100("Cu", (2, 2, n), a=a, vacuum=8.0) for n in (8, 9)]
    per_layer = energy(thick[1]) - energy(thick[0])
    area = abs(np.linalg.det(np.array(whole.cell)[:2, :2]))
    gamma = (energy(thick[0]) - 8 * per_layer) / (2 * area) * 16.0217663
    runs, separations = {}, (0.4, 0.8, 1.5, 2.5, 5.0)
    to_structure = AseAtomsAdaptor.get_structure
    runs["lower_together"] = made_run("lower_together", "together", to_structure(whole), energy(whole.copy()))
    for name, half in (("cathode", lower), ("electrolyte", upper)):
        runs[f"lower_{name}"] = made_run(f"lower_{name}", "half", to_structure(half), energy(half.copy()))
    for s in separations:
        moved = whole.copy()
        moved.positions[16:, 2] += s
        runs[f"lower_apart_{s:g}"] = made_run(f"lower_apart_{s:g}", "apart", to_structure(moved), energy(moved), separation=s)
    runs["lower_registry_1"] = made_run("lower_registry_1", "registry", to_structure(whole), energy(whole.copy()))
    plain = Structure(Lattice(np.array(whole.cell)), ["Cu"] * 32, whole.get_scaled_positions())
    contact = Contact(cell=cell_of(plain), cathode_atoms=16, shifts=[[0.0, 0.0, 0.0]])
    card = InterfaceCard.model_validate(
        {
            "cathode": "a", "electrolyte": "b", "Area [angstrom2]": area, "Principal strains of the electrolyte [1]": [0, 0],
            "cathode_cells": 1, "electrolyte_cells": 1, "cathode_formula": "Cu16", "electrolyte_formula": "Cu16",
            "faces": {"lower": contact},
        }
    )  # fmt: skip
    write_card(tmp_path / "interface.json", card)
    write_card(tmp_path / "lower.json", BatchCard(material=INTERFACE, batch="lower", engine="EMT", runs=runs))
    step = adhesion_step(load_dft()).model_copy(update={"forbidden": {"Cu-Cu": 2.0}, "intact": {"Cu-Cu": 3.0}})
    collect_adhesion(step, structures=tmp_path / "interface.json", runs=[tmp_path / "lower.json"], output=tmp_path / "adhesion.json")
    found = read_card(AdhesionCard, tmp_path / "adhesion.json").faces["lower"]
    assert found.work == pytest.approx(2 * gamma, rel=0.01)
    assert found.rigid_work == pytest.approx(found.work, rel=0.1)  # EMT is no perfect universal curve
    assert found.forbidden == {"Cu-Cu": 0} and found.broken == {"Cu-Cu": 0}
    worse = runs | {"lower_together": runs["lower_together"].model_copy(update={"energy": 1000.0})}
    write_card(tmp_path / "lower.json", BatchCard(material=INTERFACE, batch="lower", engine="EMT", runs=worse))
    with pytest.raises(ConvergenceError, match="do not hold together"):
        collect_adhesion(step, structures=tmp_path / "interface.json", runs=[tmp_path / "lower.json"], output=tmp_path / "no.json")


def test_halves_and_separations_come_from_the_relaxed_whole(interface, settings_with_both):
    tasks = {task.name: task for task in run_step(settings_with_both, INTERFACE, "upper").tasks}
    tried = {}
    for k, value in zip(range(1, 7), (3.0, -1.0, 2.0, 5.0, 0.0, 1.0), strict=True):
        cell = interface_start(tasks[f"upper_registry_{k}"], interface, {})
        tried[f"upper_registry_{k}"] = made_run(f"upper_registry_{k}", "registry", cell.structure(), value)
    best = interface_start(tasks["upper_together"], interface, tried)
    assert np.allclose(best.positions, tried["upper_registry_2"].cell.positions)
    done = tried | {"upper_together": made_run("upper_together", "together", best.structure(), -2.0)}
    halves = [interface_start(tasks[f"upper_{side}"], interface, done) for side in ("cathode", "electrolyte")]
    assert halves[0].species + halves[1].species == best.species
    count, base = len(halves[0].species), across(best, len(halves[0].species)).min()
    gaps = [across(interface_start(tasks[f"upper_apart_{s:g}"], interface, done), count).min() for s in (1.0, 6.0)]
    assert base < gaps[0] < gaps[1] and gaps[1] > 6.0
    for first, second in itertools.pairwise((best, interface_start(tasks["upper_apart_1"], interface, done))):
        inner = [cell.structure().distance_matrix[count:, count:] for cell in (first, second)]
        assert inner[0] == pytest.approx(inner[1], abs=1e-6)  # moved as one
