"""What a machine does to a run without a scheduler: full and read-only disks, a second Snakemake, clocks that disagree."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ecmpipe import cards
from ecmpipe.cli import main
from tests.fem.fixtures import write_cards
from tests.workflow.plans import plan


@pytest.mark.parametrize(
    "problem",
    [
        OSError(errno.ENOSPC, "No space left on device", "results/a.json"),
        OSError(errno.EROFS, "Read-only file system", "results/a.json"),
        PermissionError(errno.EACCES, "Permission denied", "results/a.json"),
    ],
    ids=["full", "read-only file system", "not ours"],
)
def test_a_disk_that_takes_nothing_is_one_line_and_leaves_nothing_half_written(problem, tmp_path: Path, monkeypatch, capsys) -> None:
    from ecmpipe.settings.hyperelastic import FitStep
    from tests.hyperelastic.samples import cell_file, pulled, run_files, step, stressed

    stretches = pulled(1.1, 60, 3)
    runs = run_files(tmp_path, stretches, stressed(stretches, noise=1e6))
    chosen: FitStep = step()

    def refuse(*_: object) -> None:
        raise problem

    monkeypatch.setattr(cards.os, "replace", refuse)
    outputs = {"output": tmp_path / "out/pdms.json", "output-curve": tmp_path / "out/pdms_curve.csv"}
    words = [
        "hyperelastic-fit",
        "--step",
        chosen.canonical(),
        "--polymer",
        "pdms",
        "--cells",
        str(cell_file_of(cell_file, tmp_path, monkeypatch)),
    ]
    words += ["--runs", *map(str, runs), *(str(word) for key, value in outputs.items() for word in (f"--{key}", value))]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith("error: results/a.json: ") and problem.strerror in said and "disk" in said
    assert not list((tmp_path / "out").glob("*"))


def cell_file_of(make, folder: Path, monkeypatch) -> Path:
    """A card that is written before the disk fills up."""
    with monkeypatch.context() as patch:
        patch.setattr(cards.os, "replace", os.rename)
        return make(folder)


def test_a_result_folder_that_is_a_file_is_named(tmp_path: Path, capsys) -> None:
    (tmp_path / "results").write_text("not a folder")
    paths = write_cards(tmp_path / "cards")
    from ecmpipe.settings.fem import DEFAULT, parameters_step
    from tests.fem.helpers import settings

    words = [
        "fem-parameters",
        "--step",
        parameters_step(settings(), DEFAULT).canonical(),
        "--filler",
        "none",
        "--hyperelastic",
        "--adhesion",
    ]
    words += ["--toughness", "--output", str(tmp_path / "results/fem/parameters.json")]
    for name in ("cathode_crystal", "cathode_elastic", "electrolyte_crystal", "electrolyte_elastic", "surfaces"):
        words += [f"--{name.replace('_', '-')}", str(paths[name])]
    assert main(words) == 1
    assert str(tmp_path / "results") in capsys.readouterr().err


def test_a_second_snakemake_in_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text('rule all:\n    output: "done"\n    shell: "touch started; sleep 30; touch {output}"\n')
    command = [str(Path(sys.executable).with_name("snakemake")), "--cores", "1"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as first:
        end = time.monotonic() + 60
        while not (tmp_path / "started").exists() and time.monotonic() < end:
            time.sleep(0.2)
        second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        os.killpg(first.pid, 9)
    assert second.returncode != 0 and "lock" in (second.stdout + second.stderr).lower()


@pytest.mark.parametrize("when", [time.time() + 86_400, 1e9], ids=["tomorrow", "2001"])
def test_a_clock_that_is_wrong_plans_nothing(when: float, finished_run: tuple[Path, dict[str, str]]) -> None:
    """Files of less than a megabyte are known by their content."""
    folder, env = finished_run
    path = folder / "results/dft/lgps/crystal.json"
    kept = path.stat()
    os.utime(path, (when, when))
    found = plan(folder, env)
    os.utime(path, (kept.st_atime, kept.st_mtime))
    assert found == set()
