"""Collect every number that the finite-element solver uses, with its unit, its label and the stage it comes from."""

from __future__ import annotations

from pathlib import Path

from ecmpipe.cards import (
    AdhesionCard,
    CrystalCard,
    ElasticCard,
    FemParametersCard,
    HyperelasticCard,
    Sourced,
    SurfacesCard,
    ToughnessCard,
    read_card,
    write_card,
)
from ecmpipe.errors import CardError
from ecmpipe.laws.diffusion import one_c_current_density
from ecmpipe.laws.dissociation import generation_rate
from ecmpipe.settings.fem import NO_FILLER, ParametersStep
from ecmpipe.units import AVOGADRO


def collect_parameters(
    step: ParametersStep,
    *,
    filler: str,
    cathode_crystal: Path,
    cathode_elastic: Path,
    electrolyte_crystal: Path,
    electrolyte_elastic: Path,
    surfaces: Path,
    hyperelastic: list[Path],
    adhesion: list[Path],
    toughness: list[Path],
    output: Path,
) -> dict:
    """Write ``results/fem/{variant}/{filler}/parameters.json`` from the cards of the DFT and hyperelastic stages and the settings.

    ``hyperelastic`` holds the card of the filler, or nothing for ``none``; ``adhesion`` the card of the explicit interface where its work
    of adhesion is the toughness, else nothing; ``toughness`` that of the calibration likewise. A number of the wrong sign is a `CardError`.
    """
    numbers = {name: Sourced(**parameter) for name, parameter in step.parameters.model_dump().items()}
    for name, value in step.geometry.lengths.items():
        numbers[name] = Sourced(value=value, unit="m", label="assumed", source=f"settings fem.geometry.{name} [m]")
    cathode, electrolyte = read_card(CrystalCard, cathode_crystal), read_card(CrystalCard, electrolyte_crystal)
    numbers["site_density"] = _from(cathode, cathode.formula_units / cathode.volume / AVOGADRO, "mol.m-3", "one Li per formula unit")
    numbers["lithium_in_electrolyte"] = _from(electrolyte, electrolyte.li_per_cell / electrolyte.volume / AVOGADRO, "mol.m-3", "all Li")
    for side, path, material in (
        ("cathode", cathode_elastic, cathode.material),
        ("electrolyte", electrolyte_elastic, electrolyte.material),
    ):
        elastic = read_card(ElasticCard, path)
        if elastic.material != material:
            raise CardError(f"{path}: holds '{elastic.material}' where '{material}' belongs; rerun dft-elastic")
        numbers[f"youngs_modulus_{side}"] = _from(elastic, elastic.youngs_modulus, "Pa", "Voigt-Reuss-Hill")
        numbers[f"poisson_ratio_{side}"] = _from(elastic, elastic.poisson_ratio, "1", "Voigt-Reuss-Hill")
        numbers[f"toughness_{side}"] = _toughness(surfaces, material)
    numbers |= _filler(filler, hyperelastic)
    if adhesion:
        numbers["interface_toughness"] = _adhesion(adhesion[0])
    if toughness:
        numbers["interface_toughness"] = _calibrated(toughness[0])
    numbers |= _derived(numbers, step.geometry.thickness)
    write_card(output, FemParametersCard(numbers=numbers))
    return {"engine": "settings and cards", "numbers": len(numbers)}


def _from(card: CrystalCard | ElasticCard, value: float, unit: str, how: str) -> Sourced:
    return Sourced(value=value, unit=unit, label="computed", source=f"dft/{card.material}: {how} ({card.engine})")


def _toughness(path: Path, material: str) -> Sourced:
    card = read_card(SurfacesCard, path)
    faces = [(surface.surface_energy, surface) for surface in card.surfaces.values() if surface.material == material]
    if not faces:
        raise CardError(f"{path}: no surface of '{material}'; rerun dft-surfaces")
    energy, face = min(faces, key=lambda item: item[0])
    if not energy > 0:
        raise CardError(f"{path}: the surface energy of '{material}' is {energy:g} J.m-2, which cannot be a toughness; check its slab")
    plane = "".join(str(index) for index in face.miller)
    return Sourced(
        value=2 * energy,
        unit="J.m-2",
        label="computed",
        source=f"dft/{material}: twice the ({plane}) surface energy ({card.engine}); read only where the bulk may crack",
    )


def _adhesion(path: Path) -> Sourced:
    card = read_card(AdhesionCard, path)
    name, face = min(card.faces.items(), key=lambda item: item[1].work)
    strain = 100 * max(card.strains, key=abs)
    return Sourced(
        value=face.work,
        unit="J.m-2",
        label="computed",
        source=f"dft/interface: work of adhesion, {name} face, {card.atoms} atoms, {strain:+.1f} % strain, indicative ({card.engine})",
    )


def _calibrated(path: Path) -> Sourced:
    card = read_card(ToughnessCard, path)
    how = f"onset of the bare default cell at 1C at Q = {card.onset:.3f} where the SI's times give {card.wanted:g}, {card.model}"
    return Sourced(
        value=card.toughness, unit="J.m-2", label="calibrated", source=f"fem/toughness: {how}; other rates and fillers are predictions"
    )


def _filler(filler: str, cards: list[Path]) -> dict[str, Sourced]:
    if filler == NO_FILLER:
        return {}
    if len(cards) != 1:
        raise CardError(f"fem-parameters: {len(cards)} hyperelastic cards given for the filler '{filler}', one needed")
    card = read_card(HyperelasticCard, cards[0])
    if card.polymer != filler:
        raise CardError(f"{cards[0]}: holds '{card.polymer}' where '{filler}' belongs; rerun hyperelastic-fit")
    if not card.c10 + card.c01 > 0:
        raise CardError(f"{cards[0]}: C10 + C01 = {card.c10 + card.c01:g} Pa makes an unstable filler; check the fit")
    source = f"hyperelastic/{filler}: S.37 at {card.strain_rate:g} s-1 ({card.engine})"
    values = {"filler_c10": ("C10 [Pa]", card.c10), "filler_c01": ("C01 [Pa]", card.c01), "filler_kappa": ("kappa [Pa]", card.kappa)}
    if missing := [key for key, _ in values.values() if key not in card.errors]:
        raise CardError(f"{cards[0]}: 'Standard errors' lacks {missing}; delete the file and rerun hyperelastic-fit")
    return {
        name: Sourced(value=value, unit="Pa", label="computed", source=f"{source}, standard error {card.errors[key]:.2g} Pa")
        for name, (key, value) in values.items()
    }


def _derived(numbers: dict[str, Sourced], thickness: float | None) -> dict[str, Sourced]:
    value = {name: number.value for name, number in numbers.items()}
    rate = generation_rate(value["recombination_rate"], value["lithium_in_electrolyte"], value["mobile_fraction"])
    found = {"generation_rate": Sourced(value=rate, unit="s-1", label="computed", source="k_r a0 delta2/(1 - delta), S.11")}
    if thickness is not None:
        current = one_c_current_density(value["site_density"], thickness)
        source = "F c_max / 3600 s times cathode area over interface length (L1 of layers, R/2 of a particle)"
        found["current_density_1c"] = Sourced(value=current, unit="A.m-2", label="computed", source=source)
    return found
