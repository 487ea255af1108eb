"""Child processes that do not outlive this one."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
GRACE = 5.0  # seconds between SIGTERM and SIGKILL


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
