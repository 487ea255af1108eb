"""The whole mock chain through the real executor, and three edits after it; results equal those of the local run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT, copy_project
from tests.slurm.conftest import finish, start, until

SMALL = ["--jobs", "4", "--set-resources", "dft_run:mem_mb=2000", "dft_run:runtime=60", "--configfile", "inputs/test.yaml"]


def digests(folder: Path) -> dict[str, str]:
    """A hash of every JSON and CSV result, without what a clock put there."""
    found = {}
    for path in sorted((folder / "results").rglob("*")):
        inside = path.relative_to(folder / "results")
        if path.suffix not in (".json", ".csv") or ".provenance" in path.name or any(part.endswith("work") for part in inside.parts):
            continue
        if inside.parts[0] in ("benchmarks", "logs", "report"):
            continue
        if path.suffix == ".csv":
            table = pd.read_csv(path)
            text = table.drop(columns=[name for name in table.columns if name == "CPU time [s]"]).to_csv()
        else:
            text = json.dumps(without_times(json.loads(path.read_text())), sort_keys=True)
        found[str(inside)] = hashlib.sha256(text.encode()).hexdigest()
    return found


def without_times(value):
    """``value`` without keys that name a cost."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in ("CPU time [s]", "cpu [s]", "wall [s]")}
    return [without_times(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def cluster_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], str]:
    folder = copy_project(tmp_path_factory.mktemp("cluster"))
    sys.path.insert(0, str(ROOT / "tests" / "mock"))
    from potentials import mock_environment

    env = mock_environment(folder / "potentials", dict(os.environ))
    code, said = finish(start(folder, *SMALL, env=env), folder, 1500)
    assert code == 0, said[-6000:]
    return folder, env, said


def test_the_chain_on_the_cluster_gives_what_it_gives_locally(cluster_run, finished_run) -> None:
    here, there = digests(cluster_run[0]), digests(finished_run[0])
    assert set(here) == set(there)
    assert {name for name in here if here[name] != there[name]} == set()


EDITS = {
    "fem: {cases [h-1]: {default: {none: [1, 5, 10]}}}": {"fem_run"},
    "fem: {fracture: {onset [1]: 0.9}}": {"fem_run"},
    "md: {polymers: {polyamide: {largest_strain [1]: 0.12, points: 80}}}": {"md_tensile", "hyperelastic_fit"},  # it has no cell here
}


def test_an_edit_reruns_on_the_cluster_what_it_touches(cluster_run) -> None:
    folder, env, _ = cluster_run
    edits = []  # one upon the other: without an earlier one its results would go back to what they were, and run again
    for number, (text, rules) in enumerate(EDITS.items()):
        overlay = folder / f"edit{number}.yaml"
        edits.append(overlay.name)
        overlay.write_text(re.sub(r"([a-z_0-9]+ \[[^\]]+\])", r"'\1'", text))
        began = time.time()
        code, said = finish(start(folder, *SMALL, *edits, env=env), folder, 900)
        assert code == 0, said[-3000:]
        rerun = {path.parent.name for path in (folder / "results/benchmarks").rglob("*.tsv") if path.stat().st_mtime > began}
        assert rerun == rules | {"report_figures", "report_summary", "report_page"}, text


def test_an_edit_in_mid_run_reaches_no_job(cluster_run) -> None:
    """Jobs wait while both nodes are drained; the settings change under them; what they compute is what was asked for."""
    folder, env, _ = cluster_run
    target = "results/fem/default/none/2C/summary.json"
    overlay = folder / "edit.yaml"
    overlay.write_text("fem: {'cases [h-1]': {default: {none: [2]}}}")
    subprocess.run(["scontrol", "update", "nodename=n[1-2]", "state=drain", "reason=test"], check=True)
    process = start(folder, *SMALL, "edit.yaml", "--", target, env=env)
    until(lambda: subprocess.run(["squeue", "-h", "-t", "PD"], capture_output=True, text=True).stdout.strip())
    parameters = folder / "inputs/parameters.yaml"
    kept = parameters.read_text()
    parameters.write_text(kept.replace("viscous_time: {value: 30.0", "viscous_time: {value: 90.0"))
    overlay.write_text("fem: {'cases [h-1]': {default: {none: [2]}}, fracture: {'onset [1]': 0.8}}")
    subprocess.run(["scontrol", "update", "nodename=n[1-2]", "state=resume"], check=True)
    code, said = finish(process, folder, 300)
    parameters.write_text(kept)
    assert code == 0, said[-3000:]
    details = json.loads((folder / target).read_text())["details"]
    assert details["viscous time [s]"] == pytest.approx(15.0)  # 30 s at 1C, not 90
    record = json.loads((folder / f"{target}.provenance.json").read_text())
    assert record["step"]["fracture"]["onset [1]"] == 0.95


def test_a_run_that_is_longer_than_its_job_goes_on_in_the_next_attempt(cluster_run) -> None:
    """A fine cell in a job of one minute: it ends itself after half of it, checkpointed, and the next attempts finish it."""
    folder, env, _ = cluster_run
    overlay = folder / "edit.yaml"
    fine = "geometry: {'width [m]': 4.0e-6, 'elements_per_length_scale [1]': 3}"
    overlay.write_text(f"fem: {{'cases [h-1]': {{default: {{none: [3]}}}}, {fine}}}")
    target = "results/fem/default/none/3C/history.csv"
    options = ["--retries", "9", "--set-resources", "fem_run:runtime=1"]
    code, said = finish(start(folder, *SMALL, "edit.yaml", *options, "--", target, env=env), folder, 900)
    assert code == 0, said[-3000:]
    assert "minutes of its job end" in said
    shutil.rmtree(folder / "results/fem/default/none/3C")
