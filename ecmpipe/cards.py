"""Hand-over files between the stages: JSON cards and CSV curves with the unit in every key, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError

from ecmpipe.errors import CardError
from ecmpipe.settings.base import Label, Model

C = TypeVar("C", bound="Card")
Three = Annotated[list[float], Field(min_length=3, max_length=3)]
Six = Annotated[list[float], Field(min_length=6, max_length=6)]


class Card(Model):
    """A validated JSON hand-over file."""


class CrystalCard(Card):
    """A relaxed bulk cell: ``results/dft/{material}/crystal.json``."""

    material: str
    engine: str
    formula: str
    formula_units: int = Field(alias="Formula units per cell [1]")
    li_per_cell: int = Field(alias="Li atoms per cell [1]")
    volume: float = Field(alias="Cell volume [m3]", gt=0)
    lengths: Three = Field(alias="Cell lengths [m]")
    angles: Three = Field(alias="Cell angles [deg]")
    energy: float = Field(alias="Energy [J]")
    density: float = Field(alias="Density [kg.m-3]", gt=0)
    residual_force: float = Field(alias="Largest residual force [eV.angstrom-1]", ge=0)


class ElasticCard(Card):
    """Relaxed-ion elastic constants: ``results/dft/{material}/elastic.json``. Voigt order xx yy zz yz xz xy."""

    material: str
    engine: str
    stiffness: list[Six] = Field(alias="Stiffness matrix [Pa]", min_length=6, max_length=6)
    bulk_modulus: float = Field(alias="Bulk modulus [Pa]", gt=0)
    shear_modulus: float = Field(alias="Shear modulus [Pa]", gt=0)
    youngs_modulus: float = Field(alias="Young's modulus [Pa]", gt=0)
    poisson_ratio: float = Field(alias="Poisson ratio [1]", gt=-1, lt=0.5)
    voigt: dict[str, float] = Field(alias="Voigt bounds [Pa]")
    reuss: dict[str, float] = Field(alias="Reuss bounds [Pa]")
    smallest_eigenvalue: float = Field(alias="Smallest stiffness eigenvalue [Pa]", gt=0)
    asymmetry: float = Field(alias="Asymmetry before symmetrisation [1]")
    fit_residual: float = Field(alias="Stress residual of the strain fit [1]")
    jackknife_errors: dict[str, float] = Field(alias="Jackknife errors")
    symmetry: str
    strains: list[float] = Field(alias="Strains [1]")
    ions: str


class Surface(Card):
    """The thickest slab of a cut: energies per area of one face, mean of both; ``by_thickness`` has every slab, thinnest first.

    ``symmetric_cut``: the faces are alike before decoration; ``polar`` is said of the decorated slab.
    """

    material: str
    miller: list[int]
    surface_energy: float = Field(alias="Surface energy [J.m-2]")
    change: float | None = Field(alias="Change from the next thinner slab [J.m-2]", default=None)
    by_thickness: list[list[float]] = Field(alias="Slab thickness [m], surface energy [J.m-2]")
    area: float = Field(alias="Area [m2]")
    atoms: int = Field(alias="Atoms [1]")
    thickness: float = Field(alias="Slab thickness [m]")
    vacuum: float = Field(alias="Vacuum [m]")
    polar: bool
    symmetric_cut: bool
    residual_force: float = Field(alias="Largest residual force [eV.angstrom-1]", ge=0)


class SurfacesCard(Card):
    """``results/dft/surfaces.json``."""

    engine: str
    surfaces: dict[str, Surface]


class Adhesion(Card):
    """One face of the electrolyte against the cathode. Indicative: one strained cell, few registries, one relaxed.

    ``work``: against halves relaxed again after separation. ``rigid_work``, ``strength`` and ``length``: the universal binding curve
    -W (1 + s/l) exp(-s/l) through the energies of the halves drawn apart without relaxation, zero for the halves alone, with its fit
    errors. The strength W/(e l) is an upper bound that no continuum reaches. ``registry_spread`` is of the unrelaxed registries.
    """

    work: float = Field(alias="Work of adhesion [J.m-2]")
    rigid_work: float = Field(alias="Rigid work of separation [J.m-2]")
    rigid_work_error: float = Field(alias="Rigid work of separation, standard error [J.m-2]")
    strength: float = Field(alias="Rigid strength [Pa]")
    strength_error: float = Field(alias="Rigid strength, standard error [Pa]")
    steepest: float = Field(alias="Steepest slope between two points [Pa]")
    length: float = Field(alias="Decay length [m]")
    misfit: float = Field(alias="Root mean square misfit of the curve [J.m-2]")
    curve: list[list[float]] = Field(alias="Separation [m], energy [J.m-2]")
    registries: int
    registry_spread: float = Field(alias="Energy range of the registries [J.m-2]")
    forbidden: dict[str, int] = Field(alias="Forbidden bonds")
    broken: dict[str, int] = Field(alias="Centres that lost or won a bond")
    residual_force: float = Field(alias="Largest residual force [eV.angstrom-1]", ge=0)


class AdhesionCard(Card):
    """``results/dft/interface.json``: work of adhesion of the explicit interface, by face."""

    engine: str
    quality: str
    cathode: str
    electrolyte: str
    area: float = Field(alias="Area [m2]")
    strains: list[float] = Field(alias="Principal strains of the electrolyte [1]")
    atoms: int = Field(alias="Atoms [1]")
    cathode_formula: str
    electrolyte_formula: str
    cathode_cells: int = Field(alias="Surface cells of the cathode [1]")
    electrolyte_cells: int = Field(alias="Surface cells of the electrolyte [1]")
    faces: dict[str, Adhesion]


class CellCard(Card):
    """An amorphous box: ``results/md/{polymer}/cell.json`` (as built), ``equilibrated.json`` (as relaxed)."""

    polymer: str
    engine: str
    atoms: int = Field(alias="Atoms [1]")
    chains: int = Field(alias="Chains [1]")
    density: float = Field(alias="Density [kg.m-3]", gt=0)
    density_error: float | None = Field(alias="Density standard error [kg.m-3]", default=None)
    temperature: float | None = Field(alias="Temperature [K]", default=None)
    lengths: Three = Field(alias="Box lengths [m]")
    net_charge: float = Field(alias="Net charge [e]")
    seed: int
    torsion_mode: str
    equilibrated: bool | None = None
    bulk_modulus: float | None = Field(alias="Bulk modulus from volume fluctuation [Pa]", default=None, gt=0)
    bulk_modulus_error: float | None = Field(alias="Bulk modulus from volume fluctuation, standard error [Pa]", default=None)
    nve_drift: float | None = Field(alias="NVE energy drift per atom [J.s-1]", default=None)
    conserves_energy: bool | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class Stability(Card):
    """Whether a fitted material is stable at every stretch that it was fitted to."""

    baker_ericksen: bool
    drucker: bool


class Bootstrap(Card):
    """Scatter of the fit of S.37 when whole ``units`` (pulls, or boxes with all their pulls) are drawn with replacement, by modulus."""

    units: Literal["pulls", "boxes"]
    resamples: int = Field(alias="Resamples [1]")
    distinct: int = Field(alias="Distinct resamples [1]")
    seed: int
    errors: dict[str, float] = Field(alias="Standard errors")
    percentiles: dict[str, list[float]] = Field(alias="Percentiles 2.5, 16, 84, 97.5")


class GeneralisedFit(Card):
    """The coefficients of S.33 that the settings name, in that order; the finite elements do not read them."""

    coefficients: dict[str, float] = Field(alias="Coefficients [Pa]")
    covariance: list[list[float]] = Field(alias="Covariance of the coefficients [Pa2]")
    at_bound: list[str]
    rms: float = Field(alias="Root-mean-square misfit [Pa]")
    stability: Stability


class HyperelasticCard(Card):
    """Two-parameter Mooney-Rivlin coefficients (S.37), all pulls at once: ``results/hyperelastic/{polymer}.json``.

    ``errors``, the numbers printed after +-, are by modulus the larger of the covariance's and the bootstrap's; ``error_sources`` says
    which. Without a second pull there is no bootstrap. ``equilibrated`` and ``conserves_energy`` hold for all boxes or are false.
    """

    polymer: str
    engine: str
    c10: float = Field(alias="C10 [Pa]")
    c01: float = Field(alias="C01 [Pa]")
    kappa: float = Field(alias="kappa [Pa]", gt=0)
    shear_modulus: float = Field(alias="Shear modulus [Pa]", gt=0)
    youngs_modulus: float = Field(alias="Young's modulus [Pa]", gt=0)
    poisson_ratio: float = Field(alias="Poisson ratio [1]")
    errors: dict[str, float] = Field(alias="Standard errors")
    error_sources: dict[str, Literal["covariance", "bootstrap"]] = Field(alias="Standard errors from")
    covariance: list[Three] = Field(alias="Covariance of C10, C01, kappa [Pa2]", min_length=3, max_length=3)
    correlation: float = Field(alias="Correlation of C10 and C01 [1]")
    bootstrap: Bootstrap | None = Field(alias="Bootstrap")
    identifiable: bool
    at_bound: list[str]
    stability: Stability
    averaged: dict[str, float] = Field(alias="Fit of the averaged curve")
    averaged_at_bound: list[str] = Field(alias="Fit of the averaged curve, at its bounds")
    window: float = Field(alias="Window of the fit [s]", gt=0)
    by_window: dict[str, dict[str, float]] = Field(alias="Fits by window [ps]")
    generalised: GeneralisedFit | None = Field(alias="Generalised fit (S.33)", default=None)
    stretch_range: list[float] = Field(alias="Stretch range [1]")
    strain_rate: float = Field(alias="Strain rate [s-1]")
    runs: int = Field(alias="Tensile runs [1]")
    rms: float = Field(alias="Root-mean-square misfit [Pa]")
    boxes: int = Field(alias="Boxes [1]")
    atoms: int = Field(alias="Atoms [1]")
    density: float = Field(alias="Density [kg.m-3]", gt=0)
    density_error: float | None = Field(alias="Density standard error [kg.m-3]", default=None)
    bulk_modulus: float | None = Field(alias="Bulk modulus from volume fluctuation [Pa]", default=None, gt=0)
    bulk_modulus_error: float | None = Field(alias="Bulk modulus from volume fluctuation, standard error [Pa]", default=None)
    torsion_mode: str
    equilibrated: bool | None = None
    conserves_energy: bool | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class Sourced(Card):
    """One number that the finite-element solver uses, with where it came from."""

    value: float
    unit: str
    label: Label
    source: str


class FemParametersCard(Card):
    """Every number of the finite-element cases of one filler: ``results/fem/{variant}/{filler}/parameters.json``."""

    numbers: dict[str, Sourced]


class ToughnessCard(Card):
    """The calibrated toughness of the interface, ``results/fem/toughness.json``, with every trial on the way to it."""

    toughness: float = Field(alias="Toughness [J.m-2]", gt=0)
    onset: float = Field(alias="Onset throughput [1]")
    wanted: float = Field(alias="Wanted throughput [1]")
    model: str
    trials: list[list[float]] = Field(alias="Toughness [J.m-2], onset throughput [1]")


class FemSummaryCard(Card):
    """The headline numbers of one finite-element case: ``summary.json``."""

    onset_throughput: float | None = Field(alias="onset throughput [1]")
    onset_time: float | None = Field(alias="onset time [s]")
    contact_fraction: float = Field(alias="contact fraction at end [1]")
    largest_overpotential: float = Field(alias="largest overpotential [V]")
    li_imbalance: float = Field(alias="largest Li imbalance [1]")
    end_throughput: float = Field(alias="throughput at end [1]")
    end_reason: str
    details: dict[str, Any] = Field(default_factory=dict)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its name only when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Write JSON whole; NaN and infinity are refused."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON; a missing or damaged file is a `CardError` that names it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CardError(f"{path}: missing; rerun the step that makes it") from None
    except OSError as error:
        raise CardError(f"{path}: cannot be read ({error.strerror}); rerun the step that makes it") from None
    except (ValueError, RecursionError) as error:
        raise CardError(f"{path}: not valid JSON ({' '.join(str(error).split())}); delete it and rerun the step that makes it") from None


def write_card(path: Path, card: Card) -> None:
    """Write a card as JSON under its keys with units."""
    write_json(path, card.model_dump(mode="json"))


def read_card(kind: type[C], path: Path) -> C:
    """Read and validate a card of ``kind``."""
    try:
        return kind.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise CardError(f"{path}: '{key}': {first['msg']}; delete the file and rerun the step that makes it") from None


def write_curve(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV whose columns name their units; every value must be finite."""
    if table.isna().any().any():
        raise CardError(f"{path}: the table holds missing values in {list(table.columns[table.isna().any()])}")
    with whole_file(path) as partial:
        table.to_csv(partial, index=False)


def read_curve(path: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a CSV and see that it holds ``columns``."""
    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise CardError(f"{path}: missing; rerun the step that makes it") from None
    except (OSError, ValueError, OverflowError) as error:  # pandas' own are kinds of ValueError
        raise CardError(f"{path}: not a valid CSV ({' '.join(str(error).split())}); delete it and rerun the step that makes it") from None
    if table.empty or not all(kind.kind in "if" for kind in table.dtypes) or not np.isfinite(table.to_numpy()).all():
        raise CardError(f"{path}: empty, or not every cell is a finite number; delete it and rerun the step that makes it")
    absent = [name for name in columns if name not in table.columns]
    if absent:
        raise CardError(f"{path}: lacks the columns {absent}; it has {list(table.columns)}")
    return table
