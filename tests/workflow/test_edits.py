"""Thirty edits of the settings and exactly the jobs that each of them plans after a finished run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflow.plans import plan

REPORT = {"Report: draw the figures", "Report: collect the headline numbers", "Report: write results/report/index.html"}
POLYMERS = ("polyamide", "pdms")


def inputs(material: str, *systems: str) -> set[str]:
    return {f"DFT: write the VASP inputs of {material} {system}" for system in systems or ("bulk", "surface")}


def surface(material: str) -> set[str]:
    return {f"DFT: calculate surface of {material}", "DFT: surface energies"}


def bulk(material: str) -> set[str]:
    """From the relaxed bulk on, without the interface."""
    found = {f"DFT: calculate {what} of {material}" for what in ("relaxation", "strains")} | surface(material)
    found |= {f"DFT: {what} of {material}" for what in ("the relaxed cell", "elastic constants")}
    found |= {f"DFT: cut the slabs of {material} from its relaxed bulk"}
    return found | inputs(material) | ({"DFT: V(x) and E_eq(x) of ncm811"} if material == "ncm811" else set())


INTERFACE = {"DFT: match the two slabs to one interface", "DFT: calculate lower of interface", "DFT: work of adhesion of the interface"}


def runs(*names: str) -> set[str]:
    return {f"FEM: {variant} case at {rate} C, filler {filler}" for variant, filler, rate in (name.split() for name in names)}


def numbers(*names: str) -> set[str]:
    return {f"FEM: every number of the {variant} case, filler {filler}, with its source" for variant, filler in map(str.split, names)}


BARE = runs("default none 1", "default none 5")
FILLED = runs("default pdms 1", "cohesive pdms 1")
CASES = BARE | FILLED
DEFAULT = BARE | runs("default pdms 1")
DEFAULT_NUMBERS = numbers("default none", "default pdms")
FILLED_NUMBERS = numbers("default pdms", "cohesive pdms")
CELL = CASES | DEFAULT_NUMBERS | FILLED_NUMBERS | REPORT  # all that follows from the crystals


def boxes(*steps: str, polymers: tuple[str, ...] = POLYMERS) -> set[str]:
    return {f"MD: {step} {polymer}, box 0" for step in steps for polymer in polymers}


def pulls(axis: str = "x", replica: int = 0, polymers: tuple[str, ...] = POLYMERS) -> set[str]:
    return {f"MD: pull {polymer}, box 0, along {axis}, replica {replica}" for polymer in polymers}


def fits(*polymers: str) -> set[str]:
    """The fits, and what reads them: PDMS has cells, polyamide has none here."""
    polymers = polymers or POLYMERS
    found = {f"Hyperelastic: fit S.37 to the {polymer} curves" for polymer in polymers} | REPORT
    return found | (FILLED | FILLED_NUMBERS if "pdms" in polymers else set())


EDITS = {
    "U of cobalt": ("parameters: {dft: {hubbard_u_co: {value: 5.8}}}", bulk("ncm811") | INTERFACE | CELL),
    "U of manganese and cobalt change places": (
        "parameters: {dft: {hubbard_u_mn: {value: 5.9}, hubbard_u_co: {value: 5.2}}}",
        bulk("ncm811") | INTERFACE | CELL,
    ),
    "cut-off energy": ("parameters: {dft: {cutoff_energy: {value: 520}}}", bulk("ncm811") | bulk("lgps") | INTERFACE | CELL),
    "k-points of the LGPS bulk": (
        "dft: {materials: {lgps: {bulk: {kpoints: {scheme: monkhorst, grid: [2, 2, 2]}}}}}",
        bulk("lgps") | INTERFACE | CELL,
    ),
    "tolerance of the surfaces": (
        "dft: {tolerances: {'surface [eV.angstrom-1]': 0.2}}",
        surface("ncm811") | surface("lgps") | inputs("ncm811", "surface") | inputs("lgps", "surface") | CELL,
    ),
    "compositions": (
        "dft: {materials: {ncm811: {delithiation: {removed: [0, 4, 8, 12]}}}}",
        {"DFT: build the ordered ncm811 crystals and their Li orderings"} | bulk("ncm811") | INTERFACE | CELL,
    ),
    "points of the delithiation table": (
        "dft: {materials: {ncm811: {delithiation: {points: 31}}}}",
        {"DFT: V(x) and E_eq(x) of ncm811"} | CASES | REPORT,
    ),
    "registries of the interface": ("dft: {interface: {registries: [1, 1]}}", INTERFACE | REPORT - {"Report: draw the figures"}),
    "DFT engine": ("dft: {engine: ase}", bulk("ncm811") | bulk("lgps") | INTERFACE | CELL),
    "growth density of polyamide": (
        "md: {polymers: {polyamide: {'growth_density [kg.m-3]': 500}}}",
        boxes("grow", "equilibrate", polymers=("polyamide",)) | pulls(polymers=("polyamide",)) | fits("polyamide"),
    ),
    "seed of the boxes": ("md: {seed: 7}", boxes("grow", "equilibrate") | pulls() | fits()),
    "cut-off of PCFF": ("md: {dynamics: {'cutoff [m]': 6.5e-10}}", boxes("equilibrate") | pulls() | fits()),
    "extensions of the rest": ("md: {equilibrium: {extensions: 1}}", boxes("equilibrate") | pulls() | fits()),
    "one more axis": ("md: {axes: [x, y]}", pulls("y") | fits()),
    "one more replica": ("md: {replicas: 2}", pulls(replica=1) | fits()),
    "largest strain of PDMS": (
        "md: {polymers: {pdms: {'largest_strain [1]': 0.12, points: 120}}}",
        pulls(polymers=("pdms",)) | fits("pdms"),
    ),
    "window of the fit": ("hyperelastic: {'window [s]': 6.0e-14}", fits()),
    "bins of the curve": ("hyperelastic: {bins: 12}", fits()),
    "toughness of the interface": ("parameters: {fem: {interface_toughness: {value: 0.2}}}", DEFAULT | DEFAULT_NUMBERS | REPORT),
    "viscous time": ("parameters: {fem: {viscous_time: {value: 20}}}", DEFAULT | DEFAULT_NUMBERS | REPORT),
    "strength of the interface": (
        "parameters: {fem: {interface_strength: {value: 8.0e+7}}}",
        CASES | DEFAULT_NUMBERS | FILLED_NUMBERS | REPORT,
    ),
    "calibrated toughness": (
        "fem: {toughness: calibrated}",
        {"FEM: calibrate the toughness of the interface on the onset at 1 C"} | DEFAULT | DEFAULT_NUMBERS | REPORT,
    ),
    "longest step of a cell": ("fem: {time: {'step [1]': 0.015}}", DEFAULT | REPORT),
    "width of the cell": ("fem: {geometry: {'width [m]': 1.1e-6}}", CASES | DEFAULT_NUMBERS | FILLED_NUMBERS | REPORT),
    "stagger tolerance": ("fem: {solver: {'crack_tolerance [1]': 1.0e-3}}", CASES | REPORT),
    "gate": ("fem: {fracture: {gate: d_only}}", CASES | REPORT),
    "a filler left out of a variant": ("fem: {'cases [h-1]': {cohesive: {pdms: null}}}", REPORT),
    "one C-rate more": ("fem: {'cases [h-1]': {default: {none: [1, 5, 7]}}}", runs("default none 7") | REPORT),
    "one C-rate less": ("fem: {'cases [h-1]': {default: {none: [1]}}}", REPORT),
    "dots per inch": ("report: {dots_per_inch: 100}", REPORT - {"Report: collect the headline numbers"}),
    "a printed time": ("parameters: {report: {crack_time_1c: {value: 1600}}}", REPORT),
    "keys in another order": ("fem: {top: {'pressure [Pa]': 0, hold: clamped}}\nhyperelastic: {seed: 2026, bins: 10}", set()),
    "the same numbers in other words": (
        "md: {polymers: {pdms: {'strain_rate [s-1]': 1e11}}, dynamics: {'time_step [s]': 0.000000000000001}}",
        set(),
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_plans_what_it_touches_and_nothing_else(name: str, finished_run: tuple[Path, dict[str, str]]) -> None:
    text, wanted = EDITS[name]
    found = plan(*finished_run, text)
    assert found == wanted, f"not planned: {sorted(wanted - found)}; for nothing: {sorted(found - wanted)}"


def test_there_are_enough() -> None:
    assert len(EDITS) >= 30
