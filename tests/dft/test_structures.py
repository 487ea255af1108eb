import itertools

import numpy as np
import pytest
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Structure
from pymatgen.core.surface import SlabGenerator
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from ecmpipe.dft import slabs
from ecmpipe.dft.cuts import cut_cell, make_slabs, terminations
from ecmpipe.dft.ordering import order, order_by_swaps
from ecmpipe.dft.records import cell_of
from ecmpipe.dft.structures import build_crystal, build_structures, build_supercell, make_structures, neutral_charges, read_crystal
from ecmpipe.errors import SettingsError
from ecmpipe.settings.dft import slabs_step, structures_step
from tests.dft.conftest import ROOT, crystal_of, load_dft

CHARGES = {"Li": 1, "Ni": 2.9, "Co": 3, "Mn": 4, "O": -2}


def parent(name):
    return build_crystal(read_crystal(ROOT / "inputs/structures" / f"{name}.yaml"))


def test_compositions(cards):
    assert cards["ncm811"].arrangements[0].bulk.structure().composition == Composition("Li12Ni10Co1Mn1O24")
    assert cards["lgps"].arrangements[0].bulk.structure().composition == Composition("Li20Ge2P4S24")
    left = {name: 12 - len(gone) for name, gone in cards["ncm811"].arrangements[0].removed.items()}
    assert left == {"li12": 12, "li10_1": 10, "li9_1": 9, "li6_1": 6, "li3_1": 3, "li0": 0}


def test_undecorated_parent_is_layered_and_decoration_breaks_it(cards):
    assert SpacegroupAnalyzer(cards["ncm811"].parent.structure(), 0.01).get_space_group_symbol() == "R-3m"
    assert SpacegroupAnalyzer(cards["ncm811"].arrangements[0].bulk.structure(), 0.01).get_space_group_symbol() != "R-3m"
    distances = cards["ncm811"].arrangements[0].bulk.structure().distance_matrix
    assert distances[np.triu_indices(48, 1)].min() == pytest.approx(1.975, abs=0.001)  # the metal-oxygen bond


def test_three_distinct_cobalt_manganese_arrangements(cards):
    card = cards["ncm811"]
    assert card.orderings["bulk"]["arrangements"] == 132 and card.orderings["bulk"]["distinct"] == 3
    assert [each.multiplicity for each in card.arrangements] == [24, 72, 36]
    energies = [each.ewald for each in card.arrangements]
    assert energies == sorted(energies) and energies[0] == card.orderings["bulk"]["ewald energy [eV]"]
    apart = []
    for each in card.arrangements:  # Co-Mn: in the plane, and two distances between planes
        cell = each.bulk.structure()
        cobalt, manganese = (next(k for k, site in enumerate(cell) if site.specie.symbol == name) for name in ("Co", "Mn"))
        apart.append(cell.get_distance(cobalt, manganese))
        assert ewald_energy(cell, CHARGES) == pytest.approx(each.ewald, abs=1e-3)
    assert sorted(apart) == pytest.approx([2.875, 5.016, 5.781], abs=1e-3)


def test_the_best_orderings_are_distinct_and_in_order():
    settings = load_dft({"materials": {"ncm811": {"delithiation": {"orderings": 3}, "arrangements": 1}}})
    card = make_structures(structures_step(settings, "ncm811"), "ncm811", crystal_of("ncm811"))
    (arrangement,) = card.arrangements
    assert set(arrangement.removed) == {"li12", "li0", *(f"li{n}_{k}" for n in (10, 9, 6, 3) for k in (1, 2, 3))}
    energies, cells = [], []
    for k in (1, 2, 3):
        cell = arrangement.bulk.structure()
        cell.remove_sites(arrangement.removed[f"li6_{k}"])
        cells.append(cell)
        energies.append(ewald_energy(cell, CHARGES | {"Ni": 3.5}))
    assert (np.diff(energies) > -1e-6).all() and energies[0] == pytest.approx(card.orderings["li6"]["ewald energy [eV]"], abs=1e-3)
    matcher = StructureMatcher(primitive_cell=False, scale=False)
    assert not any(matcher.fit(*pair) for pair in itertools.combinations(cells, 2))
    charged = load_dft({"materials": {"ncm811": {"charges": {"Ni": 3.5}}}})
    with pytest.raises(SettingsError, match="has the charge 6"):
        make_structures(structures_step(charged, "ncm811"), "ncm811", crystal_of("ncm811"))
    with pytest.raises(SettingsError, match="only 3 differ"):
        make_structures(structures_step(settings, "ncm811").model_copy(update={"arrangements": 4}), "ncm811", crystal_of("ncm811"))


