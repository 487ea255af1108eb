import sys
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT

from ecmpipe.engines.ase_engine import IGNORED, AseEngine
from ecmpipe.engines.launch import Request
from ecmpipe.errors import ConvergenceError, EngineError, SettingsError
from ecmpipe.settings.base import validate
from ecmpipe.settings.dft import AseSettings, VaspInput


def engine(factory="ase.calculators.emt:EMT", optimiser="BFGS", **arguments):
    return AseEngine(validate(AseSettings, {"calculator": {"factory": factory, "arguments": arguments}, "optimiser": optimiser}))


def request(atoms, stress=None, steps=100, tolerance=0.01):
    electronic = {"hubbard_u": {}, "cutoff_energy": 500, "moments": {}, "potentials": {}, "functional": "PBE_54", "incar": {}}
    made = VaspInput.model_validate(electronic | {"kpoints": {"scheme": "gamma", "grid": [1, 1, 1]}})
    return Request("test", atoms, tolerance, stress, steps, {}, list(range(len(atoms))), [], made, made.kpoints)


def test_cell_and_ions_relax_to_their_own_tolerances(tmp_path):
    atoms = bulk("Cu", "fcc", a=3.75, cubic=True)
    atoms.rattle(0.05, seed=1)
    found = engine().relax(request(atoms, stress=0.02), tmp_path)
    assert np.abs(found.stress).max() * 160.2 < 0.02 and found.residual_force < 0.01
    assert found.atoms.cell.lengths() == pytest.approx([3.59] * 3, abs=0.01)  # EMT copper
    assert found.energy < found.initial_energy and found.ignored == IGNORED
    assert atoms.cell.lengths() == pytest.approx([3.75] * 3)  # the request is left alone
    assert (tmp_path / "relax.log").is_file()


def test_stress_is_looked_at_apart_from_the_forces(tmp_path):
    strained = bulk("Cu", "fcc", a=3.60, cubic=True)  # no force by symmetry, a virial per atom below 0.1 eV, 1 GPa
    loose = engine().relax(request(strained, stress=5.0, tolerance=0.1), tmp_path)
    tight = engine().relax(request(strained, stress=0.01, tolerance=0.1), tmp_path)
    assert loose.steps == 0 and tight.steps > 0
    assert tight.atoms.get_volume() < loose.atoms.get_volume()


def test_no_steps_is_a_single_point(tmp_path):
    atoms = bulk("Cu", "fcc", a=3.75, cubic=True)
    found = engine().relax(request(atoms, steps=0), tmp_path)
    assert found.steps == 0 and found.energy == found.initial_energy
    assert np.array_equal(found.atoms.positions, atoms.positions)


def test_fixed_cell_stays(tmp_path):
    slab = fcc111("Cu", (2, 2, 3), vacuum=6.0, periodic=True)
    slab.rattle(0.05, seed=2)
    found = engine(optimiser="LBFGS").relax(request(slab, tolerance=0.02), tmp_path)
    assert np.allclose(found.atoms.cell, slab.cell) and found.residual_force <= 0.02


def test_running_out_of_steps_is_an_error_that_names_the_folder(tmp_path):
    atoms = bulk("Cu", "fcc", a=3.9, cubic=True)
    atoms.rattle(0.1, seed=3)
    with pytest.raises(ConvergenceError, match=str(tmp_path)):
        engine().relax(request(atoms, stress=0.01, steps=3), tmp_path)


def test_wrong_factories_say_so():
    with pytest.raises(SettingsError, match="cannot be imported"):
        engine("no_such_package.at_all:calculator")
    with pytest.raises(SettingsError, match="has no 'Nothing'"):
        engine("ase.calculators.emt:Nothing")
    with pytest.raises(EngineError, match="refuses them"):
        engine("tests.engines.test_ase_engine:strict_factory", colour="red")
    with pytest.raises(SettingsError, match="module:factory"):
        engine("ase.calculators.emt.EMT")


def test_a_calculator_that_fails_is_one_error_with_its_words(tmp_path):
    with pytest.raises(EngineError, match="fails on 'test'.*Li"):
        engine().relax(request(bulk("Li", "bcc", a=3.5)), tmp_path)  # EMT knows no lithium


def test_null_takes_an_argument_back():
    assert engine("tests.engines.test_ase_engine:strict_factory", colour=None).name.startswith("NoneType (ase ")


def test_gpaw_missing_says_where_to_look(monkeypatch):
    monkeypatch.setitem(sys.modules, "gpaw", None)
    with pytest.raises(EngineError, match="inputs/gpaw.yaml says how to install it"):
        engine("ecmpipe.engines.gpaw:calculator")


def strict_factory():
    """A factory without arguments."""


def asking_factory(request=None, folder=None):
    """EMT that writes down what it was asked, as a DFT code would take it."""
    if request:
        (folder / "asked.txt").write_text(f"{request.electronic.cutoff_energy:g} {request.kpoints.grid}", encoding="utf-8")
    return EMT()


