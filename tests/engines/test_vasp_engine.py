import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from pymatgen.core import SETTINGS
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.vasp import Incar

from ecmpipe.dft.inputs import vasp_files
from ecmpipe.engines.launch import Request
from ecmpipe.engines.vasp import VaspEngine, read_vasprun
from ecmpipe.errors import ConvergenceError, EngineError
from ecmpipe.settings.base import validate
from ecmpipe.settings.dft import VaspInput, VaspSettings
from tests.mock.potentials import write_fake_potentials

MOCK = Path(__file__).resolve().parents[1] / "mock"


@pytest.fixture(scope="module")
def mock():
    """The mock as a module: its potential is the reference of what comes back through the files."""
    loader = importlib.machinery.SourceFileLoader("mock_vasp", str(MOCK / "vasp_std"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("mock_vasp", loader))
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return module


@pytest.fixture
def with_mock(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("PATH", os.pathsep.join([str(MOCK), str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(write_fake_potentials(tmp_path_factory.mktemp("potentials"))))


def settings(command="vasp_std"):
    data = {"command": [command] if isinstance(command, str) else command, "max_errors": 3, "functional": "PBE_54", "polling [s]": 0.05}
    return validate(VaspSettings, data)


def oxide():
    """Four formula units with their species in no order."""
    metal = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    places = np.array([*metal, *(np.array(metal) + [0.5, 0, 0])])
    atoms = Atoms(["O", "Ni", "Li", "Mn", "O", "O", "Co", "O"], scaled_positions=places[[4, 0, 1, 2, 5, 6, 3, 7]], cell=[4.2] * 3, pbc=True)
    atoms.rattle(0.05, seed=1)
    return atoms


def make_request(atoms, stress=0.1, tolerance=0.05, steps=200):
    electronic = VaspInput.model_validate(
        {
            "hubbard_u": {"Ni": 6.8, "Co": 5.9, "Mn": 5.2},
            "cutoff_energy": 500,
            "moments": {"Mn": 4.0},
            "potentials": {"Li": "Li_sv", "Ni": "Ni_pv", "Co": "Co", "Mn": "Mn_pv", "O": "O"},
            "functional": "PBE_54",
            "incar": {},
            "kpoints": {"scheme": "gamma", "grid": [1, 1, 1]},
        }
    )
    structure = AseAtomsAdaptor.get_structure(atoms)
    made = vasp_files(structure, electronic, tolerance=tolerance, steps=steps, cell_relaxes=stress is not None)
    return Request("oxide", atoms, tolerance, stress, steps, made.files, made.order, made.potentials, "PBE_54")


def test_mock_forces_and_stress_are_derivatives_of_its_energy(mock):
    atoms = oxide()
    potential = mock.Potential(list(atoms.symbols))
    lattice, places = np.array(atoms.cell), atoms.get_scaled_positions()
    _, forces, stress = potential(lattice, places)
    random = np.random.default_rng(2)
    move, strain = random.normal(size=(8, 3)) * 1e-4, random.normal(size=(3, 3)) * 1e-5
    strain = strain + strain.T
    ahead, behind = (potential(lattice, places + sign * move @ np.linalg.inv(lattice))[0] for sign in (1, -1))
    assert (ahead - behind) / 2 == pytest.approx(-np.sum(forces * move), rel=1e-4)
    ahead, behind = (potential(lattice @ (np.eye(3) + sign * strain), places)[0] for sign in (1, -1))
    assert (ahead - behind) / 2 == pytest.approx(np.sum(stress * strain) * atoms.get_volume(), rel=1e-4)


def test_chain_through_custodian_returns_the_potential_in_the_order_asked(mock, with_mock, tmp_path):
    atoms = oxide()
    request = make_request(atoms)
    found = VaspEngine(settings()).relax(request, tmp_path)
    assert list(found.atoms.symbols) == list(atoms.symbols) and found.corrections == []
    energy, forces, stress = mock.Potential(list(atoms.symbols))(np.array(found.atoms.cell), found.atoms.get_scaled_positions())
    assert found.energy == pytest.approx(energy, abs=1e-6)
    assert found.stress == pytest.approx(stress, abs=1e-7)  # kB with VASP's sign, back to eV/A3 with tension positive
    assert found.residual_force == pytest.approx(np.linalg.norm(forces, axis=1).max(), abs=1e-6) and found.residual_force < 0.05
    start = mock.Potential(list(atoms.symbols))(np.array(atoms.cell), atoms.get_scaled_positions())[0]
    assert found.initial_energy == pytest.approx(start, abs=1e-6) and found.energy < start
    assert (tmp_path / "custodian.json").is_file() and (tmp_path / "POTCAR.spec").read_text().split() == request.potentials


def test_zbrent_is_corrected_once_and_listed(with_mock, monkeypatch, tmp_path):
    monkeypatch.setenv("ECMPIPE_MOCK_FAULT", "zbrent")
    plain = make_request(oxide())
    found = VaspEngine(settings()).relax(plain, tmp_path)
    assert found.corrections == ["VaspErrorHandler: zbrent"]
    before, after = Incar.from_str(plain.files["INCAR"]), Incar.from_file(tmp_path / "INCAR")
    assert before != after and after["LDAUU"] == before["LDAUU"]
    assert found.residual_force < 0.05


def test_missing_command_and_potentials_are_named(with_mock, monkeypatch, tmp_path):
    with pytest.raises(EngineError, match="no_such_vasp.*PATH"):
        VaspEngine(settings("no_such_vasp"))
    request = make_request(oxide())
    (Path(SETTINGS["PMG_VASP_PSP_DIR"]) / "POT_GGA_PAW_PBE_54/Mn_pv/POTCAR").unlink()
    with pytest.raises(EngineError, match="Mn_pv"):
        VaspEngine(settings()).relax(request, tmp_path)
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR")
    with pytest.raises(EngineError, match="PMG_VASP_PSP_DIR is not set"):
        VaspEngine(settings())


def test_a_run_that_dies_keeps_its_folder_and_its_last_words(with_mock, tmp_path):
    command = [sys.executable, "-c", "print('LAPACK: routine failed, no way on'); raise SystemExit(3)"]
    with pytest.raises(EngineError, match="no way on"):
        VaspEngine(settings(command)).relax(make_request(oxide()), tmp_path)
    assert (tmp_path / "INCAR").is_file() and (tmp_path / "vasp.out").is_file()


def test_truncated_foreign_and_unconverged_results_are_refused(with_mock, tmp_path):
    request = make_request(oxide())
    VaspEngine(settings()).relax(request, tmp_path)
    path = tmp_path / "vasprun.xml"
    text = path.read_text()
    foreign = make_request(Atoms(["Li", "O"], positions=[[0, 0, 0], [2, 0, 0]], cell=[4.0] * 3, pbc=True))
    with pytest.raises(EngineError, match="not the atoms of"):
        read_vasprun(foreign, tmp_path, [])
    path.write_text(text.replace('<i name="NSW" type="int">200</i>', '<i name="NSW" type="int">2</i>'))
    with pytest.raises(ConvergenceError, match="not converged"):
        read_vasprun(request, tmp_path, [])
    path.write_text(text[: len(text) * 2 // 3])
    with pytest.raises(EngineError, match="not a whole vasprun.xml"):
        read_vasprun(request, tmp_path, [])
