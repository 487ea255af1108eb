import os
import sys
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import SETTINGS

from ecmpipe.cards import read_card
from ecmpipe.dft import runs as runs_module
from ecmpipe.dft.records import BatchCard, read_runs
from ecmpipe.dft.runs import run_batch, starting_cell
from ecmpipe.errors import CardError
from ecmpipe.settings.dft import Task, run_step
from tests.dft.conftest import ROOT, load_dft
from tests.mock.potentials import write_fake_potentials


@pytest.fixture(scope="module")
def finished(structure_files, tmp_path_factory):
    """The relaxations of ncm811 by the mock under custodian, through the step function."""
    folder = tmp_path_factory.mktemp("runs")
    settings = load_dft("test.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.pathsep.join([str(ROOT / "tests/mock"), str(Path(sys.executable).parent), os.environ["PATH"]]))
        patch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(write_fake_potentials(folder / "potentials")))
        outcome = run(settings, structure_files, folder)
    return settings, folder, outcome


def run(settings, structure_files, folder):
    step = run_step(settings, "ncm811", "relaxation")
    return run_batch(
        step,
        material="ncm811",
        batch="relaxation",
        structures=structure_files["ncm811"],
        upstream=[],
        output=folder / "relaxation.json",
        work=folder / "work",
    )


def test_batch_holds_every_run(finished):
    settings, folder, outcome = finished
    card = read_card(BatchCard, folder / "relaxation.json")
    assert list(card.runs) == [task.name for task in run_step(settings, "ncm811", "relaxation").tasks]
    assert outcome["reused"] == 0 and card.engine.startswith("VASP")
    counts = {name: run.cell.species.count("Li") for name, run in card.runs.items()}
    assert counts == {"li12": 12, "li6": 6, "li0": 0, "li_metal": 2}
    limits = settings.dft.tolerances
    assert all(run.residual_force <= limits.delithiation for run in card.runs.values())


def test_what_is_there_is_not_calculated_again(finished, structure_files, monkeypatch):
    settings, folder, _ = finished

    def refuse(step):
        raise AssertionError("an engine was started")

    monkeypatch.setattr(runs_module, "make_engine", refuse)
    before = (folder / "relaxation.json").read_bytes()
    (folder / "relaxation.json").unlink()
    assert run(settings, structure_files, folder)["reused"] == 4
    assert (folder / "relaxation.json").read_bytes() == before
    edited = load_dft("test.yaml", parameters={"hubbard_u_ni": {"value": 6.2}})
    with pytest.raises(AssertionError, match="engine was started"):
        run(edited, structure_files, folder)
    (folder / "work/li0/result.json").write_text("{ half")  # an interrupted write
    with pytest.raises(AssertionError, match="engine was started"):
        run(settings, structure_files, folder)


def test_strains_start_from_the_relaxed_bulk_and_mirror_their_twin(finished, cards):
    _, folder, _ = finished
    found = read_card(BatchCard, folder / "relaxation.json").runs
    task = Task(name="strain_xz_0.01", kind="strain", tolerance=0.01, mode="xz", strain=0.01)
    cell = starting_cell(task, cards["ncm811"], found)
    bulk = found["li12"].cell
    strain = np.linalg.solve(np.array(bulk.lattice), np.array(cell.lattice)) - np.eye(3)
    assert strain[0, 2] == pytest.approx(0.005) and strain[2, 0] == pytest.approx(0.005)  # half the engineering strain
    assert abs(np.trace(strain)) < 1e-9 and np.allclose(cell.positions, bulk.positions)
    moved = cell.model_copy(update={"positions": (np.array(bulk.positions) + 0.001).tolist()})
    twin = found["li12"].model_copy(update={"kind": "strain", "mode": "xz", "strain": 0.01, "cell": moved})
    opposite = starting_cell(task.model_copy(update={"strain": -0.01}), cards["ncm811"], found | {"twin": twin})
    shift = np.array(opposite.positions) - np.array(bulk.positions)
    assert np.allclose(shift - np.round(shift), -0.001, atol=1e-8)


def test_a_rattled_start_is_always_the_same(cards):
    task = Task(name="li12", kind="bulk", tolerance=0.01, stress=0.05, rattle=0.05)
    once, again = (starting_cell(task, cards["ncm811"], {}) for _ in range(2))
    moves = once.structure().cart_coords - cards["ncm811"].bulk.structure().cart_coords
    assert once == again and np.std(moves) == pytest.approx(0.05, rel=0.15)
    assert starting_cell(task.model_copy(update={"rattle": 0.0}), cards["ncm811"], {}) == cards["ncm811"].bulk


def test_slab_is_cut_from_the_relaxed_bulk(finished, cards):
    _, folder, _ = finished
    found = read_card(BatchCard, folder / "relaxation.json").runs
    cell = starting_cell(Task(name="slab", kind="slab", tolerance=0.1), cards["ncm811"], found).structure()
    ratio = found["li12"].cell.structure().volume / cards["ncm811"].bulk.structure().volume
    assert cell.lattice.b == pytest.approx(cards["ncm811"].slab.cell.structure().lattice.b * ratio ** (1 / 3), rel=0.03)
    heights = cell.cart_coords[:, 2]
    assert cell.lattice.c - np.ptp(heights) == pytest.approx(20.0, abs=1e-6)


def test_missing_and_foreign_batches_are_named(finished, cards, tmp_path):
    _, folder, _ = finished
    with pytest.raises(CardError, match="needs the relaxed bulk"):
        starting_cell(Task(name="slab", kind="slab", tolerance=0.1), cards["ncm811"], {})
    with pytest.raises(CardError, match="not of 'lgps'"):
        read_runs([folder / "relaxation.json"], "lgps")
    other = tmp_path / "other.json"
    other.write_text((folder / "relaxation.json").read_text().replace("VASP (vasp_std)", "another"))
    with pytest.raises(CardError, match="different engines"):
        read_runs([folder / "relaxation.json", other], "ncm811")
