"""``python -m ecmpipe.install``: says what the set-up is about to download, before it does. Standard library only."""

from __future__ import annotations

import json
import subprocess
import sys

COMMAND = ["install", "--dry-run", "--quiet", "--disable-pip-version-check", "--report", "-", "--constraint", "constraints.txt", ".[test]"]


def announce() -> int:
    """Ask pip for its plan and print it in two lines."""
    asked = subprocess.run([sys.executable, "-m", "pip", *COMMAND], capture_output=True, text=True)
    if asked.returncode:
        print(asked.stderr, file=sys.stderr)
        return 1
    plan = {item["metadata"]["name"].lower(): item["metadata"]["version"] for item in json.loads(asked.stdout)["install"]}
    plan.pop("ecmpipe", None)
    print(f"set-up: {len(plan)} packages to install into .venv; two to five minutes on a fast line")
    cuda = [name for name in plan if name.startswith(("nvidia-", "cuda-", "triton"))]
    if cuda:
        print(
            f"set-up: PyTorch {plan.get('torch', '')} comes with {len(cuda)} GPU packages, about 3 GB more than the CPU build (0.2 GB)."
            " To avoid them stop now (Ctrl-C) and set PIP_EXTRA_INDEX_URL to PyTorch's CPU wheel index (see README, Set-up)."
        )
    elif "torch" in plan:
        print(f"set-up: PyTorch {plan['torch']}: CPU build, about 0.2 GB of about 1.1 GB in all")
    return 0


if __name__ == "__main__":
    sys.exit(announce())
