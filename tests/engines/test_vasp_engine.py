import itertools
import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import ase.test
import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from pymatgen.core import SETTINGS, Structure

from ecmpipe.engines.vasp import VaspEngine, prepare_folder, read_vasprun
from ecmpipe.errors import ConvergenceError, EngineError
from tests.mock import reference
from tests.mock.oxide import make_request, oxide, settings, use_mock
from tests.mock.pair_potential import Potential, relax

REAL = Path(ase.test.__file__).parent / "testdata" / "vasp"  # written by VASP 6.3


@pytest.fixture
def with_mock(monkeypatch, tmp_path_factory):
    use_mock(monkeypatch, tmp_path_factory.mktemp("potentials"))


CONTACT = ["Li", "Ni", "O", "S", "P", "Li", "Co", "O", "Ge", "S"]


@pytest.mark.parametrize("symbols", [list(oxide().symbols), CONTACT], ids=["oxide", "contact"])
def test_mock_forces_and_stress_are_derivatives_of_its_energy(symbols):
    random = np.random.default_rng(2)
    lattice = np.eye(3) * 4.2 + random.normal(size=(3, 3)) * 0.2
    places = oxide().get_scaled_positions() if len(symbols) == 8 else random.random((len(symbols), 3)) * 2 - 0.5
    potential = Potential(symbols)
    _, forces, stress = potential(lattice, places)
    move, strain = random.normal(size=(len(symbols), 3)) * 1e-5, random.normal(size=(3, 3)) * 1e-5
    strain = strain + strain.T
    ahead, behind = (potential(lattice, places + sign * move @ np.linalg.inv(lattice))[0] for sign in (1, -1))
    assert (ahead - behind) / 2 == pytest.approx(-np.sum(forces * move), rel=1e-4)
    ahead, behind = (potential(lattice @ (np.eye(3) + sign * strain), places)[0] for sign in (1, -1))
    assert (ahead - behind) / 2 == pytest.approx(np.sum(stress * strain) * abs(np.linalg.det(lattice)), rel=1e-4)


def test_mock_sees_every_neighbour_whatever_the_cell():
    """A cell and its skewed and doubled forms hold the same crystal: images that are left out would show."""
    symbols, lattice, places = list(oxide().symbols), np.array(oxide().cell), oxide().get_scaled_positions()
    energy, forces, stress = Potential(symbols)(lattice, places)
    skew = np.array([[1, 0, 0], [-3, 1, 0], [2, 4, 1]])
    skewed = Potential(symbols)(skew @ lattice, places @ np.linalg.inv(skew))
    for found, wanted in zip(skewed, (energy, forces, stress), strict=True):
        assert found == pytest.approx(wanted, abs=1e-10)
    double = Potential(2 * symbols)(lattice * [[2], [1], [1]], np.vstack([places, places + [1, 0, 0]]) / [2, 1, 1])
    assert double[0] == pytest.approx(2 * energy, abs=1e-10) and double[1][8:] == pytest.approx(forces, abs=1e-10)


def test_chain_through_custodian_returns_the_potential_in_the_order_asked(with_mock, tmp_path):
    atoms = oxide()
    request = make_request(atoms)
    found = VaspEngine(settings()).relax(request, tmp_path)
    assert list(found.atoms.symbols) == list(atoms.symbols) and found.corrections == []
    energy, forces, stress = Potential(list(atoms.symbols))(np.array(found.atoms.cell), found.atoms.get_scaled_positions())
    assert found.energy == pytest.approx(energy, abs=1e-6)
    assert found.stress == pytest.approx(stress, abs=1e-7)  # kB with VASP's sign, back to eV/A3 with tension positive
    assert found.residual_force == pytest.approx(np.linalg.norm(forces, axis=1).max(), abs=1e-6) and found.residual_force < 0.05
    start = Potential(list(atoms.symbols))(np.array(atoms.cell), atoms.get_scaled_positions())[0]
    assert found.initial_energy == pytest.approx(start, abs=1e-6) and found.energy < start
    assert (tmp_path / "custodian.json").is_file() and (tmp_path / "POTCAR.spec").read_text().split() == request.potentials


