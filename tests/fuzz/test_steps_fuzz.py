"""Damaged steps on the command line and damaged hand-over files: a wrong step ends with 2, a wrong card with 1, both with whole lines."""

from __future__ import annotations

import importlib
import inspect
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import ecmpipe.cli
import ecmpipe.fem.run
from ecmpipe.check import BASE
from ecmpipe.errors import CardError, ConvergenceError
from ecmpipe.fem.parameters import collect_parameters
from ecmpipe.provenance import Record, provenance_path, read_record, write_provenance
from ecmpipe.settings import dft, dft_runs, fem, hyperelastic, md, read_settings, report
from tests.fem.fixtures import write_cards
from tests.fem.helpers import settings as fem_settings
from tests.fuzz import tools
from tests.hyperelastic import samples


def steps() -> dict[str, Any]:
    """Command -> the step that the default settings give it."""
    settings = read_settings(BASE)
    return {
        "dft-structures": dft.structures_step(settings, "lgps"),
        "dft-slabs": dft.slabs_step(settings, "lgps"),
        "dft-interface": dft.interface_step(settings),
        "dft-inputs": dft_runs.inputs_step(settings, "lgps", "bulk"),
        "dft-run": dft_runs.run_step(settings, "lgps", "relaxation"),
        "dft-delithiation": dft.delithiation_step(settings, "ncm811"),
        "dft-crystal": dft.crystal_step(settings, "lgps"),
        "dft-elastic": dft.elastic_step(settings, "lgps"),
        "dft-surfaces": dft.surfaces_step(settings),
        "dft-adhesion": dft.adhesion_step(settings),
        "md-build": md.build_step(settings, "pdms"),
        "md-equilibrate": md.equilibrate_step(settings, "pdms"),
        "md-tensile": md.tensile_step(settings, "pdms"),
        "hyperelastic-fit": hyperelastic.fit_step(settings, "pdms"),
        "fem-parameters": fem.parameters_step(settings, "default"),
        "fem-calibrate": fem.calibrate_step(settings),
        "fem-run": fem.run_step(settings, "default"),
        "report-figures": report.figures_step(settings),
        "report-summary": report.summary_step(settings),
        "report-page": report.summary_step(settings),
    }


def options(command: str, folder: Path) -> list[str]:
    """Every option that a command needs: names of files that are not there."""
    module, name = ecmpipe.cli.COMMANDS[command].split(":")
    function = getattr(importlib.import_module(module), name)
    words = {"int": "1", "float": "1", "str": "pdms"}
    given: list[str] = []
    for key, parameter in inspect.signature(function).parameters.items():
        if key != "step" and parameter.default is inspect.Parameter.empty:
            given += [f"--{key.replace('_', '-')}", words.get(str(parameter.annotation), str(folder / "absent" / f"{key}.json"))]
    return given


def test_steps(tmp_path: Path) -> None:
    known = steps()
    data = {command: json.loads(step.canonical()) for command, step in known.items()}
    where = {command: options(command, tmp_path) for command in known}

    def draw(seed: int) -> tuple[str, str]:
        rng = random.Random(seed)
        command = rng.choice(sorted(data))
        found = tools.places(data[command])
        changed = tools.damaged(data[command], [(rng.choice(found), rng.randrange(len(tools.CHANGES))) for _ in range(2)])
        text = json.dumps(changed, default=str, skipkeys=True)
        if rng.random() < 0.2:
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice(["", "}", "NaN", "1e999", '"', "\\ud800"]) + text[at + rng.randrange(3) :]
        return command, text

    def check(item: tuple[str, str]) -> None:
        command, text = item
        code, lines = tools.call([command, f"--step={text}", *where[command]])
        lines = [line for line in lines if line.startswith("error: ")] if code == 1 else lines  # a step that is sound says what it does
        tools.refused(
            code, lines, re.compile(rf"{re.escape(command)}|step: |{re.escape(str(tmp_path))}|axis|c-rate|results|no |pdms"), (1, 2)
        )

    tools.fuzz(st.integers(0, 2**64 - 1).map(draw), check, 160)
    assert not list(tmp_path.iterdir())


def damaged_card(text: str) -> st.SearchStrategy[bytes]:
    """A JSON file with damaged keys, or with damaged bytes."""
    keys = tools.edits(json.loads(text)).map(
        lambda chosen: json.dumps(tools.damaged(json.loads(text), chosen), default=str, skipkeys=True).encode()
    )
    deep = st.sampled_from([b"[" * 5000, b"9" * 5000, b"NaN", b"null", b"[]", b"1e999", b'{"a": ' * 3000])
    return st.one_of(keys, keys, tools.damaged_bytes(text.encode()), deep)


