"""Equilibration and pulls with real LAMMPS on tiny boxes, from the build on; and the settings they read."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ecmpipe.cards import CellCard, read_card, read_curve
from ecmpipe.errors import EngineError, SettingsError
from ecmpipe.md.build import build_cell
from ecmpipe.md.deck import pair_coefficients, read_notes
from ecmpipe.md.equilibrate import equilibrate
from ecmpipe.md.seeds import derive_seed
from ecmpipe.md.tensile import pull
from ecmpipe.settings import read_settings
from ecmpipe.settings.base import validate
from ecmpipe.settings.md import LammpsSettings, MdSettings, StageSettings, build_step, equilibrate_step, tensile_step
from tests.engines.test_lammps_runs import LMP, until
from tests.md.boxes import ROOT

INPUTS = ROOT / "inputs"


@pytest.fixture(scope="module")
def settings():
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)  # paths in the settings count from the project's root
        return read_settings([INPUTS / "parameters.yaml", INPUTS / "default.yaml", INPUTS / "test.yaml"])


@pytest.fixture(scope="module")
def relaxed(settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("md")
    build_cell(
        build_step(settings, "pdms"),
        polymer="pdms",
        description=INPUTS / "polymers" / "pdms.yaml",
        box=0,
        output=folder / "system.data",
        output_cell=folder / "cell.json",
    )
    equilibrate(
        equilibrate_step(settings, "pdms"),
        polymer="pdms",
        data=folder / "system.data",
        cell=folder / "cell.json",
        box=0,
        output=folder / "equilibrated.data",
        output_cell=folder / "equilibrated.json",
        work=folder / "work",
    )
    return folder


def pulled(step, relaxed: Path, folder: Path, axis: str = "y", replica: int = 0, box: int = 0):
    out = folder / "curve.csv"
    facts = pull(
        step,
        polymer="pdms",
        data=relaxed / "equilibrated.data",
        cell=relaxed / "equilibrated.json",
        box=box,
        axis=axis,
        replica=replica,
        output=out,
        work=folder / "work",
    )
    return read_curve(out, ["Time [s]", "Stress xy [Pa]", "Temperature [K]", "Density [kg.m-3]"]), facts


def test_equilibration_densifies_and_is_honest_about_its_length(relaxed: Path) -> None:
    built, card = (read_card(CellCard, relaxed / name) for name in ("cell.json", "equilibrated.json"))
    assert card.atoms == built.atoms == 244 and card.torsion_mode == "linear_safe"
    assert card.density > 1.1 * built.density
    assert card.temperature == pytest.approx(300, abs=40)
    mass = built.density * np.prod(built.lengths)
    assert card.density * np.prod(card.lengths) == pytest.approx(mass, rel=1e-3)
    assert card.equilibrated is False  # half a picosecond proves nothing
    assert card.bulk_modulus > 0 and card.details["extensions of the last stage [1]"] == 0
    assert card.nve_drift is not None and card.conserves_energy == (abs(card.nve_drift) <= 6.95e-12)
    assert "LAMMPS" in card.engine and card.details["stages"][0]["name"] == "warm"


def test_a_pull_reaches_its_targets_and_conserves_mass(settings, relaxed: Path, tmp_path: Path) -> None:
    step = tensile_step(settings, "pdms")
    table, facts = pulled(step, relaxed, tmp_path)
    assert len(table) == step.points
    rate = facts["strain rate as run [s-1]"]
    assert rate == pytest.approx(step.strain_rate, rel=0.05)
    # a point is the mean over its window, so its stretch is that of the window's middle
    window = table["Time [s]"].iloc[0]
    expected = 1 + rate * (table["Time [s]"] - window / 2 + 2.5e-15)
    assert np.allclose(table["Stretch y [1]"], expected, atol=1e-9)
    end = float((tmp_path / "work" / f"pull_{step.chunks}.box").read_text().split()[1]) * 1e-10
    start = read_card(CellCard, relaxed / "equilibrated.json").lengths[1]
    assert end / start == pytest.approx(1 + step.largest_strain, rel=1e-9)
    volume = table[[f"Stretch {axis} [1]" for axis in "xyz"]].prod(axis=1)
    density = table["Density [kg.m-3]"] * volume
    # a mean of products differs from the product of means by the fluctuation inside a window
    assert np.ptp(density) / density.mean() < 1e-4


def test_chunks_do_not_change_the_targets_and_replicas_differ(settings, relaxed: Path, tmp_path: Path) -> None:
    step = tensile_step(settings, "pdms")
    quick = step.model_copy(update={"largest_strain": 0.01, "points": 10})
    first, _ = pulled(quick.model_copy(update={"chunks": 1}), relaxed, tmp_path / "one")
    second, _ = pulled(quick.model_copy(update={"chunks": 5}), relaxed, tmp_path / "five")
    assert np.allclose(first["Stretch y [1]"], second["Stretch y [1]"], atol=1e-12)
    other, _ = pulled(quick.model_copy(update={"chunks": 5}), relaxed, tmp_path / "other", replica=1)
    assert not np.allclose(second["Stress yy [Pa]"], other["Stress yy [Pa]"], rtol=1e-3)


@pytest.mark.parametrize("polymer", ["pdms", "polyamide"])
def test_the_default_force_fields_conserve_energy(settings, tmp_path: Path, polymer: str) -> None:
    step = equilibrate_step(settings, polymer)
    # a cut-off of 6 angstrom loses energy at the cut itself
    update = {"conservation": step.conservation.model_copy(update={"duration": 2e-12})}
    step = step.model_copy(update=update | {"dynamics": step.dynamics.model_copy(update={"cutoff": 8e-10})})
    data, cell = tmp_path / "system.data", tmp_path / "cell.json"
    description = INPUTS / "polymers" / f"{polymer}.yaml"
    build_cell(build_step(settings, polymer), polymer=polymer, description=description, box=0, output=data, output_cell=cell)
    out = tmp_path / "equilibrated.json"
    options = {"polymer": polymer, "data": data, "cell": cell, "box": 0, "output": tmp_path / "a.data", "output_cell": out}
    equilibrate(step, **options, work=tmp_path / "work")
    card = read_card(CellCard, out)
    assert card.conserves_energy and abs(card.nve_drift) < 6.95e-12  # 1 kcal/mol per atom and ns


def test_a_program_pulls_the_same_curve(settings, relaxed: Path, tmp_path: Path) -> None:
    step = tensile_step(settings, "pdms").model_copy(update={"largest_strain": 0.01, "points": 10, "chunks": 2})
    module, _ = pulled(step, relaxed, tmp_path / "module")
    program = step.model_copy(update={"lammps": LammpsSettings(run="program", command=[LMP])})
    curve, facts = pulled(program, relaxed, tmp_path / "program")
    assert np.allclose(curve, module, rtol=1e-9, atol=0) and facts["engine"].endswith(f"run by {LMP}")


def test_boxes_are_grown_apart(settings, relaxed: Path, tmp_path: Path) -> None:
    for box, name in ((0, "again"), (1, "other")):
        build_cell(
            build_step(settings, "pdms"),
            polymer="pdms",
            description=INPUTS / "polymers" / "pdms.yaml",
            box=box,
            output=tmp_path / f"{name}.data",
            output_cell=tmp_path / f"{name}.json",
        )
    assert (tmp_path / "again.data").read_bytes() == (relaxed / "system.data").read_bytes() != (tmp_path / "other.data").read_bytes()


def test_the_last_stage_is_repeated_until_the_density_rests(settings, relaxed: Path, tmp_path: Path) -> None:
    def again(**edit) -> CellCard:
        step = equilibrate_step(settings, "pdms")
        equilibrium = step.equilibrium.model_copy(update={"halves": 1e-9, "extensions": 2} | edit)
        equilibrate(
            step.model_copy(update={"equilibrium": equilibrium}),
            polymer="pdms",
            data=relaxed / "system.data",
            cell=relaxed / "cell.json",
            box=0,
            output=tmp_path / "equilibrated.data",
            output_cell=tmp_path / "equilibrated.json",
            work=tmp_path / "work",
        )
        return read_card(CellCard, tmp_path / "equilibrated.json")

    never = again()
    assert not never.equilibrated and never.details["extensions of the last stage [1]"] == 2
    assert never.details["time averaged [s]"] == pytest.approx(3 * 0.75 * 5e-13, rel=0.1)
    first = (tmp_path / "work" / "rest_1.txt").stat().st_mtime_ns
    # laxer settings are judged on what was run: nothing runs again
    assert again(extensions=1).details["extensions of the last stage [1]"] == 1
    assert (tmp_path / "work" / "rest_1.txt").stat().st_mtime_ns == first
    # the box of the first verdict is that of the run without extensions
    again(extensions=0)
    assert (tmp_path / "equilibrated.data").read_bytes() == (relaxed / "equilibrated.data").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_pull_that_was_killed_ends_as_the_uninterrupted_one(settings, relaxed: Path, tmp_path: Path, number: signal.Signals) -> None:
    step = tensile_step(settings, "pdms").model_copy(update={"points": 200, "chunks": 20})
    whole, _ = pulled(step, relaxed, tmp_path / "whole", axis="x")
    work, out = tmp_path / "work", tmp_path / "curve.csv"
    options = {"polymer": "pdms", "box": 0, "axis": "x", "replica": 0, "output": out, "work": work}
    options |= {"step": step.canonical(), "data": relaxed / "equilibrated.data", "cell": relaxed / "equilibrated.json"}
    command = [sys.executable, "-m", "ecmpipe", "md-tensile"]
    command += [str(word) for key, value in options.items() for word in (f"--{key}", value)]
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until(lambda: (work / "state.json").is_file() and json.loads((work / "state.json").read_text())["done"] >= 5)
    first.send_signal(number)
    assert first.wait() != 0 and not out.exists()
    done = json.loads((work / "state.json").read_text())["done"]
    assert 5 <= done < 21
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0 and f"after chunk {done} of 21" in again.stderr
    resumed = read_curve(out)
    assert len(resumed) == 200 and np.allclose(resumed, whole, rtol=1e-9, atol=0)


def test_a_box_too_small_for_the_cutoff_is_refused(settings, relaxed: Path, tmp_path: Path) -> None:
    step = equilibrate_step(settings, "pdms")
    wide = step.model_copy(
        update={"dynamics": step.dynamics.model_copy(update={"cutoff": 1.6e-9}), "stages": [step.stages[0], step.stages[-1]]}
    )
    with pytest.raises(EngineError, match="narrower than cutoff"):
        equilibrate(
            wide,
            polymer="pdms",
            data=relaxed / "system.data",
            cell=relaxed / "cell.json",
            box=0,
            output=tmp_path / "a.data",
            output_cell=tmp_path / "a.json",
            work=tmp_path / "work",
        )
    assert not (tmp_path / "a.data").exists()


def test_damaged_tables_are_named(tmp_path: Path) -> None:
    (tmp_path / "rest_1.txt").write_text("# header\n1 2 3\n1 2\n")
    with pytest.raises(EngineError, match="rest_1.txt"):
        read_notes(tmp_path, ["rest_1"], 2)
    whole = "\n".join(" ".join(["50"] + ["1.0"] * 12) for _ in range(3))
    (tmp_path / "rest_1.txt").write_text(whole)
    assert len(read_notes(tmp_path, ["rest_1"], 3)) == 3
    with pytest.raises(EngineError, match=r"rest_1.txt: has 3 of 4 rows"):
        read_notes(tmp_path, ["rest_1"], 4)
    (tmp_path / "bad.data").write_text("no coefficients\n")
    with pytest.raises(EngineError, match="Pair Coeffs"):
        pair_coefficients(tmp_path / "bad.data")


def test_seeds_are_reproducible_and_apart() -> None:
    seeds = {derive_seed(1, polymer, axis, replica) for polymer in "ab" for axis in "xyz" for replica in range(50)}
    assert len(seeds) == 300 and all(1 <= seed <= 900_000_000 for seed in seeds)
    assert derive_seed(1, "a", "x", 0) == derive_seed(1, "a", "x", 0) != derive_seed(2, "a", "x", 0)


def test_steps_hold_only_what_they_read(settings) -> None:
    data = settings.model_dump()
    data["md"]["polymers"]["pdms"] |= {"strain_rate [s-1]": 2e10, "points": 500}  # the window of the fit stays three points long
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        faster = validate(type(settings), data)
    for function in (build_step, equilibrate_step):
        assert function(settings, "pdms").canonical() == function(faster, "pdms").canonical()
    assert tensile_step(settings, "pdms").canonical() != tensile_step(faster, "pdms").canonical()
    assert tensile_step(settings, "polyamide").canonical() == tensile_step(faster, "polyamide").canonical()


def test_paper_profile_is_the_protocol_of_the_si(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    paper = read_settings([INPUTS / "parameters.yaml", INPUTS / "default.yaml", INPUTS / "paper.yaml"])
    assert len(paper.md.axes) * paper.md.replicas == 30
    assert {name: (item.strain_rate, item.largest_strain) for name, item in paper.md.polymers.items()} == {
        "polyamide": (1e8, 0.15),
        "pdms": (1e9, 0.05),
    }
    for item in paper.md.polymers.values():
        told = [(stage.ensemble, stage.duration, stage.temperature) for stage in item.equilibration[-4:]]
        assert told == [("minimise", 0, None), ("nvt", 3e-9, [500, 500]), ("nvt", 4e-9, [300, 300]), ("npt", 5e-9, [300, 300])]
        assert item.equilibration[-1].pressure == [101325, 101325]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda md: md["polymers"]["pdms"].update({"strain_rate [s-1]": "fast"}), r"md.*strain_rate \[s-1\]"),
        (lambda md: md["polymers"]["pdms"].update({"largest_strain [1]": -0.1}), r"largest_strain \[1\]"),
        (lambda md: md["polymers"]["pdms"].update(description="inputs/polymers/none.yaml"), "no such file"),
        (lambda md: md["polymers"]["pdms"].update(points=101), "multiple of chunks"),
        (lambda md: md.update(axes=["x", "x"]), "twice"),
        (lambda md: md.update(axes=[]), "axes"),
        (lambda md: md.update(polymers={}), "polymers"),
        (lambda md: md["dynamics"].update({"time_step [fs]": 1}), "did you mean"),
        (lambda md: md["push_off"].update({"strength [J.mol-1]": [-1, 1]}), "strength"),
        (lambda md: md["dynamics"].update({"thermostat_time [s]": 1e-15}), "at least 10 times"),
        (lambda md: md["conservation"].update({"duration [s]": 1e-30}), "duration"),
        (lambda md: md["polymers"]["pdms"]["equilibration"][0].update(name="a" * 41), "name"),
        (lambda md: md["polymers"]["pdms"]["equilibration"].insert(0, {"name": "m", "ensemble": "minimise", "chunks": 2}), "does not read"),
        (lambda md: md["polymers"]["pdms"]["equilibration"].append({"name": "end", "ensemble": "minimise"}), "last stage"),
    ],
)
def test_wrong_settings_are_one_line(settings, monkeypatch: pytest.MonkeyPatch, edit, message: str) -> None:
    monkeypatch.chdir(ROOT)
    data = settings.md.model_dump()
    edit(data)
    with pytest.raises(SettingsError, match=message) as caught:
        validate(MdSettings, data, where="md")
    assert "\n" not in str(caught.value)


def test_a_stage_reads_all_it_is_given() -> None:
    with pytest.raises(SettingsError, match="does not read 'pressure"):
        validate(StageSettings, {"name": "a", "ensemble": "nvt", "duration [s]": 1e-12, "temperature [K]": [1, 2], "pressure [Pa]": [0, 0]})


def edited(settings, polymer: dict, **md):
    """Those settings with other values for PDMS, and for the stage."""
    chosen = settings.md.polymers["pdms"].model_copy(update=polymer)
    return settings.model_copy(update={"md": settings.md.model_copy(update={"polymers": {"pdms": chosen}} | md)})


@pytest.mark.parametrize("ends", [[300, 310], [400, 300]])
def test_a_last_stage_that_is_not_what_the_pulls_run_at_is_refused(settings, ends: list) -> None:
    stages = settings.md.polymers["pdms"].equilibration
    moved = stages[-1].model_copy(update={"temperature": ends})
    with pytest.raises(SettingsError, match="both ends"):
        equilibrate_step(edited(settings, {"equilibration": [*stages[:-1], moved]}), "pdms")


def test_durations_and_rates_that_time_steps_cannot_give_are_refused(settings) -> None:
    stages = settings.md.polymers["pdms"].equilibration
    odd = stages[1].model_copy(update={"chunks": 7})
    with pytest.raises(SettingsError, match="'squeeze' lasts .* in 7 chunks"):
        equilibrate_step(edited(settings, {"equilibration": [stages[0], odd, *stages[2:]]}), "pdms")
    with pytest.raises(SettingsError, match="LAMMPS takes"):
        equilibrate_step(edited(settings, {}, dynamics=settings.md.dynamics.model_copy(update={"time_step": 1e-23})), "pdms")
    with pytest.raises(SettingsError, match="make 'strain_rate"):
        tensile_step(edited(settings, {"points": 130}), "pdms")
    with pytest.raises(SettingsError, match="raise chunks"):
        tensile_step(edited(settings, {"strain_rate": 1e-3}), "pdms")


def test_a_new_verdict_on_the_same_box_does_not_repeat_its_pulls(settings) -> None:
    step = tensile_step(settings, "pdms")
    assert step.identity("a") != step.identity("b")
    assert step.identity("a") == step.model_copy(update={"lammps": None}).identity("a")