def test_a_static_request_is_one_ionic_step(with_mock, tmp_path):
    request = make_request(oxide(), stress=None, steps=0)
    found = VaspEngine(settings(), walltime=600).relax(request, tmp_path)
    assert "NSW = 0" in request.files["INCAR"] and "IBRION = -1" in request.files["INCAR"]
    assert found.steps == 0 and found.energy == found.initial_energy and found.corrections == []
    assert found.residual_force > 0.05  # nothing moved, so nothing had to converge
    assert found.atoms.get_scaled_positions() == pytest.approx(oxide().get_scaled_positions(), abs=1e-8)


def test_a_launcher_and_a_program_by_path_run_in_the_folder(with_mock, monkeypatch, tmp_path):
    """A relative path counts from where we are, not from the run's folder."""
    launcher, log = tmp_path / "mpirun", tmp_path / "log"
    launcher.write_text(f'#!/bin/sh\nfor word; do echo "<$word>"; done > {log}\nshift 2\nexec "$@"\n')
    launcher.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    found = VaspEngine(settings("./mpirun", "-n", "4", "vasp_std")).relax(make_request(oxide()), tmp_path / "run")
    assert found.residual_force < 0.05 and log.read_text().split() == ["<-n>", "<4>", "<vasp_std>"]
    with pytest.raises(EngineError, match="'./no_such/vasp' is no file that can be executed"):
        VaspEngine(settings("./no_such/vasp"))


def test_a_cell_that_left_its_plane_waves_behind_is_relaxed_again_from_its_end(with_mock, tmp_path):
    """VASP keeps the plane waves of the cell that it starts with; energies of cells far from it belong to no cut-off."""
    wide, near = oxide(4.2), oxide()
    found = VaspEngine(settings()).relax(make_request(wide, tolerance=0.01), tmp_path)
    first = Structure.from_file(tmp_path / "attempt_1/POSCAR").volume
    last = Structure.from_file(tmp_path / "POSCAR").volume
    end = found.atoms.get_volume()
    assert abs(first / end - 1) > 0.03 and abs(last / end - 1) < 0.005
    assert not (tmp_path / "attempt_2").exists() and found.corrections == ["resumed from CONTCAR of attempt 1"]
    start = Potential(list(wide.symbols))(np.array(wide.cell), wide.get_scaled_positions())[0]
    assert found.initial_energy == pytest.approx(start, abs=1e-6)
    near_folder = tmp_path / "near"
    near_folder.mkdir()
    once = VaspEngine(settings()).relax(make_request(near, tolerance=0.01), near_folder)
    assert once.corrections == [] and once.energy == pytest.approx(found.energy, abs=1e-3)


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
        VaspEngine(settings(*command)).relax(make_request(oxide()), tmp_path)
    assert (tmp_path / "INCAR").is_file() and (tmp_path / "vasp.out").is_file()


