"""Settings and step of the report stage, and the printed values it sets beside its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ecmpipe.settings.base import Count, Model, Step, quantity

if TYPE_CHECKING:
    from ecmpipe.settings import Settings

VERSION = 3


class ReportSettings(Model):
    """Style only; nothing here changes a number."""

    dots_per_inch: Count = Field(default=150, ge=50, le=600)


class ReportParameters(Model):
    """What the SI prints of its own results."""

    density_polyamide: quantity("kg.m-3", gt=0)
    density_pdms: quantity("kg.m-3", gt=0)
    intact_time_1c: quantity("s", gt=0)
    crack_time_1c: quantity("s", gt=0)
    crack_time_5c: quantity("s", gt=0)
    crack_time_10c: quantity("s", gt=0)


class FiguresStep(Step):
    """What the figures read."""

    settings: ReportSettings
    printed: ReportParameters


class SummaryStep(Step):
    """What the summary and the page read."""

    printed: ReportParameters


def figures_step(settings: Settings) -> FiguresStep:
    """The step of rule ``report_figures``."""
    return FiguresStep(version=VERSION, settings=settings.report, printed=settings.parameters.report)


def summary_step(settings: Settings) -> SummaryStep:
    """The step of rules ``report_summary`` and ``report_page``."""
    return SummaryStep(version=VERSION, printed=settings.parameters.report)
