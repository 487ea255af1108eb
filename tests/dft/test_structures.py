import itertools
from pathlib import Path

import numpy as np
import pytest
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Composition, Structure
from pymatgen.core.surface import SlabGenerator
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from ecmpipe.dft import slabs
from ecmpipe.dft.ordering import order
from ecmpipe.dft.records import Cell, cell_of
from ecmpipe.dft.structures import build_crystal, build_structures, neutral_charges, read_crystal
from ecmpipe.errors import SettingsError
from ecmpipe.settings.dft import structures_step
from tests.dft.conftest import ROOT, load_dft

CHARGES = {"Li": 1, "Ni": 2.9, "Co": 3, "Mn": 4, "O": -2}


def parent(name):
    return build_crystal(read_crystal(ROOT / "inputs/structures" / f"{name}.yaml"))


def test_compositions(cards):
    assert cards["ncm811"].bulk.structure().composition == Composition("Li12Ni10Co1Mn1O24")
    assert cards["lgps"].bulk.structure().composition == Composition("Li20Ge2P4S24")
    left = {name: 12 - len(gone) for name, gone in cards["ncm811"].removed.items()}
    assert left == {"li12": 12, "li10": 10, "li9": 9, "li6": 6, "li3": 3, "li0": 0}


def test_undecorated_parent_is_layered_and_decoration_breaks_it(cards):
    assert SpacegroupAnalyzer(cards["ncm811"].parent.structure(), 0.01).get_space_group_symbol() == "R-3m"
    assert SpacegroupAnalyzer(cards["ncm811"].bulk.structure(), 0.01).get_space_group_symbol() != "R-3m"
    distances = cards["ncm811"].bulk.structure().distance_matrix
    assert distances[np.triu_indices(48, 1)].min() == pytest.approx(1.975, abs=0.001)  # the metal-oxygen bond


def test_three_distinct_cobalt_manganese_arrangements(cards):
    found = cards["ncm811"].orderings["bulk"]
    assert found["arrangements"] == 132
    assert sorted(item["multiplicity"] for item in found["distinct"]) == [24, 36, 72]
    energies = [item["ewald energy [eV]"] for item in found["distinct"]]
    assert energies == sorted(energies) and energies[0] == found["ewald energy [eV]"]


def ewald_energy(structure, charges):
    return EwaldSummation(structure.copy().add_oxidation_state_by_element(charges)).total_energy


def test_ewald_energy_of_the_choice_is_that_of_the_whole_cell(cards):
    assert ewald_energy(cards["ncm811"].bulk.structure(), CHARGES) == pytest.approx(
        cards["ncm811"].orderings["bulk"]["ewald energy [eV]"], abs=1e-3
    )
    lgps = cards["lgps"]
    charges = {"Li": 1, "Ge": 4, "P": 5, "S": -2}
    assert ewald_energy(lgps.bulk.structure(), charges) == pytest.approx(lgps.orderings["bulk"]["ewald energy [eV]"], abs=1e-3)


