"""A small oxide and its request, for tests of the engine against the mock."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from pymatgen.core import SETTINGS
from pymatgen.io.ase import AseAtomsAdaptor

from ecmpipe.dft.inputs import vasp_files
from ecmpipe.engines.launch import Request
from ecmpipe.settings.base import validate
from ecmpipe.settings.dft import VaspInput, VaspSettings
from tests.mock.potentials import write_fake_potentials

MOCK = Path(__file__).resolve().parent


def use_mock(patch: pytest.MonkeyPatch, potentials: Path) -> None:
    """The mock first on the PATH, this interpreter second, fake potentials in ``potentials``."""
    patch.setenv("PATH", os.pathsep.join([str(MOCK), str(Path(sys.executable).parent), os.environ["PATH"]]))
    patch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(write_fake_potentials(potentials)))


def settings(*command: str) -> VaspSettings:
    """Settings of the engine, by default for the mock."""
    data = {"command": list(command or ["vasp_std"]), "max_errors": 3, "functional": "PBE_54", "polling [s]": 0.05}
    return validate(VaspSettings, data)


def oxide(length: float = 4.143) -> Atoms:
    """Four formula units with their species in no order; they relax to 4.148 A."""
    metal = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    places = np.array([*metal, *(np.array(metal) + [0.5, 0, 0])])
    atoms = Atoms(
        ["O", "Ni", "Li", "Mn", "O", "O", "Co", "O"], scaled_positions=places[[4, 0, 1, 2, 5, 6, 3, 7]], cell=[length] * 3, pbc=True
    )
    atoms.rattle(0.05, seed=1)
    return atoms


def make_request(atoms: Atoms, stress: float | None = 0.1, tolerance: float = 0.05, steps: int = 200, cutoff: float = 500) -> Request:
    """A relaxation of ``atoms`` with the tags of the pipeline."""
    electronic = VaspInput.model_validate(
        {
            "hubbard_u": {"Ni": 6.8, "Co": 5.9, "Mn": 5.2},
            "cutoff_energy": cutoff,
            "moments": {"Mn": 4.0},
            "potentials": {"Li": "Li_sv", "Ni": "Ni_pv", "Co": "Co", "Mn": "Mn_pv", "O": "O"},
            "functional": "PBE_54",
            "incar": {},
            "kpoints": {"scheme": "gamma", "grid": [1, 1, 1]},
        }
    )
    structure = AseAtomsAdaptor.get_structure(atoms)
    made = vasp_files(structure, electronic, tolerance=tolerance, steps=steps, cell_relaxes=stress is not None)
    return Request("oxide", atoms, tolerance, stress, steps, made.files, made.order, made.potentials, electronic, electronic.kpoints)
