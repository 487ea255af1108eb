"""The pulls of a polymer in axes of their own (axial, and the two lateral ones in cyclic order)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecmpipe.cards import read_curve
from ecmpipe.errors import CardError

COLUMNS = [*(f"Stretch {axis} [1]" for axis in "xyz"), *(f"Stress {axis}{axis} [Pa]" for axis in "xyz"), "Temperature [K]"]
SAME_END = 1e-6  # the rounding of a CSV is far below, another largest strain far above


@dataclass(frozen=True)
class Pulls:
    """``stretches`` [1] and normal Cauchy ``stresses`` [Pa], both (runs, points, 3); mean ``temperature`` [K]."""

    stretches: np.ndarray
    stresses: np.ndarray
    temperature: float


def read_pulls(paths: list[Path]) -> Pulls:
    """Read runs of one polymer; one that differs in points or in its end from the first is a `CardError`."""
    if not paths:
        raise CardError("no tensile runs were given; rerun the MD stage")
    stretches, stresses, temperatures = [], [], []
    for path in paths:
        table = read_curve(path, COLUMNS)
        lengths = table[COLUMNS[:3]].to_numpy()
        # a free face may move further than the drawn one, a melt flows; but only the drawn length grows by equal steps
        axial = int(np.argmin(np.ptp(np.diff(lengths, axis=0), axis=0)))
        order = [axial, (axial + 1) % 3, (axial + 2) % 3]
        stretches.append(lengths[:, order])
        stresses.append(table[COLUMNS[3:6]].to_numpy()[:, order])
        temperatures.append(table["Temperature [K]"].mean())
        if len(table) != len(stretches[0]) or abs(stretches[-1][-1, 0] - stretches[0][-1, 0]) > SAME_END:
            raise CardError(f"{path}: has other points or another end than {paths[0]}; delete both and rerun the MD stage")
    return Pulls(np.array(stretches), np.array(stresses), float(np.mean(temperatures)))


def bin_means(values: np.ndarray, bins: int) -> np.ndarray:
    """Means over ``bins`` equal parts of the second axis: (runs, points, 3) to (runs, bins, 3)."""
    return np.stack([part.mean(axis=1) for part in np.array_split(values, min(bins, values.shape[1]), axis=1)], axis=1)
