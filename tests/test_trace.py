"""From a result back to the input files; and what no longer fits its record is named, no more and no less."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ecmpipe.cli import main
from ecmpipe.provenance import hash_files, provenance_path, read_record, write_provenance
from ecmpipe.settings.fem import CalibrateStep, FileGeometry, RunStep

CRYSTAL, RUN, CARD = "inputs/crystal.yaml", "results/dft/runs/bulk.json", "results/dft/crystal.json"
HISTORY, FIELDS, HEAVY = (f"results/fem/1C/{name}" for name in ("history.csv", "fields.xdmf", "fields.h5"))
SUMMARY = "results/report/summary.json"


def make(command: str, inputs: list[str], outputs: list[str], **facts: object) -> None:
    """A step of that name: each output holds its own name."""
    read = hash_files(map(Path, inputs))
    for name in outputs:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    write_provenance(command, None, read, list(map(Path, outputs)), dict(facts), time.time(), Path("results/dft/work"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small finished run: one crystal, its run, its card, a case with three files, a summary of card and case."""
    monkeypatch.chdir(tmp_path)
    Path("inputs").mkdir()
    Path(CRYSTAL).write_text("Li")
    make("dft-run", [CRYSTAL], [RUN], engine="CHGNet 0.3.0")
    make("dft-crystal", [RUN], [CARD], engine="CHGNet 0.3.0")
    make("fem-run", [CARD], [HISTORY, FIELDS, HEAVY], engine="ecmpipe.fem")
    make("report-summary", [CARD, HISTORY, FIELDS, HEAVY], [SUMMARY], engine="none")
    for name in ("results/logs/dft/a.log", "results/benchmarks/a.tsv", "results/dft/work/bulk/OUTCAR", "results/md/pull.work/restart.a"):
        Path(name).parent.mkdir(parents=True)
        Path(name).write_text("no result")
    Path("results/dft/.lock").touch()
    return tmp_path


Output = pytest.CaptureFixture[str]


