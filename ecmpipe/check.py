"""``python -m ecmpipe check``: are these settings sound? The workflow asks the same question before its first step."""

from __future__ import annotations

from pathlib import Path

from ecmpipe.settings import read_settings

BASE = [Path("inputs/parameters.yaml"), Path("inputs/default.yaml")]


def check(*, overlay: list[Path] | None = None) -> int:
    """Validate the default settings with the given overlays on top; every problem is one line, the exit code 2."""
    read_settings([*BASE, *(overlay or [])])
    print(f"the settings are sound: {' + '.join(str(path) for path in [*BASE, *(overlay or [])])}")
    return 0
