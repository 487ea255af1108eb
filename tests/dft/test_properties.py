import json

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk as ase_bulk
from ase.calculators.emt import EMT
from pymatgen.analysis.elasticity import ElasticTensor
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor
from scipy.interpolate import PchipInterpolator

from ecmpipe.cards import SurfacesCard, read_card, write_card
from ecmpipe.dft.delithiation import collect_delithiation, convex_hull, smooth_potential
from ecmpipe.dft.elasticity import collect_elastic, fit_stiffness, hill, jackknife, symmetrise
from ecmpipe.dft.records import BatchCard
from ecmpipe.dft.starts import strain_tensor
from ecmpipe.dft.surfaces import collect_surfaces, surface_energy
from ecmpipe.errors import CardError, ConvergenceError
from ecmpipe.settings.dft import delithiation_step, elastic_step, surfaces_step
from ecmpipe.settings.dft_materials import VOIGT
from tests.dft.conftest import made_run

GPA = 1e9


def test_hull_leaves_out_what_lies_above_it():
    x = np.array([0, 0.25, 0.5, 0.75, 1.0])
    assert convex_hull(x, np.array([0, -0.9, -1.9, -1.2, 0])).tolist() == [0, 2, 3, 4]
    assert convex_hull(x, np.array([0, 0.5, 0.1, 0.5, 0])).tolist() == [0, 4]
    assert convex_hull(x, x).tolist() == [0, 4]  # points on a line are no knots


@pytest.mark.parametrize("steps", [[4.4, 4.1, 3.8, 3.66, 3.59], [4.0, 3.999, 3.0], [4.0], [5.0, 3.0]])
def test_smooth_potential_falls_and_keeps_every_knot_energy(steps):
    steps = np.array(steps)
    x = np.concatenate([[0], np.sort(np.random.default_rng(2).uniform(0.1, 0.9, len(steps) - 1)), [1]])
    places, values = smooth_potential(x, steps, 0.01)
    assert (np.diff(places) > 0).all() and (np.diff(values) < 0).all()
    for left, right, step in zip(x[:-1], x[1:], steps, strict=True):
        inside = (places >= left) & (places <= right)
        mean = np.trapezoid(values[inside], places[inside]) / (right - left)
        assert mean == pytest.approx(step, abs=1e-12)


def test_smooth_potential_has_no_cliff_where_the_steps_have_none():
    # a long plateau behind a slope: the arithmetic mean of the steps at the knot would fall at 57 V per unit of x
    x, steps = np.array([0, 0.25, 0.5, 0.75, 5 / 6, 1]), np.array([4.306, 4.059, 3.852, 3.565, 3.556])
    places, values = smooth_potential(x, steps, 0.01)
    assert np.max(-np.diff(values) / np.diff(places)) < 6


