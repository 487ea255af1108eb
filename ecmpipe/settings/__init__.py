"""The settings tree: one section per stage, and the parameters of the physics. Validated once, frozen, never re-read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import model_validator

from ecmpipe.errors import SettingsError
from ecmpipe.settings.base import Model, merge, read_yaml, validate
from ecmpipe.settings.dft import DftParameters, DftSettings
from ecmpipe.settings.fem import DEFAULT, FemParameters, FemSettings, check_fillers, variant_settings
from ecmpipe.settings.hyperelastic import HyperelasticSettings, fit_step
from ecmpipe.settings.md import MdParameters, MdSettings, equilibrate_step, tensile_step
from ecmpipe.settings.report import ReportParameters, ReportSettings


class Parameters(Model):
    """Every number of the physics, by the stage that reads it."""

    dft: DftParameters
    md: MdParameters
    fem: FemParameters
    report: ReportParameters


class Settings(Model):
    """Everything a user can set."""

    parameters: Parameters
    dft: DftSettings
    md: MdSettings
    hyperelastic: HyperelasticSettings
    fem: FemSettings
    report: ReportSettings

    @model_validator(mode="after")
    def _stages_agree(self) -> Settings:
        check_fillers(self.fem, self.md.polymers)
        for material, curve in (("ncm811", True), ("lgps", False)):
            chosen = self.dft.materials.get(material)
            if chosen is None or (curve and chosen.delithiation is None):
                part = f"{material}.delithiation" if chosen else material
                raise SettingsError(f"dft.materials.{part}: missing; the cell is made of ncm811, with its delithiation, and lgps")
        for variant in (DEFAULT, *self.fem.variants):
            case, _ = variant_settings(self, variant)
            if case.toughness == "computed" and self.dft.interface is None:
                where = "fem" if variant == DEFAULT else f"fem.variants.{variant}"
                raise SettingsError(
                    f"{where}.toughness: 'computed' needs the interface of the DFT stage, but dft.interface is null; give its settings"
                )
        for polymer in self.md.polymers:
            equilibrate_step(self, polymer)
            tensile_step(self, polymer)
            fit_step(self, polymer)
        return self


def read_settings(files: list[Path]) -> Settings:
    """Merge YAML files in order, later ones over earlier ones, and validate the result."""
    merged: dict[str, Any] = {}
    for path in files:
        layer = read_yaml(path, "settings file") or {}
        if not isinstance(layer, Mapping):
            raise SettingsError(f"{path}: holds {type(layer).__name__}, not sections; start with a key such as 'fem:'")
        merged = merge(merged, layer)
    return validate(Settings, merged)
