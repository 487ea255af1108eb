"""Settings of the hyperelastic fit (S.37 on the stresses of the pulls)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ConfigDict, Field

from ecmpipe.settings.base import Count, Model, Number, Step

if TYPE_CHECKING:
    from ecmpipe.settings import Settings

VERSION = 1


class HyperelasticSettings(Model):
    """Bounds keep the card usable by the finite elements; whatever stands on one is named in ``at_bound``."""

    bins: Count = Field(ge=4, le=10_000)
    smallest_c10: Number = Field(alias="smallest_C10 [Pa]", gt=0, le=1e9)
    smallest_c01: Number = Field(alias="smallest_C01 [Pa]", ge=0, le=1e9)
    smallest_poisson_ratio: Number = Field(alias="smallest_poisson_ratio [1]", ge=-0.5, lt=0.5)
    largest_correlation: Number = Field(alias="largest_correlation [1]", gt=0, lt=1)
    largest_relative_error: Number = Field(alias="largest_relative_error [1]", gt=0, le=1)


class FitStep(Step):
    """What one fit reads. The rate is here because it is printed beside every modulus."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    fit: HyperelasticSettings
    strain_rate: Number = Field(alias="strain_rate [s-1]", gt=0)


def fit_step(settings: Settings, polymer: str) -> FitStep:
    """The slice of the settings that `ecmpipe.hyperelastic.fit` reads."""
    return FitStep(version=VERSION, fit=settings.hyperelastic, strain_rate=settings.md.polymers[polymer].strain_rate)
