"""The numbers of the finite-element stage that are given, not computed upstream."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from ecmpipe.settings.base import Model, quantity


class FemParameters(Model):
    """The numbers of ``physics`` that no upstream stage computes; elastic constants and tables come from the DFT cards."""

    temperature: quantity("K", ge=200, le=600)
    diffusivity_cathode: quantity("m2.s-1", gt=0, le=1e-6)
    diffusivity_lithium_ion: quantity("m2.s-1", gt=0, le=1e-6)
    diffusivity_counter_charge: quantity("m2.s-1", gt=0, le=1e-6)
    mobile_fraction: quantity("1", gt=0, lt=1)
    recombination_rate: quantity("m3.mol-1.s-1", gt=0)
    rate_constant_cathode: quantity("mol.m-2.s-1", gt=0)
    rate_constant_anode: quantity("mol.m-2.s-1", gt=0)
    transfer_coefficient_cathode: quantity("1", gt=0, lt=1)
    transfer_coefficient_anode: quantity("1", gt=0, lt=1)
    starting_lithium_content: quantity("1", gt=0, lt=1)
    cut_off_voltage: quantity("V", gt=0, le=10)
    lower_cut_off_voltage: quantity("V", ge=0, le=10)
    interface_toughness: quantity("J.m-2", gt=0)
    interface_strength: quantity("Pa", gt=0, le=1e11)
    onset_throughput: quantity("1", gt=0, lt=1)
    length_scale: quantity("m", gt=0, le=1e-4)
    viscous_time: quantity("s", ge=0)
    residual_stiffness: quantity("1", gt=0, le=1e-3)
    opening_scale: quantity("m", gt=0, le=1e-6)
    floor_diffusion: quantity("1", gt=0, le=1e-1)
    floor_contact: quantity("1", gt=0, le=1e-1)
    filler_thickness_ratio: quantity("1", gt=0, lt=1)

    @model_validator(mode="after")
    def _voltages_are_ordered(self) -> Self:
        low, high = self.lower_cut_off_voltage.value, self.cut_off_voltage.value
        if not low < high:
            raise ValueError(f"lower_cut_off_voltage ({low:g} V) must lie below cut_off_voltage ({high:g} V)")
        return self
