"""Is a box at rest, and what are its means? Two halves, a straight line, block means; and the drift of a run at constant energy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import constants

from ecmpipe.settings.md import EquilibriumSettings

BLOCKS = 8  # of the averaged time, for the standard error of its density


@dataclass(frozen=True)
class Rest:
    """Means over the averaged ``time`` [s]: density [kg/m3], K, lengths of the cube [m], isothermal bulk modulus [Pa].

    ``difference`` of the ``halves`` and ``drift`` of a straight line over the averaged time are parts of the mean density.
    """

    density: float
    density_error: float | None
    temperature: float
    lengths: list[float]
    bulk_modulus: float | None
    bulk_modulus_error: float | None
    time: float
    halves: list[float]
    difference: float
    drift: float
    calm: bool

    @property
    def words(self) -> str:
        """What the verdict rests on."""
        return f"halves differ by {100 * self.difference:.2f} %, density drifts by {100 * self.drift:+.2f} % over {self.time:.3g} s"


def judge(notes: pd.DataFrame, window: float, shortest: float, settings: EquilibriumSettings) -> Rest:
    """Averages and verdict over the rows of an NPT run, each the mean over ``window`` [s]; less than ``shortest`` [s] proves nothing."""
    kept = notes.iloc[int(len(notes) * settings.discard) :]
    density = kept["density"].to_numpy()
    mean = float(density.mean())
    halves = [float(half.mean()) for half in np.array_split(density, 2)]
    difference = abs(halves[1] - halves[0]) / mean
    drift = float(np.polyfit(np.linspace(-0.5, 0.5, len(density)), density, 1)[0]) / mean if len(density) > 1 else float("inf")
    blocks = [block.mean() for block in np.array_split(density, min(BLOCKS, len(density)))]
    volume = (kept["length_x"] * kept["length_y"] * kept["length_z"]).to_numpy()
    spread = float(volume.var(ddof=1)) if len(volume) > 1 else 0.0
    time = len(kept) * window
    temperature, mean_volume = float(kept["temperature"].mean()), float(volume.mean())
    # the fluctuation formula K_T = k T V / <dV2>, to hold the fitted kappa against
    modulus = constants.k * temperature * mean_volume / spread if spread > 0 else None
    return Rest(
        density=mean,
        density_error=float(np.std(blocks, ddof=1) / len(blocks) ** 0.5) if len(blocks) > 1 else None,
        temperature=temperature,
        lengths=[mean_volume ** (1 / 3)] * 3,
        bulk_modulus=modulus,
        bulk_modulus_error=modulus * variance_error(volume) if modulus else None,
        time=time,
        halves=halves,
        difference=difference,
        drift=drift,
        calm=difference <= settings.halves and abs(drift) <= settings.drift and time >= shortest,
    )


def variance_error(values: np.ndarray) -> float:
    """Relative standard error of the variance of a Gaussian series: sqrt(2/n (1 + 2 sum of its squared autocorrelations up to zero))."""
    rest = values - values.mean()
    correlations = np.array([rest[: len(rest) - lag] @ rest[lag:] for lag in range(1, len(rest) // 2)]) / (rest @ rest)
    ends = np.flatnonzero(correlations <= 0)
    kept = correlations[: ends[0]] if len(ends) else correlations
    return float((2 / len(values) * (1 + 2 * kept @ kept)) ** 0.5)


def energy_drift(notes: pd.DataFrame, window: float) -> float:
    """Slope [J/s] of a straight line through the total energy of rows that are ``window`` [s] apart."""
    return float(np.polyfit(window * np.arange(len(notes)), notes["energy"].to_numpy(), 1)[0])
