"""The whole case on a coarse mesh: what must hold at every accepted step, checkpoints, hand-over files, errors."""

from __future__ import annotations

import json
from pathlib import Path

import meshio
import numpy as np
import pandas as pd
import pytest

from ecmpipe.cards import AdhesionCard, FemParametersCard, FemSummaryCard, read_card, write_card
from ecmpipe.errors import CardError, ConvergenceError, SettingsError
from ecmpipe.fem import run as run_module
from ecmpipe.fem.output import COLUMNS
from ecmpipe.fem.parameters import collect_parameters
from ecmpipe.fem.run import run_case
from ecmpipe.settings.fem import DEFAULT, parameters_step, run_step
from tests.fem.fixtures import write_cards
from tests.fem.helpers import CARDS, COARSE, settings

NUMERIC = [name for name in COLUMNS if name != "CPU time [s]"]


def collect(folder: Path, filler: str) -> tuple[Path, Path]:
    cards = write_cards(folder / "cards")
    output = folder / filler / "parameters.json"
    rubber = [] if filler == "none" else [cards[filler]]
    step = parameters_step(settings(COARSE), DEFAULT)
    collect_parameters(
        step, filler=filler, **{name: cards[name] for name in CARDS}, hyperelastic=rubber, adhesion=[], toughness=[], output=output
    )
    return output, cards["delithiation"]


def run(folder: Path, filler: str, rate: float, overlay: dict | None = None, name: str = "") -> Path:
    parameters, delithiation = collect(folder, filler)
    where = folder / filler / f"{rate:g}C{name}"
    run_case(
        run_step(settings(COARSE, overlay or {}), DEFAULT),
        filler=filler,
        c_rate=rate,
        parameters=parameters,
        delithiation=delithiation,
        output=where / "history.csv",
        output_fields=where / "fields.xdmf",
        output_summary=where / "summary.json",
        work=where / "work",
    )
    return where


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> dict[str, Path]:
    """1, 5 and 10C without filler, 1C with each: the default cases on a coarse mesh."""
    folder = tmp_path_factory.mktemp("fem")
    wanted = [("none", 1), ("none", 5), ("none", 10), ("polyamide", 1), ("pdms", 1)]
    return {f"{filler}/{rate}C": run(folder, filler, rate) for filler, rate in wanted}


def history(where: Path) -> pd.DataFrame:
    return pd.read_csv(where / "history.csv")


def test_every_accepted_step_keeps_the_balances_and_the_bounds(cases):
    for name, where in cases.items():
        table = history(where)
        assert list(table.columns) == list(COLUMNS)
        assert table["Li imbalance [1]"].max() <= 1e-10, name
        assert table["Current imbalance [1]"].max() <= 1e-8, name
        assert table["Largest crack field d [1]"].between(0, 1 + 1e-6).all(), name
        for column, sign in (("Contact fraction [1]", -1), ("Largest crack field d [1]", 1), ("Crack length [m]", 1), ("Time [s]", 1)):
            assert (sign * np.diff(table[column]) >= 0).all(), (name, column)
        assert (table["Voltage [V]"] <= 4.3 + 5e-3).all(), name
        parts = [f"{part} overpotential [V]" for part in ("Charge transfer", "Cathode diffusion", "Electrolyte", "Anode")]
        assert np.allclose(table[parts].sum(axis=1), table["Overpotential [V]"], atol=1e-9), name


def test_the_crack_starts_within_the_charge_at_one_throughput_for_all_rates(cases):
    onsets = [read_card(FemSummaryCard, cases[f"none/{rate}C"] / "summary.json").onset_throughput for rate in (1, 5, 10)]
    assert None not in onsets
    assert max(onsets) - min(onsets) <= 0.02
    summary = read_card(FemSummaryCard, cases["none/5C"] / "summary.json")
    assert summary.onset_time == pytest.approx(summary.onset_throughput * 3600 / 5)


def test_overpotential_grows_with_the_rate_and_with_the_loss_of_contact(cases):
    tables = [history(cases[f"none/{rate}C"]) for rate in (1, 5, 10)]
    for throughput in (0.05, 1 / 6, 0.4):
        eta = [np.interp(throughput, t["Throughput Q [1]"], t["Overpotential [V]"]) for t in tables]
        assert eta[0] < eta[1] < eta[2]
    for rate, table in zip((1, 5, 10), tables, strict=True):
        onset = read_card(FemSummaryCard, cases[f"none/{rate}C"] / "summary.json").onset_throughput
        before = table[table["Throughput Q [1]"] <= onset]["Overpotential [V]"].iloc[-1]
        assert table["Overpotential [V]"].iloc[-1] > 1.3 * before
        assert table["Contact fraction [1]"].iloc[-1] < 0.5
        assert table[np.isclose(table["Throughput Q [1]"], 1 / 6)]["Contact fraction [1]"].iloc[0] == 1  # intact at 600 s of 1C


