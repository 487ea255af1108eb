"""``python -m ecmpipe.engines.guard COMMAND ...``: runs a program and ends its whole process group on SIGTERM.

The parent has SIGTERM sent to this process when it dies itself. A launcher script that does not pass signals on would otherwise leave
its program behind, writing into a folder that the next attempt works in.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

from ecmpipe.engines.process import GRACE, end_with_parent


def run(command: list[str]) -> int:
    """The exit code of ``command``; 128 + n when signal n ended it, 127 when it does not start."""
    child: subprocess.Popen | None = None

    def end(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            if child is not None:
                child.wait(GRACE)
        os.killpg(0, signal.SIGKILL)

    signal.signal(signal.SIGTERM, end)
    try:
        child = subprocess.Popen(command, preexec_fn=end_with_parent())  # for a SIGKILL there is no handler
    except OSError as error:
        print(f"ERROR: '{command[0]}' does not start ({error.strerror}); see md.lammps.command in the settings", file=sys.stderr)
        return 127
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
