"""Settings of the hyperelastic fit (S.33 and S.37 on the stresses of the pulls)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from ecmpipe.errors import SettingsError
from ecmpipe.settings.base import Count, Model, Number, Step

if TYPE_CHECKING:
    from ecmpipe.settings import Settings

VERSION = 4
ROUNDING = 0.01
LEAST_WINDOWS = 10  # in a pull; fewer means say mostly chance
COEFFICIENT = re.compile(r"C\d\d|kappa[1-9]")


class HyperelasticSettings(Model):
    """The points of a pull are averaged over ``window`` before the fit. The moduli belong to it: it is one for all polymers and sizes.

    Bounds keep the card usable by the finite elements; whatever stands on one is named in ``at_bound``.

    ``coefficients`` of S.33 other than those of S.37 are fitted beside S.37. Those above C10, C01 and kappa1 have no bounds.
    """

    coefficients: list[str] = Field(max_length=12)
    window: Number = Field(alias="window [s]", gt=0, le=1e-9)
    bins: Count = Field(ge=4, le=10_000)
    bootstrap: Count = Field(ge=20, le=100_000)
    seed: Count = Field(ge=0)
    smallest_c10: Number = Field(alias="smallest_C10 [Pa]", gt=0, le=1e9)
    smallest_c01: Number = Field(alias="smallest_C01 [Pa]", ge=0, le=1e9)
    smallest_poisson_ratio: Number = Field(alias="smallest_poisson_ratio [1]", ge=-0.5, lt=0.5)
    largest_correlation: Number = Field(alias="largest_correlation [1]", gt=0, lt=1)
    largest_relative_error: Number = Field(alias="largest_relative_error [1]", gt=0, le=1)

    @field_validator("coefficients")
    @classmethod
    def _coefficients_make_a_material(cls, names: list[str]) -> list[str]:
        for name in names:
            if not COEFFICIENT.fullmatch(name):
                raise ValueError(f"'{name}' is no coefficient of S.33; write C and two digits (C10, C11) or kappa and one (kappa1)")
            if name == "C00":
                raise ValueError("C00 stores energy in a body at rest (S.33 is misprinted there); leave it out")
            if names.count(name) > 1:
                raise ValueError(f"'{name}' stands twice; keep one")
        if not {"C10", "C01"} & set(names):
            raise ValueError("without C10 or C01 the body has no shear modulus at rest; add one")
        if "kappa1" not in names:
            raise ValueError("without kappa1 the body has no bulk modulus at rest; add it")
        return names


class FitStep(Step):
    """What one fit reads."""

    fit: HyperelasticSettings


def fit_step(settings: Settings, polymer: str) -> FitStep:
    """The slice of the settings that `ecmpipe.hyperelastic.fit` reads."""
    chosen, window = settings.md.polymers[polymer], settings.hyperelastic.window
    own = chosen.largest_strain / chosen.strain_rate / chosen.points
    if window < own * (1 - ROUNDING) or abs(window / own - round(window / own)) > ROUNDING * window / own:
        wanted = chosen.largest_strain / chosen.strain_rate / window
        raise SettingsError(
            f"hyperelastic.'window [s]': {window:g} s is no multiple of the {own:.3g} s that a point of md.polymers.{polymer} stands for; "
            f"change md.polymers.{polymer}.points ({chosen.points}) to a multiple of {wanted:.6g}, or the window"
        )
    duration = chosen.largest_strain / chosen.strain_rate
    if duration < LEAST_WINDOWS * window * (1 - ROUNDING):
        raise SettingsError(
            f"hyperelastic.'window [s]': {window:g} s is too long for a pull of md.polymers.{polymer}, which lasts {duration:.3g} s "
            f"and must hold {LEAST_WINDOWS} of them; give at most {duration / LEAST_WINDOWS:.3g} s"
        )
    return FitStep(version=VERSION, fit=settings.hyperelastic)
