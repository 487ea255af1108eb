"""The DFT part of the shipped settings, and the structures made of it, without the other stages."""

import contextlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from ecmpipe.cards import read_card, write_card
from ecmpipe.dft.cuts import make_slabs
from ecmpipe.dft.records import BatchCard, RunCard, StructuresCard, cell_of
from ecmpipe.dft.structures import build_structures
from ecmpipe.settings.base import validate
from ecmpipe.settings.dft import DftParameters, DftSettings, slabs_step, structures_step

ROOT = Path(__file__).resolve().parents[2]
MATERIALS = ("ncm811", "lgps")


def merge(base, over):
    """Deep merge, as the settings do it."""
    merged = dict(base)
    for key, value in (over or {}).items():
        merged[key] = merge(merged[key], value) if isinstance(value, dict) and isinstance(merged.get(key), dict) else value
    return merged


def load_dft(*overlays, parameters=None):
    """Settings with the attributes that the step functions read; overlays are dictionaries or file names of inputs/."""
    with contextlib.chdir(ROOT):
        section = yaml.safe_load(Path("inputs/default.yaml").read_text())["dft"]
        for overlay in overlays:
            section = merge(section, yaml.safe_load(Path("inputs", overlay).read_text())["dft"] if isinstance(overlay, str) else overlay)
        numbers = merge(yaml.safe_load(Path("inputs/parameters.yaml").read_text())["parameters"]["dft"], parameters)
        return SimpleNamespace(dft=validate(DftSettings, section), parameters=SimpleNamespace(dft=validate(DftParameters, numbers)))


@pytest.fixture(scope="session")
def settings():
    return load_dft()


@pytest.fixture(scope="session")
def structure_files(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("structures")
    for material in MATERIALS:
        crystal = ROOT / settings.dft.materials[material].crystal
        build_structures(structures_step(settings, material), material=material, crystal=crystal, output=folder / f"{material}.json")
    return {material: folder / f"{material}.json" for material in MATERIALS}


@pytest.fixture(scope="session")
def cards(structure_files):
    return {material: read_card(StructuresCard, path) for material, path in structure_files.items()}


def crystal_of(material):
    return ROOT / "inputs/structures" / f"{material}.yaml"


@pytest.fixture(scope="session")
def slab_cards(settings, cards):
    """The slabs of the ideal bulk."""
    return {name: make_slabs(slabs_step(settings, name), name, crystal_of(name), cards[name]) for name in MATERIALS}


def made_run(name, kind, structure, energy, **more):
    data = {
        "name": name, "kind": kind, "cell": cell_of(structure), "Energy [eV]": energy, "Energy of the starting structure [eV]": energy,
        "Stress [eV.angstrom-3]": np.zeros((3, 3)).tolist(), "Largest residual force [eV.angstrom-1]": 0.0, "steps": 0,
    }  # fmt: skip
    return RunCard.model_validate(data | more)


def cells_file(folder, material, system, cards, slab_cards):
    """The file that ``dft-inputs`` reads, of the ideal crystal."""
    path = folder / f"{material}_{system}.json"
    if system == "surface":
        write_card(path, slab_cards[material])
    else:
        name = "li12" if material == "ncm811" else "bulk"
        run = made_run(name, "bulk", cards[material].arrangements[0].bulk.structure(), -1.0)
        write_card(path, BatchCard(material=material, batch="relaxation", engine="closed form", runs={name: run}))
    return path
