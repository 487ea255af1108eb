"""A real Slurm of two nodes on this machine, brought up by `make slurm-test`; without it these tests are skipped with the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
# the profile polls gently; on two loopback nodes there is nobody to spare
QUICK = [
    "--slurm-init-seconds-before-status-checks",
    "2",
    "--seconds-between-status-checks",
    "3",
    "--latency-wait",
    "5",
    "--default-resources",
    "slurm_partition=main",
    "mem_mb=800",
    "runtime=10",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the cluster where there is none."""
    reason = None
    if os.environ.get("ECMPIPE_SLURM") != "1":
        reason = "needs the test cluster: make slurm-test brings it up (as root, Debian packages)"
    elif not shutil.which("sbatch") or subprocess.run(["sinfo"], capture_output=True).returncode:
        reason = "Slurm does not answer: see tests/slurm/up.sh"
    for item in items:
        if "tests/slurm/" in str(item.path) and reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def start(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Snakemake on the cluster, in the background; its output goes to ``snakemake.out``."""
    command = [SNAKEMAKE, "--profile", "slurm", *QUICK, *arguments]
    with open(folder / "snakemake.out", "w") as out:
        return subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen[str], folder: Path, seconds: float = 600) -> tuple[int, str]:
    """Its exit code and what it said; a run that hangs is a failure."""
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"Snakemake hung: {(folder / 'snakemake.out').read_text()[-3000:]}")
    return code, (folder / "snakemake.out").read_text()


def jobs(state: str = "") -> list[str]:
    """Ids of jobs in the queue."""
    chosen = ["-t", state] if state else []
    return subprocess.run(["squeue", "-h", "-o", "%i", *chosen], capture_output=True, text=True).stdout.split()


def until(what: Callable[[], object], seconds: float = 90) -> object:
    """Wait for something true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.5)
    pytest.fail(f"waited {seconds} s in vain; queue: {subprocess.run(['squeue'], capture_output=True, text=True).stdout}")


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[[str], Path]:
    """A folder with a workflow of few rules under the project's own Slurm profile."""

    def make(rule: str) -> Path:
        root = Path(__file__).resolve().parents[2]
        (tmp_path / "Snakefile").write_text(f'include: "{root}/workflow/rules/slurm.smk"\n{textwrap.dedent(rule)}')
        shutil.copytree(root / "profiles", tmp_path / "profiles")
        (tmp_path / "slurm").symlink_to("profiles/slurm")
        return tmp_path

    return make


@pytest.fixture(autouse=True)
def _clean_queue():
    yield
    if shutil.which("scancel") and os.environ.get("ECMPIPE_SLURM") == "1":
        subprocess.run(["scancel", "-u", "root"], capture_output=True)
        subprocess.run(["scontrol", "update", "nodename=n[1-2]", "state=resume"], capture_output=True)
