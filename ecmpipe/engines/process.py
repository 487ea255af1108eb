"""Child processes that do not outlive this one, and folders that one process works in."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from ecmpipe.errors import EngineError

SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
GRACE = 5.0  # seconds between SIGTERM and SIGKILL
# a Snakemake job is a Slurm step of one task; its variables describe that step, and these alone the job
OF_THE_JOB = {"SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_CPUS_PER_TASK", "SLURM_MPI_TYPE", "SLURM_CONF"}
OF_THE_STEP = ("SLURM", "PMI_", "PMI2_", "PMIX_")


def own_mpi() -> dict[str, str]:
    """The environment of a child that starts MPI itself: an embedded one alone, a launcher with the whole job.

    A step within a step waits for cores that the outer one holds, unless the two may overlap; how many tasks it takes, the rule says
    in ``SLURM_NTASKS``.
    """
    kept = {name: value for name, value in os.environ.items() if name in OF_THE_JOB or not name.startswith(OF_THE_STEP)}
    return kept | ({"SLURM_OVERLAP": "1"} if "SLURM_JOB_ID" in kept else {})


def hold(folder: Path) -> TextIO:
    """Hold ``folder`` until what is returned is closed or the process ends; `EngineError` where another process does.

    Two in one folder would read each other's half-written files. A file system that knows no locks is left to the scheduler.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stream = open(folder / ".lock", "w")  # noqa: SIM115  it stays open
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        stream.close()
        raise EngineError(f"{folder}: another process works in this folder; wait for it, or end it, and run the step again") from None
    except OSError as error:
        print(f"warning: {folder}: no lock to be had here ({error.strerror}); see that one process works in it", file=sys.stderr)
    return stream


def end_with_parent(number: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """A ``preexec_fn``: Linux sends ``number`` to the child when this process dies. Launchers pass SIGTERM on to their ranks."""
    parent, prctl = os.getpid(), getattr(ctypes.CDLL(None), "prctl", None)

    def ask() -> None:
        if prctl is not None:
            prctl(SET_PARENT_DEATH_SIGNAL, number)
        if os.getppid() != parent:  # it died while this process was starting
            os._exit(1)

    return ask


def end_group(group: int) -> None:
    """End a process group whose leader is dead: politely, then by force what is left of it."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        end = time.monotonic() + GRACE
        while time.monotonic() < end:
            os.killpg(group, 0)
            time.sleep(0.05)
        os.killpg(group, signal.SIGKILL)