def test_a_charge_that_passes_the_cut_off_ends_at_it(cases):
    ended = [name for name in cases if "next step" in read_card(FemSummaryCard, cases[name] / "summary.json").end_reason]
    assert ended
    for name in ended:
        last = history(cases[name]).iloc[-1]
        assert last["Voltage [V]"] == pytest.approx(4.3)
        assert last["Overpotential [V]"] == pytest.approx(4.3 - last["Equilibrium potential [V]"])
        assert last["Contact fraction that carried this step [1]"] == last["Contact fraction [1]"] < 0.5


def test_compliant_fillers_lower_the_interface_stress(cases):
    stress = []
    for name in ("none/1C", "polyamide/1C", "pdms/1C"):
        table = history(cases[name])
        stress.append(np.interp(0.4, table["Throughput Q [1]"], table["Interface traction [Pa]"]))
    assert stress[0] > stress[1] > stress[2] > 0


def test_fields_open_in_meshio_with_a_jump_at_the_interface(cases):
    with meshio.xdmf.TimeSeriesReader(cases["none/1C"] / "fields.xdmf") as reader:
        points, cells = reader.read_points_cells()
        frames = [reader.read_data(index) for index in range(reader.num_steps)]
    assert 6 <= len(frames) <= 24
    summary = json.loads((cases["none/1C"] / "summary.json").read_text())
    kinds = [frame["what"] for frame in summary["details"]["frames"]]
    assert kinds[-1] == "end" and "onset" in kinds and "mark" in kinds
    _, data, tags = frames[-1]
    assert set(data) >= {"Li concentration [mol.m-3]", "Crack field d [1]", "Displacement x [m]", "Displacement y [m]"}
    assert set(np.unique(tags["Layer [1]"][0])) == {0, 2}
    at_interface = np.isclose(points[:, 1], 2.5e-6) & np.isclose(points[:, 0], 0)
    assert at_interface.sum() == 2
    for key, jump in (("Li concentration [mol.m-3]", 5e3), ("Mobile Li concentration [mol.m-3]", 2e4)):
        values = frames[0][1][key][at_interface]
        assert abs(values[0] - values[1]) > jump
    assert cells[0].data.max() == len(points) - 1


def test_a_finished_run_is_not_computed_again(cases, monkeypatch):
    where = cases["none/5C"]
    before = (where / "history.csv").read_bytes()
    monkeypatch.setattr(run_module, "run_protocol", lambda *_: pytest.fail("computed again"))
    assert run(where.parents[1], "none", 5) == where
    assert (where / "history.csv").read_bytes() == before


def test_an_interrupted_run_resumes_on_the_very_same_path(cases, tmp_path, monkeypatch):
    whole = history(cases["none/1C"])
    stop_after = len(whole) // 2
    real, seen = run_module.note_step, []

    def counted(*arguments):
        seen.append(1)
        if len(seen) == stop_after:
            raise KeyboardInterrupt  # as sudden as a kill: nothing is saved beyond the last checkpoint
        return real(*arguments)

    monkeypatch.setattr(run_module, "note_step", counted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "none", 1)
    monkeypatch.setattr(run_module, "note_step", real)
    again = history(run(tmp_path, "none", 1))
    assert len(again) == len(whole)
    assert np.abs(again[NUMERIC] - whole[NUMERIC]).max().max() == 0


def test_a_termination_signal_saves_and_says_how_to_go_on(tmp_path, monkeypatch):
    import os
    import signal

    real, seen = run_module.note_step, []

    def signalled(*arguments):
        seen.append(1)
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr(run_module, "note_step", signalled)
    with pytest.raises(ConvergenceError, match="run it again"):
        run(tmp_path, "none", 1)
    checkpoint = tmp_path / "none" / "1C" / "work" / "checkpoint.npz"
    with np.load(checkpoint, allow_pickle=False) as store:
        assert len(store["rows"]) == 3
    assert not (tmp_path / "none/1C/history.csv").exists()


def test_a_checkpoint_of_another_input_is_not_used(cases, tmp_path):
    parameters, _ = collect(tmp_path, "none")
    changed = json.loads(parameters.read_text())
    key = run_module._key(run_step(settings(COARSE), DEFAULT), "none", 1.0, parameters)
    changed["numbers"]["interface_toughness"]["value"] *= 2
    parameters.write_text(json.dumps(changed))
    assert run_module._key(run_step(settings(COARSE), DEFAULT), "none", 1.0, parameters) != key
    work = cases["none/1C"] / "work" / "checkpoint.npz"
    assert run_module.load(work, "another") is None
    damaged = tmp_path / "checkpoint.npz"
    damaged.write_bytes(work.read_bytes()[:1000])
    with pytest.raises(CardError, match="damaged"):
        run_module.load(damaged, "any")