def traced(capsys: Output, *arguments: str) -> list[str]:
    assert main(["trace", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def problems(capsys: Output, *arguments: str) -> set[str]:
    """The lines of verify-results that name something, without the remedy."""
    code = main(["verify-results", *arguments])
    lines = capsys.readouterr().out.splitlines()
    assert code == (1 if len(lines) > 1 else 0)
    return set(lines[:-3])


@pytest.mark.usefixtures("project")
def test_the_chain_leads_from_the_summary_to_the_crystal(capsys: Output) -> None:
    lines = traced(capsys, SUMMARY)
    names = [(len(line) - len(line.lstrip())) // 2 * "-" + line.split()[0] for line in lines[:9]]
    assert names == [
        SUMMARY,
        f"-{CARD}",
        f"--{RUN}",
        f"---{CRYSTAL}",
        f"-{HISTORY}",
        f"--{CARD}",
        f"-{FIELDS}",
        f"-{HEAVY}",
        "7",
    ]
    record = read_record(Path(RUN))
    for part in (record.sha256[:12], "dft-run; CHGNet 0.3.0; ", record.began[:10], f"s on {record.host}", "in results/dft/work"):
        assert part in lines[2]
    assert "input of the project" in lines[3] and lines[5].endswith("see above")
    assert f"ecmpipe.fem, ecmpipe {record.ecmpipe}" in lines[4]
    assert all(line.endswith(f"made together with {HISTORY}, see above") for line in lines[6:8])
    assert lines[8] == "7 files, all as recorded" and f"numpy {record.packages['numpy']}" in lines[9]


@pytest.mark.usefixtures("project")
def test_a_chain_can_be_traced_from_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Output) -> None:
    here = traced(capsys, SUMMARY)
    monkeypatch.chdir("/")
    assert traced(capsys, str(tmp_path / SUMMARY)) == here
    assert traced(capsys, str(provenance_path(tmp_path / SUMMARY))) == here


@pytest.mark.usefixtures("project")
def test_settings_are_printed_on_request(capsys: Output) -> None:
    record = json.loads(provenance_path(Path(RUN)).read_text())
    provenance_path(Path(RUN)).write_text(json.dumps(record | {"step": {"version": 3}}))
    assert '  settings: {"version": 3}' in traced(capsys, RUN, "--settings")
    assert not any("settings:" in line for line in traced(capsys, RUN)[:-1])


DAMAGE: dict[str, tuple[Callable[[], object], str, str, set[str]]] = {
    "edited result": (
        lambda: Path(CARD).write_text("x"),
        CARD,
        "[changed]",
        {
            f"{CARD}: changed after dft-crystal wrote it",
            *(f"{name}: fem-run read another {CARD}" for name in (HISTORY, FIELDS, HEAVY)),
            f"{SUMMARY}: report-summary read another {CARD}",
        },
    ),
    "edited input": (lambda: Path(CRYSTAL).write_text("Na"), CRYSTAL, "[changed]", {f"{RUN}: dft-run read another {CRYSTAL}"}),
    "input gone": (lambda: Path(CRYSTAL).unlink(), CRYSTAL, "[missing]", {f"{RUN}: dft-run read {CRYSTAL}: missing now"}),
    "result gone": (
        lambda: Path(HEAVY).unlink(),
        HEAVY,
        "[missing]",
        {f"{HEAVY}: missing, its record is there", f"{SUMMARY}: report-summary read {HEAVY}: missing now"},
    ),
    "record gone": (lambda: provenance_path(Path(RUN)).unlink(), RUN, "[no record]", {f"{RUN}: no record beside it"}),
    "made again": (
        lambda: (Path(CRYSTAL).write_text("Li2"), make("dft-run", [CRYSTAL], [RUN]), edit(RUN, "y")),
        RUN,
        "[changed: made again since it was read]",
        {f"{CARD}: dft-crystal read another {RUN}"},
    ),
    "edited, then read": (
        lambda: (Path(HEAVY).write_text("x"), make("report-summary", [CARD, HISTORY, FIELDS, HEAVY], [SUMMARY])),
        HEAVY,
        "[changed after it was made, before it was read]",
        {f"{HEAVY}: changed after fem-run wrote it"},
    ),
}


def edit(name: str, text: str) -> None:
    """Another result of the same step, with its record."""
    Path(name).write_text(text)
    write_provenance("dft-run", None, read_record(Path(name)).inputs, [Path(name)], {}, time.time())


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("name", DAMAGE)
def test_what_no_longer_fits_is_named_and_nothing_else(name: str, capsys: Output) -> None:
    damage, where, flag, expected = DAMAGE[name]
    assert problems(capsys) == set()
    damage()
    assert problems(capsys) == expected
    lines = traced(capsys, SUMMARY)
    flagged = [line for line in lines if line.endswith("]")]
    assert flagged and all(line.split()[0] == where and line.endswith(flag) for line in flagged)
    assert any(line.endswith(" files, 1 no longer as recorded") for line in lines)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("text", ["{", "[]", '{"result": "results/dft/crystal.json"}', "\udcff"])
def test_a_damaged_record_is_one_line(text: str, capsys: Output) -> None:
    provenance_path(Path(CARD)).write_bytes(text.encode(errors="surrogateescape"))
    (line,) = problems(capsys)
    assert line.startswith(f"{CARD}: its record is no use, ") and "rerun the step" in line
    assert "[damaged record]" in traced(capsys, SUMMARY)[1]
    assert main(["trace", CARD]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1


@pytest.mark.usefixtures("project")
def test_a_record_cannot_steer_the_terminal(capsys: Output) -> None:
    record = json.loads(provenance_path(Path(CARD)).read_text())
    odd = {"command": "\x1b[2J", "inputs": {"": "0", "a\nb\udcff": "0"}}
    provenance_path(Path(CARD)).write_text(json.dumps(record | odd))
    (line,) = problems(capsys)
    assert line.startswith(f"{CARD}: \\x1b[2J read ") and line.endswith(", a\\nb\\udcff: missing now")
    assert "\\x1b[2J" in traced(capsys, CARD)[0]


@pytest.mark.usefixtures("project")
def test_a_copied_result_is_not_taken_for_its_own(capsys: Output) -> None:
    shutil.copytree("results/fem/1C", "results/fem/2C")
    found = problems(capsys)
    assert len(found) == 3 and all("results/fem/2C/" in line and "is the record of results/fem/1C/" in line for line in found)
    assert main(["trace", "results/fem/2C/history.csv"]) == 1


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("name", ["nowhere.json", "results", CRYSTAL, "results/logs/dft/a.log", "/", ".provenance.json"])
def test_a_file_that_has_no_chain_is_one_line(name: str, capsys: Output) -> None:
    assert main(["trace", name]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and "results/report/summary.json" in error


def test_verify_results_counts_and_writes_nothing(project: Path, capsys: Output, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*")}
    assert main(["verify-results"]) == 0
    assert capsys.readouterr().out == "6 results and 1 input files of the project are as recorded\n"
    assert {path: path.stat().st_mtime_ns for path in project.rglob("*")} == before
    assert problems(capsys, "--results", "results/fem") == set()
    assert main(["verify-results", "--results", str(tmp_path / "nowhere")]) == 1
    assert "holds no results" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_records_name_paths_from_the_root_and_a_mesh_of_ones_own(tmp_path: Path) -> None:
    assert list(hash_files([tmp_path / CRYSTAL, Path("inputs/../inputs/crystal.yaml")])) == [CRYSTAL]
    assert provenance_path(Path(RUN)).read_text().count(str(tmp_path)) == 0
    geometry = FileGeometry.model_construct(file="my.msh")
    run = RunStep.model_construct(geometry=geometry)
    assert run.files() == CalibrateStep.model_construct(run=run).files() == ["my.msh"]
