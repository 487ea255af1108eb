"""One comparison with something known, and the list of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Curve:
    """A line of a picture: ``x`` and ``y`` (n,); ``points`` draws markers."""

    name: str
    x: np.ndarray
    y: np.ndarray
    points: bool = False


@dataclass(frozen=True)
class Picture:
    """Curves over one axis."""

    x_label: str
    y_label: str
    curves: list[Curve]
    log: bool = False


@dataclass(frozen=True)
class Anchor:
    """``value`` is what was found here, ``low`` and ``high`` what it may be; ``reference`` says what that rests on."""

    what: str
    reference: str
    value: float
    low: float
    high: float
    unit: str = "1"
    pictures: list[Picture] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether the value lies within its limits."""
        return bool(self.low <= self.value <= self.high)


Check = Callable[[], list[Anchor]]
CHECKS: dict[str, Check] = {}
SLOW: set[str] = set()


def check(name: str, *, slow: bool = False) -> Callable[[Check], Check]:
    """Put a function into the list under ``name``; tests leave out the ``slow`` ones."""

    def enter(function: Check) -> Check:
        CHECKS[name] = function
        if slow:
            SLOW.add(name)
        return function

    return enter


def at_most(what: str, reference: str, value: float, limit: float, unit: str = "1", pictures: list[Picture] | None = None) -> Anchor:
    """An error that may not exceed ``limit``."""
    return Anchor(what, reference, float(value), 0.0, limit, unit, pictures or [])


def near(
    what: str, reference: str, value: float, exact: float, relative: float, unit: str = "1", pictures: list[Picture] | None = None
) -> Anchor:
    """A value that may differ from ``exact`` by the part ``relative``."""
    span = abs(exact) * relative
    return Anchor(what, f"{reference}: {exact:.6g}", float(value), exact - span, exact + span, unit, pictures or [])


def order(errors: list[float], sizes: list[float]) -> float:
    """The slope of log error over log size between the last two."""
    return float(np.log(errors[-1] / errors[-2]) / np.log(sizes[-1] / sizes[-2]))
