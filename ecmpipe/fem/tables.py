"""Tables of the DFT stage as smooth monotone functions of the Li content."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from ecmpipe.errors import CardError


class Table:
    """y(x) by monotone cubic interpolation (PCHIP), extended linearly past both ends."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        order = np.argsort(x)
        x, y = x[order], y[order]
        if len(x) < 2 or np.any(np.diff(x) <= 0):
            raise CardError("delithiation table: the Li contents must be at least two distinct values")
        self._inner = PchipInterpolator(x, y)
        self._derivative = self._inner.derivative()
        self.low, self.high = x[0], x[-1]
        # PCHIP sets a zero end slope where the data turn; the secant keeps the extension going.
        self._ends = (y[1] - y[0]) / (x[1] - x[0]), (y[-1] - y[-2]) / (x[-1] - x[-2])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, dtype=float)
        inside = self._inner(np.clip(x, self.low, self.high))
        return inside + np.minimum(x - self.low, 0) * self._ends[0] + np.maximum(x - self.high, 0) * self._ends[1]

    def slope(self, x: np.ndarray) -> np.ndarray:
        """dy/dx."""
        x = np.asarray(x, dtype=float)
        inside = self._derivative(np.clip(x, self.low, self.high))
        return np.where(x < self.low, self._ends[0], np.where(x > self.high, self._ends[1], inside))
