import numpy as np
import pytest
from pymatgen.core import Structure
from pymatgen.io.vasp import Incar, Kpoints, Poscar

from ecmpipe.dft.inputs import NAMES, vasp_files, write_inputs
from ecmpipe.errors import SettingsError
from ecmpipe.settings.dft import interface_step, slabs_step, structures_step
from ecmpipe.settings.dft_runs import batches, inputs_step, run_step
from tests.dft.conftest import cells_file, load_dft

PRINTED_U = {"Mn": 5.2, "Co": 5.9, "Ni": 6.8}
# Methods of the SI: system, k-point scheme and grid
PRINTED_GRIDS = {
    ("ncm811", "bulk"): ("Monkhorst", (4, 4, 2)),
    ("ncm811", "surface"): ("Gamma", (1, 2, 1)),
    ("lgps", "bulk"): ("Monkhorst", (4, 4, 2)),
    ("lgps", "surface"): ("Gamma", (2, 4, 1)),
}


@pytest.fixture(scope="module")
def written(settings, cards, slab_cards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vasp")
    found = {}
    for material, system in PRINTED_GRIDS:
        cells = cells_file(folder, material, system, cards, slab_cards)
        paths = [folder / material / system / name for name in NAMES]
        write_inputs(inputs_step(settings, material, system), material=material, system=system, cells=cells, output=paths)
        found[material, system] = folder / material / system
    return found


@pytest.mark.parametrize(("material", "system"), PRINTED_GRIDS)
def test_inputs_are_those_of_the_si(written, cards, slab_cards, material, system):
    folder = written[material, system]
    incar, kpoints, poscar = Incar.from_file(folder / "INCAR"), Kpoints.from_file(folder / "KPOINTS"), Poscar.from_file(folder / "POSCAR")
    scheme, grid = PRINTED_GRIDS[material, system]
    assert kpoints.style.name == scheme and tuple(kpoints.kpts[0]) == grid
    assert incar["ENCUT"] == 500 and incar["ISPIN"] == 2 and incar["LREAL"] is False
    assert incar["ISIF"] == (3 if system == "bulk" else 2)
    if material == "ncm811":
        assert incar["LDAU"] and incar["LDAUTYPE"] == 2 and incar["LMAXMIX"] == 4
        assert incar["LDAUU"] == [PRINTED_U.get(symbol, 0) for symbol in poscar.site_symbols]
        assert incar["LDAUL"] == [2 if symbol in PRINTED_U else incar["LDAUL"][0] for symbol in poscar.site_symbols]
        moments = dict(zip((site.specie.symbol for site in poscar.structure), incar["MAGMOM"], strict=True))
        assert moments == {"Li": 0, "Mn": 4.0, "Co": 0.6, "Ni": 1.0, "O": 0}
    else:
        assert not incar.get("LDAU") and "LDAUU" not in incar
    slab = list(slab_cards[material].slabs.values())[-1]
    expected = (cards[material].arrangements[0].bulk if system == "bulk" else slab.cell).structure()
    assert poscar.structure.composition == expected.composition
    assert np.allclose(poscar.structure.lattice.matrix, expected.lattice.matrix, atol=1e-9)
    polar = system == "surface" and slab.polar
    assert (incar.get("LDIPOL"), incar.get("IDIPOL")) == ((True, 3) if polar else (None, None))
    potentials = (folder / "POTCAR.spec").read_text().split()
    assert [name.split("_")[0] for name in potentials] == poscar.site_symbols
    assert not (folder / "POTCAR").exists()


def test_u_follows_the_species_in_any_order(settings, cards):
    structure = cards["ncm811"].arrangements[0].bulk.structure()
    shuffled = Structure.from_sites([structure[k] for k in np.random.default_rng(1).permutation(len(structure))])
    electronic = inputs_step(settings, "ncm811", "bulk").electronic
    made = vasp_files(shuffled, electronic, tolerance=0.01, steps=9, cell_relaxes=True)
    symbols = Poscar.from_str(made.files["POSCAR"]).site_symbols
    assert dict(zip(symbols, Incar.from_str(made.files["INCAR"])["LDAUU"], strict=True)) == {"Li": 0, "O": 0, **PRINTED_U}
    placed = Poscar.from_str(made.files["POSCAR"]).structure
    assert np.allclose(placed.frac_coords, shuffled.frac_coords[made.order], atol=1e-10)


def test_user_tags_win(settings, cards):
    tagged = load_dft({"vasp": {"incar": {"NCORE": 4}}})
    electronic = inputs_step(tagged, "lgps", "bulk").electronic
    made = vasp_files(cards["lgps"].arrangements[0].bulk.structure(), electronic, tolerance=0.01, steps=9, cell_relaxes=True)
    assert Incar.from_str(made.files["INCAR"])["NCORE"] == 4


def texts(found, material):
    """Every step of one material, by name."""
    return {
        "structures": structures_step(found, material).canonical(),
        "slabs": slabs_step(found, material).canonical(),
        **{system: inputs_step(found, material, system).canonical() for system in ("bulk", "surface")},
        **{batch: run_step(found, material, batch).canonical() for batch in batches(found, material)},
    }


def changed(before, after, material):
    first, second = texts(before, material), texts(after, material)
    return {name for name in first if first[name] != second[name]}


def test_u_of_nickel_touches_its_own_steps_alone(settings):
    edited = load_dft(parameters={"hubbard_u_ni": {"value": 6.2}})
    assert changed(settings, edited, "lgps") == set()
    assert changed(settings, edited, "ncm811") == {"bulk", "surface", *batches(settings, "ncm811")}
    assert run_step(settings, "interface", "lower") != run_step(edited, "interface", "lower")  # it holds Ni
    assert interface_step(settings) == interface_step(edited)


def test_one_slab_s_vacuum_touches_that_slab_alone(settings):
    edited = load_dft({"materials": {"lgps": {"slab": {"vacuum [angstrom]": 25}}}})
    assert changed(settings, edited, "ncm811") == set()
    assert changed(settings, edited, "lgps") == {"slabs"}  # and what is made of slabs.json
    assert interface_step(settings) == interface_step(edited)
    assert run_step(settings, "interface", "lower") == run_step(edited, "interface", "lower")


@pytest.mark.parametrize("incar", [{"NSW": 0}, {"ENCUT": 400}, {"LDAUU": "0 1"}, {"SYSTEM": "a\nNSW = 0"}, {"ISIF": 2}])
def test_tags_that_ecmpipe_owns_are_refused(incar):
    with pytest.raises(SettingsError, match=next(iter(incar))):
        load_dft({"vasp": {"incar": incar}})


@pytest.mark.parametrize(
    ("overlay", "words"),
    [
        ({"strains": {"magnitudes": [0.005, 0.0050000001, -0.005]}}, "names one twice"),
        ({"sites": {"Ni1": {"Ni": -1}}}, "greater than or equal to 0"),
        ({"supercell": [50, 50, 50]}, "more than 30 cells"),
        ({"slab": {"in_plane": [[7, 0], [0, 7]]}}, "1 to 30 cells"),
        ({"slab": {"layers": [4, 4]}}, "rise without repeats"),
        ({"slab": {"intact bonds [angstrom]": {"Ni-O": 60}}}, "less than or equal to 5"),
        ({"delithiation": {"reference": "li12"}}, "name of a delithiated run"),
    ],
)
def test_senseless_materials_are_refused_in_one_line(overlay, words):
    with pytest.raises(SettingsError, match=words) as caught:
        load_dft({"materials": {"ncm811": overlay}})
    assert len(str(caught.value).splitlines()) == 1


def test_more_u_joins_the_printed_ones():
    iron = load_dft({"materials": {"ncm811": {"charges": {"Fe": 3}, "potentials": {"Fe": "Fe_pv"}, "more Hubbard U [eV]": {"Fe": 5.3}}}})
    assert inputs_step(iron, "ncm811", "bulk").electronic.hubbard_u == PRINTED_U | {"Fe": 5.3}


def test_one_job_per_run_covers_the_same_tasks(settings):
    single = load_dft({"jobs_per": "run"})
    for subject in (*settings.dft.materials, "interface"):
        groups = [task.name for batch in batches(settings, subject) for task in run_step(settings, subject, batch).tasks]
        needs = batches(single, subject)
        assert sorted(needs) == sorted(groups)
        order = list(needs)
        assert all(order.index(each) < order.index(name) for name, before in needs.items() for each in before)
        assert all(len(run_step(single, subject, batch).tasks) == 1 for batch in needs)
    assert batches(single, "ncm811")["li12"] == ["arrangement_1", "arrangement_2", "arrangement_3"]
    assert batches(single, "interface")["lower_together"] == [f"lower_registry_{k}" for k in range(1, 7)]
    assert batches(single, "interface")["lower_cathode"] == batches(single, "interface")["lower_apart_1"] == ["lower_together"]