def test_the_choice_is_the_best_of_a_brute_force_search():
    rock_salt = Structure.from_spacegroup("Fm-3m", np.diag([4.2] * 3), ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    rock_salt.make_supercell([1, 1, 2])
    rock_salt.perturb(0.15, seed=3)  # no two arrangements alike
    labels = ["M" if k < 6 else "N" for k in range(8)] + ["O"] * 8
    charges = {"Li": 1, "Ti": 3, "O": -2}
    species, report = order(rock_salt, labels, {"M": {"Li": 3, "Ti": 3}, "N": {"Li": 1, "Ti": 1}}, charges, {})
    found = []
    for chosen in itertools.combinations(range(6), 3):
        for last in (6, 7):
            trial = rock_salt.copy()
            for k in (*chosen, last):
                trial.replace(k, "Ti")
            found.append((ewald_energy(trial, charges), tuple(site.specie.symbol for site in trial)))
    best = min(found)
    assert report["arrangements"] == len(found) == 40
    assert report["ewald energy [eV]"] == pytest.approx(best[0], abs=1e-3)
    assert tuple(species) == best[1]


def test_lithium_pairs_keep_their_distance(cards):
    structure = cards["lgps"].bulk.structure()
    lithium = [k for k, site in enumerate(structure) if site.specie.symbol == "Li"]
    distances = structure.distance_matrix[np.ix_(lithium, lithium)]
    assert distances[distances > 0].min() > 2.0
    crowded = load_dft({"materials": {"lgps": {"sites": {"Li1": {"Li": 11}, "Li3": {"Li": 5}}}}})  # the plain occupancies
    with pytest.raises(SettingsError, match="closest pairs"):
        build_structures(
            structures_step(crowded, "lgps"), material="lgps", crystal=ROOT / "inputs/structures/lgps.yaml", output=Path("unused.json")
        )


def test_charge_follows_the_lithium_that_is_removed():
    charges = neutral_charges({"Li": 6, "Ni": 10, "Co": 1, "Mn": 1, "O": 24}, CHARGES, "Ni")
    assert charges["Ni"] == pytest.approx(3.5)
    with pytest.raises(SettingsError, match="charge"):
        neutral_charges({"Li": 6, "O": 24}, CHARGES, None)


@pytest.mark.parametrize("material", ["ncm811", "lgps"])
def test_slab_stands_upright_in_its_vacuum(cards, material):
    card = cards[material].slab
    slab = card.cell.structure()
    a, b, c = slab.lattice.matrix
    heights = slab.cart_coords[:, 2]
    assert slab.lattice.c - np.ptp(heights) == pytest.approx(20.0, abs=1e-6)
    assert np.linalg.norm(np.cross(c, [0, 0, 1])) < 1e-9 and abs(a @ c) < 1e-9 and abs(b @ c) < 1e-9
    assert slab.lattice.a > slab.lattice.b  # 1x2x1 and 2x4x1 have their many points along the short axis
    assert slab.distance_matrix[np.triu_indices(len(slab), 1)].min() > 1.9
    ratio = len(slab) / len(cards[material].bulk.species)
    assert slab.composition == cards[material].bulk.structure().composition * ratio


def test_undecorated_104_slab_has_inversion_and_no_dipole(cards):
    card = cards["ncm811"].slab
    cell = card.cut_cell
    plain = slabs.place_slab(cell, card.in_plane, card.sites, [cell.species[site] for site, _ in card.sites], 20.0)
    operations = SpacegroupAnalyzer(plain, 0.01).get_symmetry_operations()
    assert any(np.allclose(operation.rotation_matrix, -np.eye(3)) for operation in operations)
    assert abs(slabs.dipole_per_area(plain, {"Li": 1, "Ni": 3, "O": -2})) < 1e-6
    assert card.symmetric and plain.composition.reduced_formula == "LiNiO2"


def test_104_cut_is_the_surface_that_pymatgen_cuts(cards):
    other = SlabGenerator(parent("ncm811"), (1, 0, 4), 8, 20, center_slab=True, primitive=True, lll_reduce=True).get_slabs()[0]
    mine = cards["ncm811"].slab.cell.structure()
    area = np.linalg.norm(np.cross(*mine.lattice.matrix[:2]))
    assert area / len(mine) == pytest.approx(other.surface_area / len(other), rel=1e-6)
    assert np.ptp(mine.cart_coords[:, 2]) == pytest.approx(np.ptp(other.cart_coords @ other.normal), abs=1e-3)


def test_101_keeps_every_tetrahedron_and_takes_the_least_dipole(cards):
    card = cards["lgps"]
    bonds = {"P-S": 2.4, "Ge-S": 2.5}
    counts = slabs.coordination(card.slab.cell.structure(), bonds)
    assert {pair: set(values) for pair, values in counts.items()} == {"P-S": {4}, "Ge-S": {4}}
    generator = SlabGenerator(card.bulk.structure(), (1, 0, 1), 14, 20, lll_reduce=False, primitive=False)
    assert card.slab.terminations == len(generator.get_slabs())
    intact = generator.get_slabs(bonds={("P", "S"): 2.4, ("Ge", "S"): 2.5})
    assert card.slab.intact_terminations == len(intact) == 4
    assert card.slab.polar


@pytest.mark.parametrize("material", ["ncm811", "lgps"])
def test_slab_of_a_relaxed_bulk_is_the_same_cut_of_it(cards, material):
    card = cards[material]
    same = slabs.cut_of(card.bulk, card.slab)
    slab = slabs.place_slab(same, card.slab.in_plane, card.slab.sites, card.slab.species, 20.0)
    assert np.abs(slab.cart_coords - card.slab.cell.structure().cart_coords).max() < 1e-6
    stretch = np.diag([1.02, 1.02, 0.97])
    moved = [[x + 3, y, z - 1] for x, y, z in card.bulk.positions]  # whole lattice vectors and a stretch
    data = {"species": card.bulk.species, "Lattice [angstrom]": (np.array(card.bulk.lattice) @ stretch).tolist(), "Positions [1]": moved}
    cut = slabs.cut_of(Cell.model_validate(data), card.slab)
    expected = np.array(card.slab.cut_cell.lattice) @ stretch
    assert np.allclose(cut.lattice, expected, atol=1e-8)
    assert np.allclose(cut.positions, card.slab.cut_cell.positions, atol=1e-8)


def test_cell_survives_its_record(cards):
    cell = cards["lgps"].bulk
    assert cell_of(cell.structure()) == cell


@pytest.mark.parametrize(
    ("overlay", "text"),
    [
        ({"sites": {"Xx9": {"Ni": 1}}}, "no site 'Xx9'"),
        ({"sites": {"Ni1": {"Ni": 11, "Co": 1, "Mn": 1}}}, "13 atoms on 12 sites"),
        ({"slab": {"layers": 5}}, "not a multiple|atoms on"),
    ],
)
def test_wrong_structure_settings_are_named(overlay, text, tmp_path):
    wrong = load_dft({"materials": {"ncm811": overlay}})
    with pytest.raises(SettingsError, match=text):
        build_structures(
            structures_step(wrong, "ncm811"),
            material="ncm811",
            crystal=ROOT / "inputs/structures/ncm811.yaml",
            output=tmp_path / "out.json",
        )
    assert not (tmp_path / "out.json").exists()