def test_parameters_card_names_value_unit_label_and_source(cases):
    card = read_card(FemParametersCard, cases["polyamide/1C"].parent / "parameters.json")
    assert card.numbers["site_density"].value == pytest.approx(4.92e4, rel=2e-3)
    assert card.numbers["lithium_in_electrolyte"].value == pytest.approx(3.487e4, rel=1e-3)
    assert card.numbers["generation_rate"].value == pytest.approx(5.1e-4, rel=0.01)
    assert card.numbers["current_density_1c"].value == pytest.approx(3.30, abs=0.02)
    assert card.numbers["filler_kappa"].label == "computed" and "polyamide" in card.numbers["filler_kappa"].source
    assert card.numbers["toughness_cathode"].value == 1.0  # twice the surface energy
    assert card.numbers["interface_toughness"].label == "calibrated"
    assert all(number.unit and number.source for number in card.numbers.values())


def test_wrong_inputs_are_named(cases, tmp_path):
    parameters = cases["none/1C"].parent / "parameters.json"
    cards = write_cards(tmp_path)
    outputs = {key: tmp_path / key for key in ("output", "output_fields", "output_summary", "work")}
    common = {"parameters": parameters, "delithiation": cards["delithiation"], **outputs}
    step = run_step(settings(COARSE), DEFAULT)
    with pytest.raises(CardError, match="does not belong to the filler 'pdms'"):
        run_case(step, filler="pdms", c_rate=1.0, **common)
    with pytest.raises(SettingsError, match="above 0"):
        run_case(step, filler="none", c_rate=0.0, **common)
    table = pd.read_csv(cards["delithiation"])
    table.loc[3, "Equilibrium potential [V]"] = table.loc[2, "Equilibrium potential [V]"]
    table.to_csv(cards["delithiation"], index=False)
    with pytest.raises(CardError, match="strictly"):
        run_case(step, filler="none", c_rate=1.0, **common)
    with pytest.raises(CardError, match="holds 'pdms'"):
        step = parameters_step(settings(COARSE), DEFAULT)
        collect_parameters(
            step,
            filler="polyamide",
            **{name: cards[name] for name in CARDS},
            hyperelastic=[cards["pdms"]],
            adhesion=[],
            toughness=[],
            output=tmp_path / "p.json",
        )


@pytest.mark.parametrize("overlay", [{"fracture": {"band_split": "miehe", "bulk": "miehe"}}, {"fracture": {"gate": "paper"}}])
def test_the_choices_of_the_si_run(overlay, tmp_path):
    overlay = overlay | {"time": {"largest_throughput [1]": 0.3}}
    summary = read_card(FemSummaryCard, run(tmp_path, "none", 1, overlay) / "summary.json")
    assert summary.end_throughput > 0.05
    assert summary.li_imbalance <= 1e-10
    assert not summary.end_reason.startswith("stopped")


def test_the_work_of_adhesion_can_be_the_toughness(tmp_path):
    cards = write_cards(tmp_path / "cards")
    face = {
        "Work of adhesion [J.m-2]": 0.46, "Rigid work of separation [J.m-2]": 0.7, "Rigid work of separation, standard error [J.m-2]": 0.02,
        "Rigid strength [Pa]": 4e9, "Rigid strength, standard error [Pa]": 1e8, "Steepest slope between two points [Pa]": 4e9,
        "Decay length [m]": 6e-11,
        "Root mean square misfit of the curve [J.m-2]": 0.01, "Separation [m], energy [J.m-2]": [[0, -0.7], [6e-10, 0]], "registries": 6,
        "Energy range of the registries [J.m-2]": 0.1, "Forbidden bonds": {"P-O": 0}, "Centres that lost or won a bond": {},
        "Largest residual force [eV.angstrom-1]": 0.05,
    }  # fmt: skip
    card = AdhesionCard.model_validate(
        {
            "engine": "literature", "quality": "indicative", "cathode": "ncm811", "electrolyte": "lgps", "Area [m2]": 1e-18,
            "Atoms [1]": 228,
            "Principal strains of the electrolyte [1]": [-0.059, 0.068], "cathode_formula": "x", "electrolyte_formula": "y",
            "Surface cells of the cathode [1]": 8, "Surface cells of the electrolyte [1]": 1,
            "faces": {"lower": face, "upper": face | {"Work of adhesion [J.m-2]": 0.31}},
        }
    )  # fmt: skip
    write_card(tmp_path / "interface.json", card)
    chosen = {name: cards[name] for name in CARDS}
    step = parameters_step(settings(COARSE, {"toughness": "computed"}), DEFAULT)
    output = tmp_path / "p.json"
    collect_parameters(step, filler="none", **chosen, hyperelastic=[], adhesion=[tmp_path / "interface.json"], toughness=[], output=output)
    found = read_card(FemParametersCard, output).numbers["interface_toughness"]
    assert found.value == 0.31 and found.label == "computed"  # the weaker face
    assert "indicative" in found.source and "+6.8 % strain" in found.source
