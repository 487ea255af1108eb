"""The VASP inputs of the four named systems beside the SI's words, point by point; the table is docs/vasp-inputs.md."""

import numpy as np
import pytest
from pymatgen.io.vasp import Incar, Kpoints, Poscar

from ecmpipe.dft.inputs import NAMES, write_inputs
from ecmpipe.settings.dft_runs import inputs_step
from tests.dft.conftest import ROOT, cells_file

GRIDS = {"bulk": {"ncm811": "Monkhorst 4x4x2", "lgps": "Monkhorst 4x4x2"}, "surface": {"ncm811": "Gamma 1x2x1", "lgps": "Gamma 2x4x1"}}
CELLS = {"ncm811": (2, 2, 1), "lgps": (1, 1, 1)}
CONVENTIONAL = {"ncm811": (2.875, 2.875, 14.20), "lgps": (8.69407, 8.69407, 12.5994)}  # of the crystal files
HUBBARD = {"Mn": 5.2, "Co": 5.9, "Ni": 6.8}
PLANES = {"ncm811": "(104)", "lgps": "(101)"}


def shown(value):
    return "x".join(str(each) for each in value) if isinstance(value, tuple) else str(value)


@pytest.fixture(scope="module")
def rows(settings, cards, slab_cards, tmp_path_factory):
    """(system, point, SI, here), for every point that the SI prints."""
    folder, found = tmp_path_factory.mktemp("si"), []
    for material in ("ncm811", "lgps"):
        for system in ("bulk", "surface"):
            cells = cells_file(folder, material, system, cards, slab_cards)
            paths = [folder / material / system / name for name in NAMES]
            write_inputs(inputs_step(settings, material, system), material=material, system=system, cells=cells, output=paths)
            where = f"{material} {'bulk' if system == 'bulk' else PLANES[material]}"
            found += [(where, *row) for row in points(material, system, paths[0].parent, slab_cards[material])]
    return found


def points(material, system, folder, slabs):
    incar, grid, poscar = Incar.from_file(folder / "INCAR"), Kpoints.from_file(folder / "KPOINTS"), Poscar.from_file(folder / "POSCAR")
    potentials = (folder / "POTCAR.spec").read_text().split()
    lattice = poscar.structure.lattice
    yield "spin-polarised (ISPIN)", 2, incar["ISPIN"]
    yield "PBE (GGA tag absent: the functional of the potentials)", "none", incar.get("GGA", "none")
    yield "k-points (KPOINTS)", GRIDS[system][material], f"{grid.style.name} {shown(tuple(grid.kpts[0]))}"
    yield "cut-off [eV] (ENCUT)", 500, int(incar["ENCUT"]) if incar["ENCUT"] == int(incar["ENCUT"]) else incar["ENCUT"]
    if material == "ncm811":
        values = dict(zip(poscar.site_symbols, incar["LDAUU"], strict=True))
        for element, value in HUBBARD.items():
            yield f"U of {element} [eV] (LDAUU, LDAUL = 2)", value, values[element]
        yield "U on other species", 0, sum(values[element] for element in values if element not in HUBBARD)
    else:
        yield "U", "none", "none" if not incar.get("LDAU") else incar["LDAUU"]
    if system == "bulk":
        yield (
            "unit cells (POSCAR)",
            shown(CELLS[material]),
            shown(tuple(int(n) for n in np.round(np.divide(lattice.abc, CONVENTIONAL[material])))),
        )
    else:
        heights = poscar.structure.cart_coords[:, 2]
        yield "vacuum [A] (POSCAR)", 20, round(float(lattice.c - np.ptp(heights)), 6)
        yield "plane", PLANES[material], "({})".format("".join(str(n) for n in slabs.miller))
    yield "potentials in the order of POSCAR", " ".join(poscar.site_symbols), " ".join(name.split("_")[0] for name in potentials)


def test_every_point_equals_the_si(rows):
    assert len(rows) == 36
    assert [row for row in rows if str(row[2]) != str(row[3]) and row[2] != row[3]] == []


def test_the_page_shows_this_table(rows):
    lines = ["| system | point | SI | here |", "| --- | --- | --- | --- |"]
    lines += [f"| {' | '.join(shown(cell) for cell in row)} |" for row in rows]
    page = (ROOT / "docs/vasp-inputs.md").read_text(encoding="utf-8")
    assert "\n".join(lines) in page, "docs/vasp-inputs.md should hold:\n" + "\n".join(lines)
