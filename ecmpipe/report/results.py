"""Reads what the stages left under ``results/`` for the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import ParseError

import meshio
import numpy as np
import pandas as pd

from ecmpipe.cards import FemSummaryCard, read_card, read_curve
from ecmpipe.errors import CardError
from ecmpipe.settings.fem import DEFAULT

SHOWN_LI = "Li that moves [mol.m-3]"  # all Li in the cathode, mobile Li in the electrolyte; made here for the figures


@dataclass(frozen=True)
class Case:
    """One finite-element run."""

    variant: str
    filler: str
    c_rate: float
    name: str
    history: pd.DataFrame
    summary: FemSummaryCard
    fields: Path

    @property
    def title(self) -> str:
        """How the case is named in figures."""
        kind = "" if self.variant == DEFAULT else f"{self.variant}, "
        return f"{kind}{self.c_rate:g} C" + ("" if self.filler == "none" else f", {self.filler} filler")


@dataclass(frozen=True)
class Frame:
    """The fields of one time."""

    time: float
    point_data: dict[str, np.ndarray]


def read_case(folder: Path) -> Case:
    """The case that lies in ``results/fem/{variant}/{filler}/{c_rate}C``."""
    variant, filler = folder.parent.parent.name, folder.parent.name
    try:
        rate = float(folder.name.removesuffix("C"))
    except ValueError:
        raise CardError(f"{folder}: is no folder of a case, which has the name of its C-rate, as 1C; give one of those") from None
    return Case(
        variant=variant,
        filler=filler,
        c_rate=rate,
        name=f"{variant}/{filler}/{folder.name}",
        history=read_curve(folder / "history.csv", ["Time [s]", "Throughput Q [1]", "Overpotential [V]"]),
        summary=read_card(FemSummaryCard, folder / "summary.json"),
        fields=folder / "fields.xdmf",
    )


def read_fields(path: Path) -> tuple[np.ndarray, np.ndarray, list[Frame]]:
    """Points (n, 2) in m, triangles (m, 3) and the frames of an XDMF time series."""
    try:
        with meshio.xdmf.TimeSeriesReader(path) as reader:
            points, cells = reader.read_points_cells()
            frames = []
            for index in range(reader.num_steps):
                time, point_data, _ = reader.read_data(index)
                mobile = point_data["Mobile Li concentration [mol.m-3]"]
                shown = np.where(mobile > 0, mobile, point_data["Li concentration [mol.m-3]"])
                frames.append(Frame(time, point_data | {SHOWN_LI: shown}))
    except (OSError, KeyError, meshio.ReadError, ParseError) as error:
        raise CardError(f"{path}: not a readable field file ({error}); delete it and rerun the step that makes it") from None
    triangles = np.vstack([block.data for block in cells if block.type == "triangle"])
    return points[:, :2], triangles, frames
