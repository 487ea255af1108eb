"""VASP input files with the tags of the SI, from pymatgen's sets; written in every run, licence or not."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from pymatgen.core import Element, Structure
from pymatgen.io.vasp import Kpoints as KpointsFile
from pymatgen.io.vasp import Poscar
from pymatgen.io.vasp.sets import MPRelaxSet

from ecmpipe.cards import read_card, whole_file
from ecmpipe.dft.records import BatchCard, SlabsCard, pick
from ecmpipe.errors import SettingsError
from ecmpipe.settings.dft import VaspInput
from ecmpipe.settings.dft_materials import Kpoints
from ecmpipe.settings.dft_runs import InputsStep

NAMES = ("INCAR", "KPOINTS", "POSCAR", "POTCAR.spec")
D_SHELL = 2  # LDAUL: U acts on d electrons
LARGEST_L_MIXED = 4  # LMAXMIX for d electrons, else a restart does not continue the U run


class VaspFiles:
    """The texts of INCAR, KPOINTS, POSCAR and POTCAR.spec, the potentials in POSCAR order, and ``order``: POSCAR atom -> structure atom."""

    def __init__(self, files: dict[str, str], potentials: list[str], order: list[int]) -> None:
        self.files = files
        self.potentials = potentials
        self.order = order


def vasp_files(
    structure: Structure,
    electronic: VaspInput,
    *,
    tolerance: float,
    steps: int,
    cell_relaxes: bool,
    slab: bool = False,
    polar: bool = False,
    kpoints: Kpoints | None = None,
) -> VaspFiles:
    """The input files of one relaxation, or with ``steps`` 0 of a single point.

    Species stand in the order of electronegativity, U and moments follow them. Every tag that the
    SI prints or that a modulus needs is set here; the rest is pymatgen's MPRelaxSet.
    """
    order = sorted(range(len(structure)), key=lambda k: (structure[k].specie.X, structure[k].specie.symbol, k))
    placed = Structure.from_sites([structure[k] for k in order])
    placed.remove_site_property("label") if "label" in placed.site_properties else None
    present = list(dict.fromkeys(site.specie.symbol for site in placed))
    hubbard = {element: value for element, value in electronic.hubbard_u.items() if element in present}
    anion = present[-1]
    if foreign := [element for element in hubbard if Element(element).block != "d"]:
        raise SettingsError(f"more Hubbard U [eV]: U is written for d electrons, {', '.join(foreign)} has none to correct; take it out")
    tags: dict[str, Any] = {
        "ENCUT": electronic.cutoff_energy,
        "ISPIN": 2,
        "MAGMOM": {element: electronic.moments.get(element, 0.0) for element in present},
        "IBRION": 2 if steps else -1,
        "ISIF": 3 if cell_relaxes else 2,
        "NSW": steps,
        "EDIFF": 1e-6,
        "EDIFFG": -tolerance,
        "ISMEAR": 0,
        "SIGMA": 0.05,
        "LASPH": True,
        "LREAL": False,
        "ISYM": 0,  # a decorated cell leaves its symmetry when it relaxes; kept, it would end on a saddle
        "LWAVE": False,
        "LCHARG": False,
        "LDAU": bool(hubbard),
    }
    if hubbard:
        tags |= {
            "LDAUTYPE": 2,
            "LDAUU": {anion: hubbard},
            "LDAUL": {anion: dict.fromkeys(hubbard, D_SHELL)},
            "LDAUJ": {anion: dict.fromkeys(hubbard, 0)},
            "LMAXMIX": LARGEST_L_MIXED,
        }
    if slab:
        tags |= {"NELMIN": 6, "AMIN": 0.01}  # charge sloshes along a long cell
    if polar:
        tags |= {"LDIPOL": True, "IDIPOL": 3, "DIPOL": [0.5, 0.5, 0.5]}
    grid = kpoints or electronic.kpoints
    make = KpointsFile.monkhorst_automatic if grid.scheme == "monkhorst" else KpointsFile.gamma_automatic
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that potentials, functional and moments are the user's choice
        made = MPRelaxSet(
            placed,
            user_incar_settings=tags | electronic.incar,
            user_kpoints_settings=make(tuple(grid.grid)),
            user_potcar_settings={element: electronic.potentials[element] for element in present},
            user_potcar_functional=electronic.functional,
            sort_structure=False,
        )
        incar, kpoints_text = made.incar.get_str(), str(made.kpoints)
    potentials = [electronic.potentials[element] for element in present]
    files = {"INCAR": incar, "KPOINTS": kpoints_text, "POSCAR": Poscar(placed).get_str(significant_figures=12)}
    return VaspFiles(files | {"POTCAR.spec": "\n".join(potentials) + "\n"}, potentials, order)


def write_inputs(step: InputsStep, *, material: str, system: str, cells: Path, output: list[Path]) -> dict[str, Any]:
    """Write INCAR, KPOINTS, POSCAR and POTCAR.spec of one of the four named systems (SI, Methods, DFT).

    ``cells`` is the batch with the relaxed bulk, or the material's slabs.json, whose thickest slab is cut from that bulk: both start
    from what this run's engine found.
    """
    unknown = [path.name for path in output if path.name not in NAMES]
    if unknown or system not in ("bulk", "surface"):
        raise SettingsError(f"dft-inputs: system '{system}' or file {unknown} is unknown; systems bulk, surface; files {', '.join(NAMES)}")
    if system == "bulk":
        cell, polar = pick(read_card(BatchCard, cells).runs, step.bulk).cell, False
    else:
        slab = list(read_card(SlabsCard, cells).slabs.values())[-1]
        cell, polar = slab.cell, slab.polar
    made = vasp_files(
        cell.structure(),
        step.electronic,
        tolerance=step.tolerance,
        steps=step.steps,
        cell_relaxes=system == "bulk",
        slab=system == "surface",
        polar=polar,
    )
    for path in output:
        with whole_file(path) as partial:
            partial.write_text(made.files[path.name], encoding="utf-8")
    return {"material": material, "system": system}
