"""What an earlier Snakemake may have left in a folder: jobs that still write there, results whose record is lost."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ecmpipe.errors import SettingsError

PREFIX = "ecmpipe"  # slurm-jobname-prefix of profiles/slurm


def refuse_orphans(folder: Path | None = None, *, submits: bool = False) -> None:
    """`SettingsError` that names the jobs which Slurm still runs or holds for ``folder``; nothing where there is no Slurm.

    Snakemake cancels its jobs when it is asked to end, not when it is killed, and it attaches to none of them again. Where this run
    ``submits`` jobs, a queue that cannot be asked is refused too.
    """
    here = os.path.realpath(folder or Path.cwd())
    if not shutil.which("squeue"):
        return
    try:
        asked = subprocess.run(
            ["squeue", "-h", "-u", getpass.getuser(), "-o", "%i|%j|%Z"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        if submits:
            raise SettingsError(
                f"'squeue' does not answer ({error}): jobs of an earlier run may work here; try again when it does"
            ) from None
        return
    found = [line.split("|", 2) for line in asked.stdout.splitlines() if line.count("|") >= 2]
    mine = os.environ.get("SLURM_JOB_ID")  # this Snakemake may be a job itself
    jobs = [job for job, name, where in found if name.startswith(PREFIX) and os.path.realpath(where) == here and job != mine]
    if jobs:
        raise SettingsError(
            f"jobs of an earlier run still work in {here}: {', '.join(jobs)}; wait until 'squeue' shows them no more, "
            f"or end them with 'scancel {' '.join(jobs)}', then start again"
        )


def warn_of_lost_records(folder: Path) -> None:
    """Say so where results stand without `.snakemake/metadata`: Snakemake then takes them for made with the settings of today."""
    records = folder / ".snakemake/metadata"
    if any((folder / "results/benchmarks").glob("*/*")) and not (records.is_dir() and any(records.iterdir())):
        print(
            f"warning: {records} is gone, which holds the settings that results/ was made with: an edit reruns nothing of it now; "
            "give --forceall once, or bring the folder back",
            file=sys.stderr,
        )