def test_truncated_foreign_and_unconverged_results_are_refused(with_mock, tmp_path):
    request = make_request(oxide())
    VaspEngine(settings()).relax(request, tmp_path)
    path = tmp_path / "vasprun.xml"
    text = path.read_text()
    foreign = make_request(Atoms(["Li", "O"], positions=[[0, 0, 0], [2, 0, 0]], cell=[4.0] * 3, pbc=True))
    with pytest.raises(EngineError, match="not the atoms of"):
        read_vasprun(foreign, tmp_path)
    path.write_text(text.replace('<i name="NSW" type="int">200</i>', '<i name="NSW" type="int">2</i>'))
    with pytest.raises(ConvergenceError, match="converged_ionic is false.*dft.tolerances.steps"):
        read_vasprun(request, tmp_path)
    path.write_text(text.replace('<i name="NELM" type="int">100</i>', '<i name="NELM" type="int">2</i>'))
    with pytest.raises(ConvergenceError, match="converged_electronic is false.*ALGO"):
        read_vasprun(request, tmp_path)
    early = text.rindex("<calculation>", 0, len(text) // 2)
    path.write_text(text[:early] + text[text.index('<structure name="finalpos">') :])
    with pytest.raises(ConvergenceError, match="eV/A left .wanted 0.05"):  # fewer steps than NSW, as after STOPCAR
        read_vasprun(request, tmp_path)
    path.write_text(text[: len(text) * 2 // 3])
    with pytest.raises(EngineError, match="not a whole vasprun.xml"):
        read_vasprun(request, tmp_path)


@pytest.mark.parametrize("name", ["vasprun_pstress.xml", "vasprun_dfpt.xml"])
def test_files_of_vasp_6_are_understood(name, tmp_path):
    """Real files, against what stands in them; the one with PSTRESS gives enthalpies, 1 kB times the volume too high."""
    if not (REAL / name).is_file():
        pytest.skip(f"this ase brings no {name}")
    text = (REAL / name).read_text()
    root = ElementTree.fromstring(text)
    last = root.findall("calculation")[-1]
    energy = {item.get("name"): float(item.text) for item in last.find("energy")}
    volume = float(last.find("structure/crystal/i[@name='volume']").text)
    forces, kilobar = (np.array([v.text.split() for v in last.find(f"varray[@name='{key}']")], dtype=float) for key in ("forces", "stress"))
    symbols = [item.find("c").text.strip() for item in root.findall("atominfo/array[@name='atoms']/set/rc")]
    atoms = Atoms(symbols, positions=[[0, 0, 0], [1, 1, 1]], cell=[9] * 3)
    request = replace(make_request(oxide(), steps=0), atoms=atoms, order=[0, 1])
    (tmp_path / "vasprun.xml").write_text(text)
    found = read_vasprun(request, tmp_path)
    pressure = 1e8 if "pstress" in name else 0.0  # Pa
    assert found.energy == pytest.approx(energy["e_0_energy"] - pressure * volume * 1e-30 / 1.602176634e-19, abs=2e-8)
    if pressure:  # the last electronic step knows no pressure; the smearing's share of E0 is there
        assert found.energy == pytest.approx(-20.24720095, abs=1e-6) and energy["e_fr_energy"] != energy["e_0_energy"]
    assert found.residual_force == pytest.approx(np.linalg.norm(forces, axis=1).max(), abs=1e-12)
    assert found.stress == pytest.approx(-kilobar * 1e8 * 1e-30 / 1.602176634e-19, rel=1e-9)  # VASP: pressure positive
    assert found.atoms.get_volume() == pytest.approx(volume, abs=1e-6) and list(found.atoms.symbols) == symbols
    with pytest.raises(EngineError, match="not the atoms of"):
        read_vasprun(replace(request, atoms=Atoms(["Li", "S"])), tmp_path)
    (tmp_path / "vasprun.xml").write_text(text[: len(text) // 2])
    with pytest.raises(EngineError, match="not a whole vasprun.xml"):
        read_vasprun(request, tmp_path)


def test_mock_refuses_inputs_unlike_the_recorded_ones(with_mock, monkeypatch, tmp_path):
    """One record serves every composition of a material; a changed tag, potential, grid or order of species is named."""
    work, full = tmp_path / "results/dft/ncm/runs", make_request(oxide())
    empty = make_request(oxide()[[0, 1, 3, 4, 5, 6, 7]])
    for name, request in (("li1_1", full), ("li1_2", full), ("li0_1", empty), ("li7_3", full)):
        (work / name).mkdir(parents=True)
        prepare_folder(request, work / name)
    (work / "li7_3/custodian.json").write_text('[{"corrections": [1]}]')  # no longer what was asked for: not recorded
    done = tmp_path / "reference.json"
    subprocess.run([sys.executable, reference.__file__, tmp_path / "results/dft", done], check=True)
    entry = json.loads(done.read_text())
    assert entry.keys() == {"ncm/li*_*"} and entry["ncm/li*_*"]["INCAR"]["LDAUU"]["Ni"] == [6.8]
    monkeypatch.setenv("ECMPIPE_MOCK_REFERENCE", str(done))
    assert [reference.difference(work / name) for name in ("li1_1", "li0_1", "li7_3")] == [None] * 3
    changed = {
        "INCAR MAGMOM": ("INCAR", "1*4.0", "1*5.0"),
        "INCAR LDAUU": ("INCAR", "LDAUU = 0 5.2", "LDAUU = 0 5.1"),
        "INCAR NELM is expected as [100.0], found as None": ("INCAR", "NELM = 100\n", ""),
        "INCAR NELMDL is expected as None, found as [-12.0]": ("INCAR", "NELM = 100\n", "NELM = 100\nNELMDL = -12\n"),
        "KPOINTS are expected": ("KPOINTS", "1 1 1", "2 1 1"),
        "POTCAR is expected": ("POTCAR", "TITEL  = PAW_PBE Mn_pv", "TITEL  = PAW_PBE Mn"),
        "species are expected": ("POSCAR", "Li Mn Co", "Li Co Mn"),
    }
    for message, (file, before, after) in changed.items():
        text = (work / "li1_1" / file).read_text()
        assert before in text
        (work / "li1_1" / file).write_text(text.replace(before, after))
        assert message in reference.difference(work / "li1_1")
        (work / "li1_1" / file).write_text(text)
    shutil.rmtree(work / "li1_2")
    (work / "li1_2").mkdir()
    wrong = make_request(oxide(), cutoff=400)
    with pytest.raises(EngineError, match=r"std_err.txt: mock: ncm/li1_2: INCAR ENCUT is expected as \[500.0\], found as \[400.0\]"):
        VaspEngine(settings()).relax(wrong, work / "li1_2")
    (work / "slab_4").mkdir()
    prepare_folder(full, work / "slab_4")
    assert "no reference for this run" in reference.difference(work / "slab_4")


def contact(gap):
    """Two layers of rock salt with four Li3PS4 above, ``gap`` between the planes of O and S: cell, species, fractions."""
    atoms = []
    for i, j, k in itertools.product(range(6), range(6), range(2)):
        atoms.append(("O" if (i + j + k) % 2 == 0 else ("Li", "Ni")[i % 2], np.array([i, j, k]) * 2.075))
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 2.05 / np.sqrt(3)
    for place in itertools.product((0, 6.225), (0, 6.225)):
        centre = np.array([1.0 + place[0], 0.6 + place[1], 2.075 + gap + 2.05 / np.sqrt(3)])
        atoms += [("P", centre), *(("S", centre + corner) for corner in corners)]
        atoms += [("Li", centre + shift) for shift in ([3.1, 0, 0], [0, 3.1, 0], [0, 0, 3.2])]
    atoms.sort(key=lambda pair: pair[0])
    cell = np.diag([12.45, 12.45, 32.0])
    return cell, [name for name, _ in atoms], np.array([place for _, place in atoms]) @ np.linalg.inv(cell)


def test_a_contact_of_oxide_and_sulphide_sticks_without_bonds_across_it():
    energies = {}
    for gap in (2.4, 10.0):
        cell, symbols, places = contact(gap)
        lattice, places, energies[gap], *_ = relax(Potential(symbols), cell, places, {"IBRION": "2", "NSW": "200", "EDIFFG": "-0.05"})[-1]
        atoms = Atoms(symbols, scaled_positions=places, cell=lattice, pbc=True)
        bonds = {("P", "S"): 2.4, ("P", "O"): 2.5, ("O", "S"): 2.5, ("Ni", "S"): 2.6}
        assert [len(neighbor_list("i", atoms, {pair: length})) // 2 for pair, length in bonds.items()] == [16, 0, 0, 0]
    assert 0.05 < (energies[10.0] - energies[2.4]) / 12.45**2 * 16.02 < 1.0  # J/m2