asking_factory.honours = {"kpoints", "cutoff_energy", "initial moments"}


def test_what_a_factory_honours_it_is_asked_and_not_listed_as_ignored(tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(EMT, "initialize", lambda self, atoms, plain=EMT.initialize: (begun.append(atoms.copy()), plain(self, atoms))[1])
    asked = request(bulk("Cu", "fcc", a=3.75, cubic=True), steps=0)
    asked.electronic.moments["Cu"] = 0.5
    found = engine("tests.engines.test_ase_engine:asking_factory").relax(asked, tmp_path)
    assert found.ignored == ["hubbard_u"]
    assert (tmp_path / "asked.txt").read_text(encoding="utf-8") == "500 [1, 1, 1]"
    assert begun[0].get_initial_magnetic_moments() == pytest.approx([0.5] * 4)
    assert not asked.atoms.has("initial_magmoms")
    polar = replace(asked, files={"INCAR": "LDIPOL = True"})
    assert engine("tests.engines.test_ase_engine:asking_factory").relax(polar, tmp_path).ignored == ["hubbard_u", "dipole correction"]
    assert engine().relax(polar, tmp_path).ignored == [*IGNORED, "dipole correction"]


def test_one_real_chgnet_call_equals_the_stock_model():
    from chgnet.model.dynamics import CHGNetCalculator
    from chgnet.model.model import CHGNet
    from pymatgen.core import Lattice, Structure
    from pymatgen.io.ase import AseAtomsAdaptor

    from ecmpipe.engines.chgnet import calculator

    cell = Structure.from_spacegroup("R-3m", Lattice.hexagonal(2.875, 14.2), ["Li", "Ni", "O"], [[0, 0, 0.5], [0, 0, 0], [0, 0, 0.258]])
    atoms = AseAtomsAdaptor.get_atoms(cell, msonable=False)
    atoms.rattle(0.05, seed=4)
    atoms.set_cell(np.array(atoms.cell) @ [[1.01, 0.01, 0], [0.01, 0.99, 0], [0, 0, 1.02]], scale_atoms=True)
    results = []
    for made in (calculator(), CHGNetCalculator(model=CHGNet.load(verbose=False, use_device="cpu"), use_device="cpu")):
        trial = atoms.copy()
        trial.calc = made
        results.append((float(trial.get_potential_energy()), trial.get_forces(), trial.get_stress()))
    (energy, forces, stress), (stock_energy, stock_forces, stock_stress) = results
    assert energy == pytest.approx(stock_energy, abs=1e-4)
    assert np.abs(forces).max() > 0.5 and np.abs(forces - stock_forces).max() < 1e-4
    assert np.abs(stress - stock_stress).max() < 1e-6
    assert calculator().ecmpipe_name.startswith("CHGNet 0.3.0 (chgnet ")


def test_dispersion_weighs_its_pairs_and_is_its_own_derivative():
    from ecmpipe.engines.dispersion import Dispersion

    def energy(atoms, weights):
        atoms = atoms.copy()
        atoms.calc = Dispersion("d3bj", weights)
        return atoms.get_potential_energy()

    lithium = bulk("Li", "bcc", a=3.4, cubic=True)
    lithium.calc = Dispersion("d3bj", {"Li": 0})
    assert lithium.get_potential_energy() == 0 and not lithium.get_forces().any() and not lithium.get_stress().any()
    oxide = bulk("NiO", "rocksalt", a=4.2, cubic=True)
    oxide.rattle(0.1, seed=5)
    mixed = oxide.copy()
    mixed.symbols[0] = "Li"
    assert energy(oxide, {}) < energy(mixed, {"Li": 0}) < 0 and energy(mixed, {}) < energy(mixed, {"Li": 0})
    # a pair counts with the smaller weight of its atoms: linear in one weight, nested in two
    ends = energy(mixed, {"Ni": 0}), energy(mixed, {})
    assert energy(mixed, {"Ni": 0.3}) == pytest.approx(0.7 * ends[0] + 0.3 * ends[1], abs=1e-9)
    shells = energy(mixed, {"Ni": 0, "Li": 0}), energy(mixed, {"Li": 0}), energy(mixed, {})
    assert energy(mixed, {"Ni": 0.5, "Li": 0.2}) == pytest.approx(0.5 * shells[0] + 0.3 * shells[1] + 0.2 * shells[2], abs=1e-9)
    weights = {"Li": 0, "Ni": 0.35}
    mixed.calc = Dispersion("d3bj", weights)
    force, step, found = mixed.get_forces()[3, 2], 1e-3, []
    for sign in (1, -1):
        moved = mixed.copy()
        moved.positions[3, 2] += sign * step
        found.append(energy(moved, weights))
    assert -(found[0] - found[1]) / (2 * step) == pytest.approx(force, abs=5e-5)  # pairs cross the cut-off
