"""The pulls of a polymer in axes of their own (axial, and the two lateral ones in cyclic order)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecmpipe.cards import read_curve
from ecmpipe.errors import CardError

COLUMNS = ["Time [s]", *(f"Stretch {axis} [1]" for axis in "xyz"), *(f"Stress {axis}{axis} [Pa]" for axis in "xyz"), "Temperature [K]"]
SAME = 1e-6  # relative; the rounding of a CSV is far below, another largest strain far above


@dataclass(frozen=True)
class Pulls:
    """``stretches`` [1] and normal Cauchy ``stresses`` [Pa], both (runs, points, 3), means over the ``window`` [s] before each point.

    ``temperature`` [K] is the mean, ``rate`` [1/s] the engineering strain rate as it was run.
    """

    stretches: np.ndarray
    stresses: np.ndarray
    window: float
    temperature: float
    rate: float


def read_pulls(paths: list[Path]) -> Pulls:
    """Read runs of one polymer; one that differs in points or in its end from the first is a `CardError`."""
    if not paths:
        raise CardError("no tensile runs were given; rerun the MD stage")
    stretches, stresses, temperatures, ends = [], [], [], None
    for path in paths:
        table = read_curve(path, COLUMNS)
        times, lengths = table[COLUMNS[0]].to_numpy(), table[COLUMNS[1:4]].to_numpy()
        # a free face may move further than the drawn one, a melt flows; but only the drawn length grows by equal steps
        axial = int(np.argmin(np.ptp(np.diff(lengths, axis=0), axis=0)))
        order = [axial, (axial + 1) % 3, (axial + 2) % 3]
        stretches.append(lengths[:, order])
        stresses.append(table[COLUMNS[4:7]].to_numpy()[:, order])
        temperatures.append(table["Temperature [K]"].mean())
        pull = (len(table), stretches[-1][-1, 0], times[-1])
        ends = ends or pull
        if not np.allclose(pull, ends, rtol=SAME, atol=0):
            raise CardError(f"{path}: has other points or another end than {paths[0]}; delete both and rerun the MD stage")
    strain, time = np.ptp(stretches[0][:, 0]), times[-1] - times[0]
    window = float(times[-1] / len(times))
    return Pulls(np.array(stretches), np.array(stresses), window, float(np.mean(temperatures)), float(strain / time))


def over_windows(pulls: Pulls, window: float) -> Pulls:
    """``pulls`` averaged over the multiple of their window that is nearest to ``window`` [s]; points that fill no last one are left out."""
    points = max(1, round(window / pulls.window))
    whole = pulls.stretches.shape[1] // points
    means = (bin_means(values[:, : whole * points], whole) for values in (pulls.stretches, pulls.stresses))
    return Pulls(*means, points * pulls.window, pulls.temperature, pulls.rate)


def bin_means(values: np.ndarray, bins: int) -> np.ndarray:
    """Means over ``bins`` equal parts of the second axis: (runs, points, 3) to (runs, bins, 3)."""
    return np.stack([part.mean(axis=1) for part in np.array_split(values, min(bins, values.shape[1]), axis=1)], axis=1)
