import fcntl
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import SETTINGS

from ecmpipe.cards import read_card
from ecmpipe.dft import runs as runs_module
from ecmpipe.dft.cuts import build_slabs
from ecmpipe.dft.records import BatchCard, SlabsCard, StructuresCard, read_runs
from ecmpipe.dft.runs import run_batch
from ecmpipe.dft.starts import material_start
from ecmpipe.dft.structures import build_structures
from ecmpipe.errors import CardError, EngineError, SettingsError
from ecmpipe.settings.dft import slabs_step, structures_step
from ecmpipe.settings.dft_runs import Task, run_step
from tests.dft.conftest import ROOT, crystal_of, load_dft
from tests.mock.potentials import write_fake_potentials


@pytest.fixture(scope="module")
def structure_files(tmp_path_factory):
    """Those of the test settings: two orderings of each composition."""
    path = tmp_path_factory.mktemp("structures") / "ncm811.json"
    build_structures(structures_step(load_dft("test.yaml"), "ncm811"), material="ncm811", crystal=crystal_of("ncm811"), output=path)
    return {"ncm811": path}


@pytest.fixture(scope="module")
def cards(structure_files):
    return {"ncm811": read_card(StructuresCard, structure_files["ncm811"])}


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
        cells=structure_files["ncm811"],
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
    assert counts == {**{f"arrangement_{k}": 12 for k in (1, 2, 3)}, "li12": 12, "li6_1": 6, "li6_2": 6, "li0": 0, "li_metal": 2}
    limits = settings.dft.tolerances
    ranked = [run for run in card.runs.values() if run.kind == "arrangement"]
    assert all(run.residual_force <= limits.delithiation for run in card.runs.values() if run not in ranked)
    best = min(ranked, key=lambda run: run.energy)  # the engine ranks, not the Ewald energy
    assert card.runs["li12"].arrangement == best.arrangement == card.runs["li6_1"].arrangement
    assert card.runs["li12"].cell.species == best.cell.species


def test_what_is_there_is_not_calculated_again(finished, structure_files, monkeypatch):
    settings, folder, _ = finished

    def refuse(*_):
        raise AssertionError("an engine was started")

    monkeypatch.setattr(runs_module, "make_engine", refuse)
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder / "potentials"))
    before = (folder / "relaxation.json").read_bytes()
    (folder / "relaxation.json").unlink()
    assert run(settings, structure_files, folder)["reused"] == 8
    assert (folder / "relaxation.json").read_bytes() == before
    launched = load_dft(
        "test.yaml", {"tolerances": {"steps": 399}, "vasp": {"command": ["srun", "vasp_std"], "max_errors": 9, "polling [s]": 1}}
    )
    assert run(launched, structure_files, folder)["reused"] == 8  # how it is launched does not decide the result
    potcar = folder / "potentials/POT_GGA_PAW_PBE_54/Ni_pv/POTCAR"
    text = potcar.read_text()
    potcar.write_text(text.replace("1.0 2.0 3.0", "1.0 2.0 3.1"))  # other potentials do
    with pytest.raises(AssertionError, match="engine was started"):
        run(settings, structure_files, folder)
    potcar.write_text(text)
    edited = load_dft("test.yaml", parameters={"hubbard_u_ni": {"value": 6.2}})
    with pytest.raises(AssertionError, match="engine was started"):
        run(edited, structure_files, folder)
    (folder / "work/li0/result.json").write_text("{ half")  # an interrupted write
    with pytest.raises(AssertionError, match="engine was started"):
        run(settings, structure_files, folder)


def task(name, kind, **more):
    return Task(name=name, kind=kind, tolerance=0.01, steps=100, **more)


def test_strains_start_from_the_relaxed_bulk_and_mirror_their_twin(finished, cards):
    _, folder, _ = finished
    found = read_card(BatchCard, folder / "relaxation.json").runs
    strained = task("strain_xz_0.01", "strain", mode="xz", strain=0.01)
    cell, _ = material_start(strained, cards["ncm811"], found)
    bulk = found["li12"].cell
    strain = np.linalg.solve(np.array(bulk.lattice), np.array(cell.lattice)) - np.eye(3)
    assert strain[0, 2] == pytest.approx(0.005) and strain[2, 0] == pytest.approx(0.005)  # half the engineering strain
    assert abs(np.trace(strain)) < 1e-9 and np.allclose(cell.positions, bulk.positions)
    moved = cell.model_copy(update={"positions": (np.array(bulk.positions) + 0.001).tolist()})
    twin = found["li12"].model_copy(update={"kind": "strain", "mode": "xz", "strain": 0.01, "cell": moved})
    opposite, _ = material_start(strained.model_copy(update={"strain": -0.01}), cards["ncm811"], found | {"twin": twin})
    shift = np.array(opposite.positions) - np.array(bulk.positions)
    assert np.allclose(shift - np.round(shift), -0.001, atol=1e-8)


