"""Child processes that do not outlive this one."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def end_with_parent(number: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """A ``preexec_fn``: Linux sends ``number`` to the child when this process dies. Launchers pass SIGTERM on to their ranks."""
    parent, prctl = os.getpid(), getattr(ctypes.CDLL(None), "prctl", None)

    def ask() -> None:
        if prctl is not None:
            prctl(SET_PARENT_DEATH_SIGNAL, number)
        if os.getppid() != parent:  # it died while this process was starting
            os._exit(1)

    return ask
