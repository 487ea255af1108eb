"""Other compositions and materials enter by settings and crystal files alone; one of them with the default engine, as an anchor."""

import numpy as np
import pytest
from pymatgen.core import Composition

from ecmpipe.cards import SurfacesCard, read_card
from ecmpipe.dft.cuts import build_slabs, make_slabs
from ecmpipe.dft.ordering import order, permutations
from ecmpipe.dft.runs import run_batch
from ecmpipe.dft.structures import build_crystal, build_structures, build_supercell, make_structures, read_crystal
from ecmpipe.dft.surfaces import collect_surfaces
from ecmpipe.settings.dft import slabs_step, structures_step, surfaces_step
from ecmpipe.settings.dft_runs import run_step
from tests.dft.conftest import crystal_of, load_dft

KPOINTS = {"scheme": "gamma", "grid": [2, 2, 1]}
LINIO2 = {
    "crystal": "inputs/structures/ncm811.yaml",
    "supercell": [1, 1, 1],
    "sites": {},
    "arrangements": 1,
    "charges": {"Li": 1, "Ni": 3, "O": -2},
    "potentials": {"Li": "Li_sv", "Ni": "Ni_pv", "O": "O"},
    "formula_units": 3,
    "bulk": {"kpoints": KPOINTS},
    "slab": {
        "miller": [1, 0, 4],
        "layers": [4],
        "in_plane": [[0, 1], [1, 0]],
        "cut": "parent",
        "vacuum [angstrom]": 20,
        "kpoints": KPOINTS,
    },
    "strains": {"magnitudes": [0.005, -0.005]},
}


@pytest.mark.parametrize(
    ("sites", "charges", "formula"),
    [
        ({"Ni": 4, "Co": 4, "Mn": 4}, {"Li": 1, "Ni": 2, "Co": 3, "Mn": 4, "O": -2}, "Li12Ni4Co4Mn4O24"),
        ({"Ni": 6, "Mn": 6}, {"Li": 1, "Ni": 2, "Mn": 4, "O": -2}, "Li12Ni6Mn6O24"),
        ({"Co": 12}, {"Li": 1, "Co": 3, "O": -2}, "Li12Co12O24"),
    ],
)
def test_other_layered_oxides(sites, charges, formula):
    names = {name: name for name in charges}
    overlay = {"sites": {"Ni1": None}, "charges": None, "potentials": None, "initial moments [bohr_magneton]": {}, "arrangements": 1}
    base = load_dft().dft.materials["ncm811"].model_dump(mode="json", by_alias=True)
    material = (
        base | overlay | {"sites": {"Ni1": sites}, "charges": charges, "potentials": names, "compensating": None, "delithiation": None}
    )
    material["slab"] |= {"layers": [4], "in_plane": [[3, 0], [0, 1]]}
    settings = load_dft({"materials": {"other": material}})
    card = make_structures(structures_step(settings, "other"), "other", crystal_of("ncm811"))
    assert card.arrangements[0].bulk.structure().composition == Composition(formula)
    slab = make_slabs(slabs_step(settings, "other"), "other", crystal_of("ncm811"), card).slabs["slab_4"]
    assert slab.cell.structure().composition.reduced_formula == Composition(formula).reduced_formula and slab.symmetric_cut


def test_distinct_arrangements_are_counted_as_burnside_counts_them():
    """Half Ni, half Mn: the mean over the space group of the colourings that each operation leaves alone."""
    sites = build_supercell(build_crystal(read_crystal(crystal_of("ncm811"))), [2, 2, 1])
    labels = sites.site_properties["label"]
    metal = [k for k, label in enumerate(labels) if label == "Ni1"]
    moves = np.unique(permutations(sites, labels)[:, metal], axis=0)
    fixed = 0
    for row in moves:
        image = {site: target for site, target in zip(metal, row, strict=True)}
        cycles, left = [], set(metal)
        while left:
            start = site = left.pop()
            length = 1
            while (site := image[site]) != start:
                left.remove(site)
                length += 1
            cycles.append(length)
        ways = np.zeros(13)
        ways[0] = 1
        for length in cycles:
            ways[length:] = ways[length:] + ways[: 13 - length].copy()
        fixed += ways[6]
    charges = {"Li": 1, "Ni": 2, "Mn": 4, "O": -2}
    _, report = order(sites, labels, {"Ni1": {"Ni": 6, "Mn": 6}}, charges, {})
    assert report["distinct"] == fixed / len(moves) and report["arrangements"] == 924


def test_surface_energy_of_linio2_104_with_the_default_engine(tmp_path):
    """0.45 J/m2 with this potential on a slab with inversion; an asymmetric cut gives 1.5, whatever its thickness."""
    settings = load_dft({"materials": {"linio2": LINIO2}})
    crystal, files = (
        crystal_of("ncm811"),
        {name: tmp_path / f"{name}.json" for name in ("structures", "slabs", "relaxation", "surface", "card")},
    )
    build_structures(structures_step(settings, "linio2"), material="linio2", crystal=crystal, output=files["structures"])

    def run(batch, cells, upstream):
        step = run_step(settings, "linio2", batch)
        run_batch(step, material="linio2", batch=batch, cells=files[cells], upstream=upstream, output=files[batch], work=tmp_path / "work")

    run("relaxation", "structures", [])
    build_slabs(
        slabs_step(settings, "linio2"),
        material="linio2",
        crystal=crystal,
        structures=files["structures"],
        runs=[files["relaxation"]],
        output=files["slabs"],
    )
    run("surface", "slabs", [files["relaxation"]])
    alone = surfaces_step(settings).model_copy(
        update={"bulk": {"linio2": "bulk"}, "slabs": {"linio2": ["slab_4"]}, "miller": {"linio2": [1, 0, 4]}}
    )
    runs = [files["relaxation"], files["surface"]]
    collect_surfaces(alone, slabs=[files["slabs"]], runs=runs, output=files["card"])
    found = read_card(SurfacesCard, files["card"]).surfaces["linio2"]
    assert 0.3 < found.surface_energy < 0.7 and found.symmetric_cut and not found.polar
