"""A case that is killed outright in its own process, and taken up again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from ecmpipe.settings.fem import DEFAULT, run_step
from tests.fem.helpers import COARSE, settings
from tests.fem.test_run import NUMERIC, collect


def command(folder: Path, name: str) -> list[str]:
    parameters, delithiation = collect(folder, "none")
    where = folder / name
    options = {
        "step": run_step(settings(COARSE), DEFAULT).canonical(),
        "filler": "none",
        "c-rate": 1,
        "parameters": parameters,
        "delithiation": delithiation,
        "output": where / "history.csv",
        "output-fields": where / "fields.xdmf",
        "output-summary": where / "summary.json",
        "work": where / "work",
    }
    return [sys.executable, "-m", "ecmpipe", "fem-run", *(str(word) for key, value in options.items() for word in (f"--{key}", value))]


def test_a_killed_run_ends_as_the_whole_one(tmp_path: Path) -> None:
    subprocess.run(command(tmp_path, "whole"), check=True, capture_output=True)
    whole = pd.read_csv(tmp_path / "whole/history.csv")
    half = 10 * max(1, len(whole) // 20)  # a progress line stands at every tenth step
    words = command(tmp_path, "killed")
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if f"step {half}," in line:
                process.kill()
                break
    assert process.returncode == -9 and not (tmp_path / "killed/history.csv").exists()
    subprocess.run(words, check=True, capture_output=True)
    again = pd.read_csv(tmp_path / "killed/history.csv")
    assert len(again) == len(whole)
    assert np.abs(again[NUMERIC] - whole[NUMERIC]).max().max() <= 1e-12


def test_a_run_ends_before_its_job_and_is_taken_up(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ECMPIPE_IN_JOB", "1")
    words = command(tmp_path, "short")
    ended = subprocess.run([*words, "--runtime", "0.51"], capture_output=True, text=True)  # 30.6 s, of which 30 are for the end
    assert ended.returncode == 1 and "before the 0.51 minutes of its job end" in ended.stderr and "Traceback" not in ended.stderr
    subprocess.run([*words, "--runtime", "60"], check=True, capture_output=True)
    assert (tmp_path / "short/history.csv").is_file()
