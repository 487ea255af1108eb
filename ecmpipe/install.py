"""``python -m ecmpipe.install``: says what the set-up is about to download, then installs it, counting. Standard library only."""

from __future__ import annotations

import json
import subprocess
import sys

PIP = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--constraint", "constraints.txt"]
KEPT_LINES = 15


def main() -> int:
    """Ask pip for its plan, print it in two lines, carry it out."""
    print("set-up: asking pip for its plan ...", flush=True)
    asked = subprocess.run([*PIP, "--dry-run", "--quiet", "--report", "-", ".[test]"], capture_output=True, text=True)
    if asked.returncode:
        print(asked.stderr, file=sys.stderr)
        return asked.returncode
    plan = {item["metadata"]["name"].lower(): item["metadata"]["version"] for item in json.loads(asked.stdout)["install"]}
    plan.pop("ecmpipe", None)
    print(describe(plan), flush=True)
    return install(len(plan))


def describe(plan: dict[str, str]) -> str:
    """What pip will bring, and what it means: ``plan`` maps package names in lower case to versions."""
    if not plan:
        return "set-up: every package is there already"
    lines = [f"set-up: {len(plan)} packages into .venv, two to five minutes on a fast line"]
    gpu = [name for name in plan if name.startswith(("nvidia-", "cuda-", "triton")) and not name.startswith("nvidia-ml")]
    if gpu:
        lines.append(
            f"set-up: PyTorch {plan.get('torch', '')} brings {len(gpu)} GPU packages, about 3 GB more than its CPU build (0.2 GB)."
            " To avoid them stop now (Ctrl-C) and set PIP_EXTRA_INDEX_URL to PyTorch's CPU wheel index (README, Set-up)"
        )
    elif "torch" in plan:
        lines.append(f"set-up: PyTorch {plan['torch']} is a CPU build: about 2.3 GB on disk in all")
    return "\n".join(lines)


def install(count: int) -> int:
    """Run pip and show one counter instead of its hundreds of lines; its last lines only when it fails."""
    process = subprocess.Popen([*PIP, "--editable", ".[test]"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seen: list[str] = []
    collected = 0
    for line in process.stdout or ():
        seen = [*seen[-KEPT_LINES + 1 :], line]
        if line.startswith("Collecting "):
            collected += 1
            if collected % 20 == 0:
                print(f"set-up: {collected} of {count} packages fetched", flush=True)
        elif line.startswith("Installing collected"):
            print("set-up: unpacking", flush=True)
    if process.wait():
        print("".join(seen), file=sys.stderr)
    else:
        print("set-up: done", flush=True)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
