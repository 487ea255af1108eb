"""Random seeds by what they are for, so that no two runs share a stream and a rerun repeats itself."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A seed between 1 and 9e8 (the range of LAMMPS' generators) from the user's seed and the purpose."""
    text = ":".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % 900_000_000 + 1