def test_swaps_find_the_best_arrangement_of_a_small_cell(cards):
    sites = build_supercell(parent("ncm811"), [2, 2, 1])
    labels = sites.site_properties["label"]
    species = order_by_swaps(sites, labels, {"Ni1": {"Ni": 10, "Co": 1, "Mn": 1}}, CHARGES)
    assert Composition("".join(species)) == Composition("Li12Ni10Co1Mn1O24")
    filled = Structure(sites.lattice, species, sites.frac_coords)
    assert ewald_energy(filled, CHARGES) == pytest.approx(cards["ncm811"].arrangements[0].ewald, abs=1e-3)


def ewald_energy(structure, charges):
    return EwaldSummation(structure.copy().add_oxidation_state_by_element(charges)).total_energy


def test_ewald_energy_of_the_choice_is_that_of_the_whole_cell(cards):
    lgps = cards["lgps"]
    charges = {"Li": 1, "Ge": 4, "P": 5, "S": -2}
    found = ewald_energy(lgps.arrangements[0].bulk.structure(), charges)
    assert found == pytest.approx(lgps.orderings["bulk"]["ewald energy [eV]"], abs=1e-3)


def test_the_choice_is_the_best_of_a_brute_force_search():
    rock_salt = Structure.from_spacegroup("Fm-3m", np.diag([4.2] * 3), ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    rock_salt.make_supercell([1, 1, 2])
    rock_salt.perturb(0.15, seed=3)  # no two arrangements alike
    labels = ["M" if k < 6 else "N" for k in range(8)] + ["O"] * 8
    charges = {"Li": 1, "Ti": 3, "O": -2}
    (best_found,), report = order(rock_salt, labels, {"M": {"Li": 3, "Ti": 3}, "N": {"Li": 1, "Ti": 1}}, charges, {})
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
    assert tuple(best_found.species) == best[1]


def test_lithium_pairs_keep_their_distance(cards):
    structure = cards["lgps"].arrangements[0].bulk.structure()
    lithium = [k for k, site in enumerate(structure) if site.specie.symbol == "Li"]
    distances = structure.distance_matrix[np.ix_(lithium, lithium)]
    assert distances[distances > 0].min() > 2.0
    crowded = load_dft({"materials": {"lgps": {"sites": {"Li1": {"Li": 11}, "Li3": {"Li": 5}}}}})  # the plain occupancies
    with pytest.raises(SettingsError, match="closest pairs"):
        make_structures(structures_step(crowded, "lgps"), "lgps", crystal_of("lgps"))


def test_charge_follows_the_lithium_that_is_removed():
    charges = neutral_charges({"Li": 6, "Ni": 10, "Co": 1, "Mn": 1, "O": 24}, CHARGES, "Ni")
    assert charges["Ni"] == pytest.approx(3.5)
    with pytest.raises(SettingsError, match="charge"):
        neutral_charges({"Li": 6, "O": 24}, CHARGES, None)


@pytest.mark.parametrize(("material", "name"), [("ncm811", "slab_4"), ("lgps", "slab_1"), ("lgps", "slab_2")])
def test_slab_stands_upright_in_its_vacuum(cards, slab_cards, material, name):
    slab = slab_cards[material].slabs[name].cell.structure()
    a, b, c = slab.lattice.matrix
    heights = slab.cart_coords[:, 2]
    assert slab.lattice.c - np.ptp(heights) == pytest.approx(20.0, abs=1e-6)
    assert np.linalg.norm(np.cross(c, [0, 0, 1])) < 1e-9 and abs(a @ c) < 1e-9 and abs(b @ c) < 1e-9
    assert slab.lattice.a > slab.lattice.b  # 1x2x1 and 2x4x1 have their many points along the short axis
    assert slab.distance_matrix[np.triu_indices(len(slab), 1)].min() > 1.9
    bulk = cards[material].arrangements[0].bulk.structure()
    assert slab.composition == bulk.composition * (len(slab) / len(bulk))


def undecorated(cards, relaxed=None):
    settings = load_dft()
    cut = slabs_step(settings, "ncm811").cut
    cell = cut_cell(cut, crystal_of("ncm811"), cards["ncm811"].arrangements[0].bulk, relaxed)
    ranked, _ = terminations(cell, cut.rules, {}, 4, [[3, 0], [0, 1]], 20.0)
    return ranked[0][0]


def test_undecorated_104_slab_has_inversion_and_no_dipole(cards, slab_cards):
    bulk = cards["ncm811"].arrangements[0].bulk
    shear = np.eye(3) + np.array([[0.01, 0.004, 0], [0.002, -0.01, 0.003], [0, 0, 0.02]])
    places = np.array(bulk.positions) + np.random.default_rng(3).normal(scale=0.004, size=(48, 3))
    uneven = bulk.model_copy(update={"lattice": (np.array(bulk.lattice) @ shear).tolist(), "positions": places.tolist()})
    for relaxed in (None, uneven):  # a decorated bulk relaxes out of its symmetry; its slab's faces must stay alike
        plain = undecorated(cards, relaxed)
        operations = SpacegroupAnalyzer(plain, 0.01).get_symmetry_operations()
        assert any(np.allclose(operation.rotation_matrix, -np.eye(3)) for operation in operations)
        assert abs(slabs.dipole_per_area(plain, [{"Li": 1, "Ni": 3, "O": -2}[site.specie.symbol] for site in plain])) < 1e-6
        assert plain.composition.reduced_formula == "LiNiO2"
        volume = abs(np.linalg.det((relaxed or bulk).lattice))
        per_atom = np.linalg.norm(np.cross(*plain.lattice.matrix[:2])) / len(plain) * np.ptp(plain.cart_coords[:, 2]) * 4 / 3
        assert per_atom == pytest.approx(volume / 48, rel=0.05)
    assert slab_cards["ncm811"].slabs["slab_4"].symmetric_cut


def test_104_cut_is_the_surface_that_pymatgen_cuts(slab_cards):
    other = SlabGenerator(parent("ncm811"), (1, 0, 4), 8, 20, center_slab=True, primitive=True, lll_reduce=True).get_slabs()[0]
    mine = slab_cards["ncm811"].slabs["slab_4"].cell.structure()
    area = np.linalg.norm(np.cross(*mine.lattice.matrix[:2]))
    assert area / len(mine) == pytest.approx(other.surface_area / len(other), rel=1e-6)
    assert np.ptp(mine.cart_coords[:, 2]) == pytest.approx(np.ptp(other.cart_coords @ other.normal), abs=1e-3)


def test_101_keeps_every_tetrahedron_and_takes_the_least_dipole(cards, slab_cards):
    slab = slab_cards["lgps"].slabs["slab_2"]
    bonds = {"P-S": 2.4, "Ge-S": 2.5}
    counts = slabs.coordination(slab.cell.structure(), bonds)
    assert {pair: set(values) for pair, values in counts.items()} == {"P-S": {4}, "Ge-S": {4}}
    generator = SlabGenerator(cards["lgps"].arrangements[0].bulk.structure(), (1, 0, 1), 14, 20, lll_reduce=False, primitive=False)
    assert slab.terminations == len(generator.get_slabs())
    intact = generator.get_slabs(bonds={("P", "S"): 2.4, ("Ge", "S"): 2.5})
    assert slab.intact_terminations == len(intact) == 4
    assert slab.polar


@pytest.mark.parametrize("material", ["ncm811", "lgps"])
def test_slab_of_a_relaxed_bulk_is_the_same_cut_of_it(settings, cards, slab_cards, material):
    bulk = cards[material].arrangements[0].bulk
    moved = [[x + 3, y, z - 1] for x, y, z in bulk.positions]  # whole lattice vectors and an even stretch
    relaxed = bulk.model_copy(update={"lattice": (1.01 * np.array(bulk.lattice)).tolist(), "positions": moved})
    again = make_slabs(slabs_step(settings, material), material, crystal_of(material), cards[material], 1, relaxed)
    for name, slab in slab_cards[material].slabs.items():
        before, after = slab.cell.structure(), again.slabs[name].cell.structure()
        assert after.lattice.a == pytest.approx(1.01 * before.lattice.a, rel=1e-9) and after.species == before.species
        assert np.ptp(after.cart_coords[:, 2]) == pytest.approx(1.01 * np.ptp(before.cart_coords[:, 2]), rel=1e-6)


def test_thicker_slabs_keep_the_composition_or_say_why(cards):
    thick = load_dft({"materials": {"ncm811": {"slab": {"layers": [4, 8]}}}})
    card = make_slabs(slabs_step(thick, "ncm811"), "ncm811", crystal_of("ncm811"), cards["ncm811"])
    assert card.slabs["slab_8"].cell.structure().composition == Composition("Li24Ni20Co2Mn2O48")
    odd = load_dft({"materials": {"ncm811": {"slab": {"layers": [5]}}}})
    with pytest.raises(SettingsError, match="15 sites 'Ni1' cannot hold"):
        make_slabs(slabs_step(odd, "ncm811"), "ncm811", crystal_of("ncm811"), cards["ncm811"])


def test_cell_survives_its_record(cards):
    cell = cards["lgps"].arrangements[0].bulk
    assert cell_of(cell.structure()) == cell


@pytest.mark.parametrize(
    ("overlay", "text"),
    [
        ({"sites": {"Xx9": {"Ni": 1}}}, "no site 'Xx9'"),
        ({"sites": {"Ni1": {"Ni": 11, "Co": 1, "Mn": 1}}}, "13 atoms on 12 sites"),
    ],
)
def test_wrong_structure_settings_are_named(overlay, text, tmp_path):
    wrong = load_dft({"materials": {"ncm811": overlay}})
    with pytest.raises(SettingsError, match=text):
        build_structures(
            structures_step(wrong, "ncm811"),
            material="ncm811",
            crystal=crystal_of("ncm811"),
            output=tmp_path / "out.json",
        )
    assert not (tmp_path / "out.json").exists()
