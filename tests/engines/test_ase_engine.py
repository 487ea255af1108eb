import numpy as np
import pytest
from ase.build import bulk, fcc111

from ecmpipe.engines.ase_engine import IGNORED, AseEngine
from ecmpipe.engines.launch import Request
from ecmpipe.errors import ConvergenceError, EngineError, SettingsError
from ecmpipe.settings.base import validate
from ecmpipe.settings.dft import AseSettings


def engine(factory="ase.calculators.emt:EMT", optimiser="BFGS", **arguments):
    return AseEngine(validate(AseSettings, {"calculator": {"factory": factory, "arguments": arguments}, "optimiser": optimiser}))


def request(atoms, stress=None, steps=100, tolerance=0.01):
    return Request("test", atoms, tolerance, stress, steps, {}, list(range(len(atoms))), [], "PBE_54")


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


def strict_factory():
    """A factory without arguments."""


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


def test_dispersion_leaves_out_its_species_and_is_its_own_derivative():
    from ecmpipe.engines.dispersion import Dispersion

    lithium = bulk("Li", "bcc", a=3.4, cubic=True)
    lithium.calc = Dispersion("d3bj", ["Li"])
    assert lithium.get_potential_energy() == 0 and not lithium.get_forces().any() and not lithium.get_stress().any()
    oxide = bulk("NiO", "rocksalt", a=4.2, cubic=True)
    oxide.rattle(0.1, seed=5)
    mixed = oxide.copy()
    mixed.symbols[0] = "Li"
    energies = []
    for atoms, without in ((oxide, ["Li"]), (mixed, ["Li"]), (mixed, [])):
        atoms.calc = Dispersion("d3bj", without)
        energies.append(atoms.get_potential_energy())
    assert energies[0] < energies[1] < 0 and energies[2] < energies[1]
    mixed.calc = Dispersion("d3bj", ["Li"])
    force = mixed.get_forces()[3, 2]
    step, found = 1e-3, []
    for sign in (1, -1):
        moved = mixed.copy()
        moved.positions[3, 2] += sign * step
        moved.calc = Dispersion("d3bj", ["Li"])
        found.append(moved.get_potential_energy())
    assert -(found[0] - found[1]) / (2 * step) == pytest.approx(force, abs=5e-5)  # pairs cross the cut-off
