"""The command line: errors meant for the user are bare lines, and every command's function exists and is typed."""

from __future__ import annotations

import importlib
import inspect
import json
import typing
from pathlib import Path
from types import SimpleNamespace

import pytest

from ecmpipe.cli import COMMANDS, main
from ecmpipe.provenance import hash_file
from ecmpipe.settings import fem, read_settings
from ecmpipe.settings.base import Step


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_a_typed_function(command: str) -> None:
    module, name = COMMANDS[command].split(":")
    function = getattr(importlib.import_module(module), name)
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters
    assert set(parameters) <= set(hints) and inspect.getdoc(function)
    if "step" in parameters:
        assert issubclass(hints["step"], Step)


def test_a_step_that_is_not_json_is_a_settings_error(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["report-page", "--step", "{", "--summary", "x", "--figures", "x", "--parameters", "x", "--output", "x"]
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: step: not valid JSON")


def test_a_missing_input_is_one_line_and_exit_code_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step = json.dumps({"version": 1, "settings": {"dots_per_inch": 100}, "printed": printed()})
    arguments = ["report-figures", "--step", step, "--cases", str(tmp_path / "default/none/1C/history.csv"), "--curves", "--fits"]
    assert main([*arguments, "--delithiation", "x.csv", "--output", str(tmp_path / "overview.png")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "overview.png").exists()


def printed() -> dict:
    number = {"value": 1.0, "unit": "s", "label": "printed", "source": "test"}
    times = dict.fromkeys(("intact_time_1c", "crack_time_1c", "crack_time_5c", "crack_time_10c"), number)
    return times | dict.fromkeys(("density_polyamide", "density_pdms"), number | {"unit": "kg.m-3"})


def test_an_input_that_changes_under_its_step_fails_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    source, output = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_text("before")

    def step(*, source: Path, output: Path) -> None:
        output.write_text(source.read_text())
        source.write_text("after")

    monkeypatch.setattr("ecmpipe.cli.importlib.import_module", lambda name: SimpleNamespace(step=step))
    monkeypatch.setitem(COMMANDS, "check", "here:step")
    assert main(["check", "--source", str(source), "--output", str(output)]) == 1
    assert "in.txt: changed while this step worked" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.provenance.json"))


def test_provenance_tells_settings_inputs_and_result(finished_run: tuple[Path, dict[str, str]]) -> None:
    folder, _ = finished_run
    result = folder / "results/fem/default/none/parameters.json"
    record = json.loads(result.with_name(result.name + ".provenance.json").read_text())
    assert record["sha256"] == hash_file(result)
    assert record["inputs"]["results/dft/lgps/elastic.json"] == hash_file(folder / "results/dft/lgps/elastic.json")
    settings = read_settings([folder / "inputs" / name for name in ("parameters.yaml", "default.yaml", "test.yaml")])
    assert record["step"] == json.loads(fem.parameters_step(settings, fem.DEFAULT).canonical())
