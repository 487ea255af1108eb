"""PBE+U from GPAW through the engine ``ase``, on the 4 atoms of LiNiO2: about 2 min of CPU. Skipped where GPAW is absent."""

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.io.ase import AseAtomsAdaptor

from ecmpipe.dft.structures import build_crystal, read_crystal
from ecmpipe.engines.ase_engine import AseEngine
from ecmpipe.settings import read_settings
from tests.engines.test_ase_engine import request

pytest.importorskip("gpaw", reason="GPAW is not installed; the head of inputs/gpaw.yaml says how")

GPA = 160.21766208  # eV/A3 in GPa
SMALL_GRID = {"scheme": "monkhorst", "grid": [2, 2, 2]}  # coarse: the derivatives of an energy do not ask for more


class Recorder:
    """Single points by the overlay's engine; keeps the last calculator, for what an `Outcome` does not hold."""

    def __init__(self, root, folder):
        settings = read_settings([root / "inputs" / name for name in ("parameters.yaml", "default.yaml", "gpaw.yaml")])
        self.electronic = {
            "hubbard_u": {"Ni": settings.parameters.dft.hubbard_u_ni.value},
            "moments": {"Ni": settings.dft.materials["ncm811"].moments["Ni"]},
        }
        self.engine, self.folder, self.last = AseEngine(settings.dft.ase), folder, None
        self.plain, self.engine.factory = self.engine.factory, self.keep

    def keep(self, **asked):
        self.last = self.plain(**asked)
        return self.last

    def __call__(self, atoms, **changes):
        asked = request(atoms, steps=0)
        electronic = asked.electronic.model_copy(update=self.electronic | changes)
        kpoints = asked.kpoints.model_copy(update=SMALL_GRID)
        return self.engine.relax(replace(asked, electronic=electronic, kpoints=kpoints), self.folder)


@pytest.fixture(scope="module")
def reference(root, tmp_path_factory):
    """The reduced primitive cell, rattled so that no force or stress vanishes by symmetry, and its PBE+U outcome."""
    cell = build_crystal(read_crystal(root / "inputs/structures/ncm811.yaml")).get_primitive_structure()
    atoms = AseAtomsAdaptor.get_atoms(cell.get_reduced_structure(), msonable=False)
    atoms.rattle(0.05, seed=1)
    calculate = Recorder(root, tmp_path_factory.mktemp("gpaw"))
    return calculate, atoms, calculate(atoms), calculate.last


def nickel_moment(calculator, atoms):
    return calculator.get_magnetic_moments()[atoms.symbols.search("Ni")[0]]


def test_u_acts_and_nothing_is_ignored(reference):
    calculate, atoms, found, calculator = reference
    assert len(atoms) == 4 and found.ignored == []
    assert calculate.engine.name.startswith("GPAW ") and calculate.engine.name.endswith(" at 800 eV")
    moment = nickel_moment(calculator, atoms)
    assert calculator.get_magnetic_moment() == pytest.approx(1.0, abs=0.01)  # low-spin Ni(III): one unpaired electron
    plain = calculate(atoms, hubbard_u={})
    assert found.energy - plain.energy > 1.0  # a penalty on fractional d occupations
    assert 1.1 < moment < 1.5 and moment - nickel_moment(calculate.last, atoms) > 0.3


def test_forces_are_the_derivative_of_the_energy(reference):
    calculate, atoms, found, calculator = reference
    forces = calculator.get_forces(atoms)
    size, way = 0.01, forces / np.linalg.norm(forces)
    energies = [calculate(moved(atoms, sign * size * way)).energy for sign in (1, -1)]
    assert -(energies[0] - energies[1]) / (2 * size) == pytest.approx(np.linalg.norm(forces), rel=0.01)
    assert found.residual_force > 1


def test_stress_is_the_derivative_of_the_energy(reference):
    """At a fixed cut-off the energy's derivative holds the Pulay stress, the analytic stress does not: at 800 eV 0.2 GPa."""
    calculate, atoms, found, _ = reference
    size, way = 0.004, np.array([[0.3, 0.2, 0.3], [0.2, 0.4, 0.1], [0.3, 0.1, 1.0]])
    energies = [calculate(strained(atoms, sign * size * way)).energy for sign in (1, -1)]
    derivative = (energies[0] - energies[1]) / (2 * size) / atoms.get_volume() * GPA
    assert derivative == pytest.approx(np.tensordot(found.stress, way) * GPA, abs=0.3 * np.trace(way))


def moved(atoms, way):
    made = atoms.copy()
    made.positions += way
    return made


def strained(atoms, strain):
    made = atoms.copy()
    made.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
    return made
