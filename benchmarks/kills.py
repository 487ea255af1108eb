"""A campaign of random kills: the whole chain is killed outright and restarted again and again; it must end as a run that nobody touched.

    make kill-test                    # after make run: thirty kills over the default chain, in a folder of its own; half an hour

Snakemake and everything below it get SIGKILL at a random moment. After every kill the chain is started again as a user would: `--unlock`,
then the same command. Results are compared file by file, without the times of clocks; every file must be whole.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
COSTS = ("CPU time [s]", "cpu [s]", "wall [s]", "Stagger iterations [1]", "Newton iterations [1]")
CLOSE = 1e-12


def start(folder: Path, overlay: list[str]) -> subprocess.Popen:
    """The chain in a process group of its own."""
    command = [SNAKEMAKE, "--profile", "profiles/local", *(["--configfile", *overlay] if overlay else [])]
    with open(folder / "chain.log", "a") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def planned(folder: Path, overlay: list[str]) -> set[str]:
    """Paths below ``results`` that Snakemake lists as outputs of this chain."""
    command = [SNAKEMAKE, "--profile", "profiles/local", "--summary", *(["--configfile", *overlay] if overlay else [])]
    lines = subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout.splitlines()
    return {line.split("\t")[0].removeprefix("results/") for line in lines if line.startswith("results/")}


def kill_tree(process: subprocess.Popen) -> int:
    """SIGKILL to the process and all its descendants, children first found; how many there were."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError, ValueError):
                continue
            below.setdefault(parent, []).append(int(entry.name))
    found, edge = [], [process.pid]
    while edge:
        found += edge
        edge = [child for pid in edge for child in below.get(pid, [])]
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()
    return len(found)


def results(folder: Path) -> list[Path]:
    """Relative paths of what a user would read; not logs, costs, provenance, work folders."""
    found = []
    for path in sorted((folder / "results").rglob("*")):
        inside = path.relative_to(folder / "results")
        aside = inside.parts[0] in ("logs", "benchmarks", "report", "verify", "specimens") or any(p.endswith("work") for p in inside.parts)
        if path.is_file() and not aside and ".provenance" not in path.name:
            found.append(inside)
    return found


def differs(one: Path, other: Path) -> str:
    """Why two results are not the same; empty where they are."""
    if one.suffix == ".csv":
        a, b = (pd.read_csv(path).drop(columns=list(COSTS), errors="ignore") for path in (one, other))
        if a.shape != b.shape:
            return f"{a.shape} against {b.shape}"
        gap = np.abs(a.to_numpy(float) - b.to_numpy(float)) / np.maximum(np.abs(b.to_numpy(float)), 1.0)
        return "" if gap.max(initial=0) <= CLOSE else f"differ by {gap.max():.1e}"
    if one.suffix == ".json":
        a, b = (json.dumps(_without_costs(json.loads(path.read_text())), sort_keys=True) for path in (one, other))
        return "" if a == b else "other content"
    return "" if one.suffix in (".h5", ".xdmf") or one.read_bytes() == other.read_bytes() else "other bytes"


def _without_costs(value):
    if isinstance(value, dict):
        return {key: _without_costs(item) for key, item in value.items() if key not in COSTS}
    return [_without_costs(item) for item in value] if isinstance(value, list) else value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--between", type=float, nargs=2, default=(8.0, 45.0), help="seconds from a start to its kill")
    parser.add_argument("--overlay", nargs="*", default=[])
    parser.add_argument("--whole", type=Path, default=ROOT, help="folder of the run that nobody touched")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="ecmpipe-kills-"))
    for name in ("workflow", "inputs", "profiles"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "Snakefile", folder)
    kills = 0
    while True:
        process = start(folder, options.overlay)
        limit = draw.uniform(*options.between) if kills < options.kills else None
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            count = kill_tree(process)
            kills += 1
            print(f"kill {kills}: {count} processes after {limit:.0f} s", flush=True)
            subprocess.run([SNAKEMAKE, "--profile", "profiles/local", "--unlock"], cwd=folder, capture_output=True)
            time.sleep(1)
            continue
        if code:
            print(f"the chain failed after {kills} kills; see {folder}/chain.log")
            return 1
        break
    # an earlier study may have left more there than this chain makes
    made = planned(folder, options.overlay)
    here, there = results(folder), [path for path in results(options.whole) if str(path) in made]
    lost = sorted(set(there) - set(here))
    wrong = [
        (path, why) for path in here if path in set(there) and (why := differs(folder / "results" / path, options.whole / "results" / path))
    ]
    print(f"{kills} kills, {len(here)} results, {len(lost)} lost, {len(wrong)} that differ ({folder})")
    for path in lost:
        print(f"  lost: {path}")
    for path, why in wrong:
        print(f"  {path}: {why}")
    return int(bool(lost or wrong))


if __name__ == "__main__":
    sys.exit(main())