def refuses_cards(path: Path, arguments: list[str], folder: Path) -> Callable[[bytes], None]:
    """Runs a command with another content of the card ``path``: it is sound, or one error that names a file below ``folder``."""

    def check(content: bytes) -> None:
        path.write_bytes(content)
        code, lines = tools.call(arguments)
        if code != 0:
            tools.refused(code, lines, re.compile(re.escape(str(folder))), (1,))

    return check


CARDS = ("cathode_crystal", "cathode_elastic", "electrolyte_crystal", "electrolyte_elastic", "surfaces", "hyperelastic")


@pytest.mark.parametrize("key", CARDS)
def test_cards_of_the_finite_elements(key: str, tmp_path: Path) -> None:
    cards = write_cards(tmp_path)
    files = {name: cards["pdms" if name == "hyperelastic" else name] for name in CARDS}
    arguments = ["fem-parameters", "--step", fem.parameters_step(fem_settings(), "default").canonical(), "--filler", "pdms"]
    arguments += [word for name, path in files.items() for word in (f"--{name.replace('_', '-')}", str(path))]
    arguments += ["--adhesion", "--toughness", "--output", str(tmp_path / "parameters.json")]
    check = refuses_cards(files[key], arguments, tmp_path)
    whole = files[key].read_text(encoding="utf-8")
    check(whole.encode())
    assert (tmp_path / "parameters.json").is_file()
    tools.fuzz(damaged_card(whole), check, 20)


@pytest.mark.parametrize("file", ["delithiation.csv", "parameters.json"])
def test_cards_of_a_case(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards, settings = write_cards(tmp_path), fem_settings()
    target = tmp_path / "parameters.json"
    fixed = {name: cards[name] for name in CARDS[:-1]} | {"hyperelastic": [], "adhesion": [], "toughness": []}
    collect_parameters(fem.parameters_step(settings, "default"), filler="none", **fixed, output=target)

    def stop(model: Any) -> Any:
        raise ConvergenceError(f"{tmp_path}: would be solved")

    monkeypatch.setattr(ecmpipe.fem.run.Model, "start", stop)
    arguments = ["fem-run", "--step", fem.run_step(settings, "default").canonical(), "--filler", "none", "--c-rate", "1"]
    arguments += ["--parameters", str(target), "--delithiation", str(cards["delithiation"]), "--work", str(tmp_path / "work")]
    arguments += [f"--{key}={tmp_path / 'made' / key}" for key in ("output", "output-fields", "output-summary")]
    path = cards["delithiation"] if file.endswith("csv") else target
    text = path.read_text(encoding="utf-8")
    contents = tools.damaged_bytes(text.encode()) if file.endswith("csv") else damaged_card(text)
    tools.fuzz(contents, refuses_cards(path, arguments, tmp_path), 30)


def test_a_parameters_file_without_a_number(tmp_path: Path) -> None:
    cards, path = write_cards(tmp_path), tmp_path / "parameters.json"
    path.write_text('{"numbers": {}}', encoding="utf-8")
    arguments = ["fem-run", "--step", fem.run_step(fem_settings(), "default").canonical(), "--filler", "none", "--c-rate", "1"]
    arguments += ["--parameters", str(path), "--delithiation", str(cards["delithiation"]), "--work", str(tmp_path / "work")]
    code, lines = tools.call(arguments + [f"--{key}={tmp_path / 'made' / key}" for key in ("output", "output-fields", "output-summary")])
    tools.refused(code, lines, re.compile(re.escape(str(path))), (1,))


@pytest.mark.parametrize("file", ["cell", "run"])
def test_cards_of_a_polymer(file: str, tmp_path: Path) -> None:
    stretches = samples.pulled(1.1, 60, 3)
    runs = samples.run_files(tmp_path, stretches, samples.stressed(stretches, noise=1e6))
    cell = samples.cell_file(tmp_path)
    arguments = ["hyperelastic-fit", "--step", samples.step().canonical(), "--polymer", "pdms", "--cells", str(cell)]
    arguments += [
        "--runs",
        *map(str, runs),
        "--output",
        str(tmp_path / "made/card.json"),
        "--output-curve",
        str(tmp_path / "made/curve.csv"),
    ]
    path = cell if file == "cell" else runs[1]
    text = path.read_text(encoding="utf-8")
    tools.fuzz(damaged_card(text) if file == "cell" else tools.damaged_bytes(text.encode()), refuses_cards(path, arguments, tmp_path), 25)


def test_records(tmp_path: Path) -> None:
    result = tmp_path / "card.json"
    result.write_text("{}")
    write_provenance("fem-run", None, {"a": "b"}, [result], {"engine": "none"}, 0.0)
    path = provenance_path(result)

    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            with tools.in_time():
                assert isinstance(read_record(result), Record)
        except CardError as error:
            assert str(error).startswith(f"{path}: ") and error.exit_code == 1 and "\n" not in str(error)

    tools.fuzz(damaged_card(path.read_text(encoding="utf-8")), check, 40)
