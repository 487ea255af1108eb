"""VASP as custodian's child: it does not outlive this process, and it is asked to stop before the walltime does it harm."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from custodian import Custodian
from custodian.vasp import handlers
from custodian.vasp.jobs import VaspJob

from ecmpipe.engines.process import end_with_parent, own_mpi

START_TIME = "CUSTODIAN_WALLTIME_START"


class GuardedJob(VaspJob):
    """A run that ends with this process. A script as command should ``exec`` VASP or its launcher: Linux tells only the direct child."""

    def run(self, directory: str = "./") -> subprocess.Popen:
        """Start VASP in a process group of its own."""
        folder = Path(directory)
        with open(folder / self.output_file, "w") as out, open(folder / self.stderr_file, "w") as error:
            self._vasp_process = subprocess.Popen(
                self.vasp_cmd, cwd=folder, env=own_mpi(), stdout=out, stderr=error, start_new_session=True, preexec_fn=end_with_parent()
            )
        return self._vasp_process

    def stop(self) -> None:
        """End the whole process group: politely, then by force what is left of it."""
        process = getattr(self, "_vasp_process", None)
        if process is not None:
            self.terminate()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


class WalltimeHandler(handlers.WalltimeHandler):
    """Writes STOPCAR once, in time for VASP to finish its ionic step.

    The parent class keeps its start in an environment variable, as local time that is labelled UTC: the next run would
    inherit it, and a change to summer time would shift it. Here every run counts its own seconds on the monotonic clock.
    """

    def __init__(self, wall_time: float, buffer_time: float) -> None:
        os.environ.pop(START_TIME, None)
        super().__init__(wall_time, buffer_time)
        os.environ.pop(START_TIME, None)
        self.began = time.monotonic()

    def check(self, directory: str = "./") -> bool:
        """Whether the time is nearly over; once it was, VASP knows, and custodian need not count it as an error again."""
        self.start_time = datetime.datetime.now() - datetime.timedelta(seconds=time.monotonic() - self.began)
        return not self.stopped and super().check(directory)

    @property
    def stopped(self) -> bool:
        """Whether STOPCAR was written in this run."""
        return self.n_applied_corrections > 0


def run_guarded(custodian: Custodian, job: GuardedJob) -> None:
    """Run custodian; whatever ends it early, SIGTERM included, ends VASP first."""
    with _sigterm_raises():
        try:
            custodian.run()
        except BaseException:
            job.stop()
            raise


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """SIGTERM leaves by the exception that ends a process, so that VASP is ended and custodian's log is written on the way out."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return

    def leave(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # schedulers send it more than once
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