def test_delithiation_curve_of_a_known_energy(settings, cards, tmp_path):
    arrangement = cards["ncm811"].arrangements[0]
    host = arrangement.bulk.structure()
    runs = {}
    for name, gone in arrangement.removed.items():
        x = 1 - len(gone) / 12
        cell = host.copy()
        cell.remove_sites(gone)
        cell.scale_lattice(host.volume * (0.94 + 0.06 * x))
        runs[name] = made_run(name, "bulk" if x == 1 else "delithiated", cell, 12 * (-20 - 4.4 * x + 0.4 * x**2) + 12 * x * -2)
    worse = runs["li6_1"].cell.structure().scale_lattice(300) or runs["li6_1"].cell.structure()
    runs["li6_2"] = made_run("li6_2", "delithiated", worse, runs["li6_1"].energy + 0.6)  # above the lowest: it must not count
    lithium = Structure(np.eye(3) * 3.4, ["Li", "Li"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    runs["li_metal"] = made_run("li_metal", "reference", lithium, -4.0)
    write_card(tmp_path / "relaxation.json", BatchCard(material="ncm811", batch="relaxation", engine="closed form", runs=runs))
    step = delithiation_step(settings, "ncm811")
    collect_delithiation(
        step, material="ncm811", runs=[tmp_path / "relaxation.json"], output=tmp_path / "curve.csv", output_hull=tmp_path / "hull.csv"
    )
    curve = pd.read_csv(tmp_path / "curve.csv")
    x, potential = curve["Li content x [1]"].to_numpy(), curve["Equilibrium potential [V]"].to_numpy()
    assert x[0] == 0 and x[-1] == 1 and (np.diff(x) > 0).all()
    assert (np.diff(potential) < 0).all()
    fine = np.linspace(0, 1, 4001)
    assert (np.diff(PchipInterpolator(x, potential)(fine)) < 0).all()
    assert potential == pytest.approx(4.4 - 0.8 * x, abs=0.06)  # chords of a parabola
    assert np.trapezoid(potential, x) == pytest.approx(4.0, abs=1e-9)  # mean voltage from 0 to 1
    assert curve["Volume [m3]"].to_numpy() == pytest.approx(host.volume / 12 * 1e-30 * (0.94 + 0.06 * x), rel=1e-6)
    assert curve["c [m]"].iloc[-1] == pytest.approx(14.20e-10, rel=1e-6) and curve["a [m]"].iloc[-1] == pytest.approx(2.875e-10, rel=1e-6)
    assert curve["On hull [1]"].sum() == 6
    slope = np.gradient(curve["Energy [J]"].to_numpy() / 1.602176634e-19, x)
    assert slope[5:-5] == pytest.approx(-2 - potential[5:-5], abs=0.01)
    hull = pd.read_csv(tmp_path / "hull.csv")
    assert len(hull) == 6 and (hull["Orderings [1]"] == [1, 1, 2, 1, 1, 1]).all()
    assert hull["Energy spread of orderings [J]"].max() == pytest.approx(0.6 / 12 * 1.602176634e-19, rel=1e-6)
    with pytest.raises(CardError, match="not of 'lgps'"):
        collect_delithiation(step, material="lgps", runs=[tmp_path / "relaxation.json"], output=tmp_path / "no.csv")


def emt_copper():
    atoms = ase_bulk("Cu", "fcc", a=3.5899, cubic=True)
    atoms.calc = EMT()
    return atoms


def copper_runs(magnitude=0.002):
    """The strained runs of the shipped path: same strain tensor, same record."""
    runs = []
    for mode, strain in [(None, 0.0), *((mode, sign * magnitude) for mode in VOIGT for sign in (1, -1))]:
        atoms = emt_copper()
        if mode:
            atoms.set_cell(np.array(atoms.cell) @ (np.eye(3) + strain_tensor(mode, strain)), scale_atoms=True)
        stress = {"Stress [eV.angstrom-3]": atoms.get_stress(voigt=False).tolist()}
        structure = AseAtomsAdaptor.get_structure(atoms)
        runs.append(made_run(f"{mode}{strain}", "strain", structure, atoms.get_potential_energy(), mode=mode, strain=strain, **stress))
    return runs


def curvature(tensor, step=0.004):
    """Second derivative of the energy per volume along a strain, in GPa: no stress enters."""
    atoms = emt_copper()
    cell, volume, energies = np.array(atoms.cell), atoms.get_volume(), []
    for factor in (-step, 0, step):
        atoms.set_cell(cell @ (np.eye(3) + factor * np.array(tensor)), scale_atoms=True)
        energies.append(atoms.get_potential_energy())
    return (energies[0] - 2 * energies[1] + energies[2]) / step**2 / volume * 160.21766


def test_elastic_path_gives_the_energy_curvature_of_copper():
    atoms = emt_copper()
    unstrained, *strained = copper_runs()
    raw, residual = fit_stiffness(strained, unstrained)
    stiffness, symmetry = symmetrise(raw, AseAtomsAdaptor.get_structure(atoms))
    assert symmetry == "Fm-3m" and residual < 0.02
    c11 = curvature(np.diag([1.0, 0, 0]))
    bulk = curvature(np.eye(3)) / 9
    c44 = curvature([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]])
    residual_pressure = abs(np.trace(np.array(unstrained.stress))) / 3 * 160.2
    assert residual_pressure < 0.3
    assert stiffness[0, 0] / GPA == pytest.approx(c11, rel=0.01)
    assert (stiffness[0, 0] + 2 * stiffness[0, 1]) / 3 / GPA == pytest.approx(bulk, rel=0.01)
    assert stiffness[3, 3] / GPA == pytest.approx(c44, rel=0.01)
    assert 100e9 < hill(stiffness)["hill"]["bulk"] < 160e9  # Pa, not GPa nor eV/A3


def test_hill_moduli_of_isotropic_and_general_matrices():
    k, g = 100 * GPA, 40 * GPA
    isotropic = np.zeros((6, 6))
    isotropic[:3, :3] = k - 2 * g / 3
    isotropic[np.diag_indices(6)] += [2 * g] * 3 + [g] * 3
    found = hill(isotropic)["hill"]
    assert found["bulk"] == pytest.approx(k) and found["shear"] == pytest.approx(g)
    assert found["youngs"] == pytest.approx(9 * k * g / (3 * k + g)) and found["poisson"] == pytest.approx(0.32353, abs=1e-5)
    random = np.random.default_rng(4).normal(size=(6, 6))
    general = isotropic / GPA + 4 * (random + random.T)
    tensor = ElasticTensor.from_voigt(general)
    found = hill(general)
    assert [found[name][key] for name in ("voigt", "reuss", "hill") for key in ("bulk", "shear")] == pytest.approx(
        [tensor.k_voigt, tensor.g_voigt, tensor.k_reuss, tensor.g_reuss, tensor.k_vrh, tensor.g_vrh]
    )


def test_symmetrised_matrix_has_the_form_of_its_class(cards):
    random = np.random.default_rng(5).normal(size=(6, 6))
    stiffness, _ = symmetrise(random * GPA, cards["ncm811"].parent.structure())
    assert stiffness[0, 0] == pytest.approx(stiffness[1, 1]) and stiffness[3, 3] == pytest.approx(stiffness[4, 4])
    assert stiffness[5, 5] == pytest.approx((stiffness[0, 0] - stiffness[0, 1]) / 2)
    assert stiffness[0, 3] == pytest.approx(-stiffness[1, 3]) and abs(stiffness[0, 3]) > 1e6  # C14 of the trigonal class
    again, _ = symmetrise(stiffness, cards["ncm811"].parent.structure())
    assert again == pytest.approx(stiffness, abs=1.0)  # Pa


def test_unstable_constants_are_refused(cards, structure_files, tmp_path, settings):
    structure = cards["lgps"].arrangements[0].bulk.structure()
    runs = {"bulk": made_run("bulk", "bulk", structure, -1.0)}
    for column, mode in enumerate(VOIGT):
        for strain in (0.005, -0.005):
            stress = strain_tensor(mode, strain) * (-0.1 if column in (3, 4) else 0.3)
            name = f"strain_{mode}_{strain:g}"
            runs[name] = made_run(name, "strain", structure, -1.0, mode=mode, strain=strain, **{"Stress [eV.angstrom-3]": stress.tolist()})
    write_card(tmp_path / "strains.json", BatchCard(material="lgps", batch="strains", engine="closed form", runs=runs))
    with pytest.raises(ConvergenceError, match="not positive definite"):
        collect_elastic(
            elastic_step(settings, "lgps"),
            material="lgps",
            structures=structure_files["lgps"],
            runs=[tmp_path / "strains.json"],
            output=tmp_path / "elastic.json",
        )
    assert not (tmp_path / "elastic.json").exists()


def test_jackknife_sees_what_a_straight_line_would_not():
    unstrained, *strained = copper_runs(0.01)
    parent = AseAtomsAdaptor.get_structure(emt_copper())
    errors = jackknife(strained, unstrained, parent)
    moduli = hill(symmetrise(fit_stiffness(strained, unstrained)[0], parent)[0])["hill"]
    assert 0.001 < errors["bulk"] / moduli["bulk"] < 0.1  # anharmonic at 1 %
    linear = []
    for run in strained:  # the mean of both signs is the linear part
        twin = next(other for other in strained if other.mode == run.mode and other.strain == -run.strain)
        part = (np.array(run.stress) - np.array(twin.stress)) / 2 + np.array(unstrained.stress)
        linear.append(run.model_copy(update={"stress": part.tolist()}))
    assert jackknife(linear, unstrained, parent)["bulk"] < 1e-6 * moduli["bulk"]


def test_surface_energy_per_face_against_the_same_composition(settings, cards, slab_cards, tmp_path):
    paths, cuts = [], []
    for material, card in cards.items():
        cell = card.arrangements[0].bulk.structure()
        name = "bulk" if material == "lgps" else "li12"
        runs = {name: made_run(name, "bulk", cell, -5.0 * len(cell))}
        for k, (each, cut) in enumerate(slab_cards[material].slabs.items()):
            slab = cut.cell.structure()
            area = np.linalg.norm(np.cross(*slab.lattice.matrix[:2]))
            energy = -5.0 * len(slab) + 2 * area * (0.05 + 0.01 * k)  # eV/A2
            runs[each] = made_run(each, "slab", slab, energy, **{"Energy of the starting structure [eV]": energy + 1.0})
        paths.append(tmp_path / f"{material}.json")
        write_card(paths[-1], BatchCard(material=material, batch="all", engine="closed form", runs=runs))
        cuts.append(tmp_path / f"{material}_slabs.json")
        write_card(cuts[-1], slab_cards[material])
        wrong = made_run("bulk", "bulk", cell.copy().replace(0, "O") or cell, -1.0)
        with pytest.raises(CardError, match="differ in"):
            surface_energy(runs[each], energy, wrong)
    collect_surfaces(surfaces_step(settings), slabs=cuts, runs=paths, output=tmp_path / "surfaces.json")
    found = read_card(SurfacesCard, tmp_path / "surfaces.json").surfaces
    assert found["ncm811"].surface_energy == pytest.approx(0.05 * 16.0217663, rel=1e-6) and found["ncm811"].change is None
    assert found["lgps"].surface_energy == pytest.approx(0.06 * 16.0217663, rel=1e-6)
    assert found["lgps"].change == pytest.approx(0.01 * 16.0217663, rel=1e-6)
    assert [len(surface.by_thickness) for surface in found.values()] == [2, 1]
    for surface in found.values():
        assert surface.vacuum == pytest.approx(20e-10, rel=1e-6)
    assert json.loads((tmp_path / "surfaces.json").read_text())["surfaces"]["lgps"]["miller"] == [1, 0, 1]
