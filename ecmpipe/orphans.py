"""Jobs of an earlier Snakemake that still work in this folder: a second writer beside them would spoil what they write."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from pathlib import Path

from ecmpipe.errors import SettingsError

PREFIX = "ecmpipe"  # slurm-jobname-prefix of profiles/slurm


def refuse_orphans(folder: Path | None = None) -> None:
    """`SettingsError` that names the jobs which Slurm still runs or holds for ``folder``; nothing where there is no Slurm.

    Snakemake cancels its jobs when it is asked to end, not when it is killed, and it attaches to none of them again.
    """
    here = os.path.realpath(folder or Path.cwd())
    if not shutil.which("squeue"):
        return
    try:
        asked = subprocess.run(["squeue", "-h", "-u", getpass.getuser(), "-o", "%i|%j|%Z"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return  # a controller that does not answer is found out at the first submission
    found = [line.split("|", 2) for line in asked.stdout.splitlines() if line.count("|") >= 2]
    # a job of another name may be the one that this Snakemake runs in
    jobs = [job for job, name, where in found if name.startswith(PREFIX) and os.path.realpath(where) == here]
    if jobs:
        raise SettingsError(
            f"jobs of an earlier run still work in {here}: {', '.join(jobs)}; wait until 'squeue' shows them no more, "
            f"or end them with 'scancel {' '.join(jobs)}', then start again"
        )