def test_a_rattled_start_is_always_the_same(cards):
    first = task("arrangement_1", "arrangement", rattle=0.05, arrangement=1)
    (once, number), (again, _) = (material_start(first, cards["ncm811"], {}) for _ in range(2))
    ideal = cards["ncm811"].arrangements[0].bulk
    moves = once.structure().cart_coords - ideal.structure().cart_coords
    assert once == again and number == 1 and np.std(moves) == pytest.approx(0.05, rel=0.15)
    assert material_start(first.model_copy(update={"rattle": 0.0}), cards["ncm811"], {})[0] == ideal


def test_the_next_arrangement_starts_from_the_places_of_the_last(finished, cards):
    _, folder, _ = finished
    first = read_card(BatchCard, folder / "relaxation.json").runs["arrangement_1"]
    cell, number = material_start(task("arrangement_2", "arrangement", rattle=0.05, arrangement=2), cards["ncm811"], {first.name: first})
    assert number == 2 and cell.positions == first.cell.positions and cell.lattice == first.cell.lattice
    assert cell.species == cards["ncm811"].arrangements[1].bulk.species


def test_slabs_are_cut_from_the_relaxed_bulk(finished, structure_files, tmp_path):
    settings, folder, _ = finished
    step = slabs_step(settings, "ncm811")
    build_slabs(
        step,
        material="ncm811",
        crystal=crystal_of("ncm811"),
        structures=structure_files["ncm811"],
        runs=[folder / "relaxation.json"],
        output=tmp_path / "slabs.json",
    )
    cell = read_card(SlabsCard, tmp_path / "slabs.json").slabs["slab_4"].cell.structure()
    bulk = read_card(BatchCard, folder / "relaxation.json").runs["li12"].cell.structure()
    heights = cell.cart_coords[:, 2]
    assert cell.lattice.c - np.ptp(heights) == pytest.approx(20.0, abs=1e-6)
    # four (104) planes stand three spacings apart; twelve formula units fill four spacings
    area = np.linalg.norm(np.cross(*cell.lattice.matrix[:2]))
    assert area * np.ptp(heights) * 4 / 3 == pytest.approx(bulk.volume, rel=0.1)


def test_missing_and_foreign_batches_are_named(finished, cards, tmp_path):
    _, folder, _ = finished
    with pytest.raises(CardError, match="needs the relaxed bulk"):
        material_start(task("li6_1", "delithiated"), cards["ncm811"], {})
    with pytest.raises(CardError, match="not of 'lgps'"):
        read_runs([folder / "relaxation.json"], "lgps")
    other = tmp_path / "other.json"
    other.write_text((folder / "relaxation.json").read_text().replace("VASP (PBE_54)", "another"))
    with pytest.raises(CardError, match="different engines"):
        read_runs([folder / "relaxation.json", other], "ncm811")


def test_two_jobs_do_not_share_a_folder(finished, structure_files, monkeypatch):
    settings, folder, _ = finished
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder / "potentials"))
    with open(folder / "work/li0/.lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(EngineError, match="another process works in this folder"):
            run(settings, structure_files, folder)


def test_time_and_material_are_looked_at_first(finished, structure_files, tmp_path):
    settings, _, _ = finished
    step = run_step(settings, "ncm811", "relaxation")
    common = {"batch": "relaxation", "cells": structure_files["ncm811"], "upstream": [], "output": tmp_path / "o.json", "work": tmp_path}
    for minutes in (0.0, -5.0, float("nan")):
        with pytest.raises(SettingsError, match="runtime"):
            run_batch(step, material="ncm811", runtime=minutes, **common)
    with pytest.raises(CardError, match="holds 'ncm811' where 'other' belongs"):
        run_batch(step, material="other", **common)
