"""The settings of a workflow run are validated once and frozen: jobs that start later read the frozen copy.

A cluster job parses the Snakefile again when it starts. Without the copy, a job queued with one value and
started after an edit would compute with the other and be recorded under the first.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecmpipe.cards import read_json, whole_file
from ecmpipe.errors import SettingsError
from ecmpipe.settings import Settings
from ecmpipe.settings.base import validate

LOCK = "ECMPIPE_CONFIG_LOCK"
FOLDER = Path(".snakemake/ecmpipe-config")


def frozen_settings(config: Mapping[str, Any], *, main: bool) -> Settings:
    """The settings of this run: validated from ``config`` in the main process, read from its frozen copy in a job's."""
    if not main:
        if LOCK not in os.environ:
            raise SettingsError(f"{LOCK} is not set in this job: its settings are lost; submit jobs with the environment (--export=ALL)")
        return validate(Settings, read_json(Path(os.environ[LOCK])))
    settings = validate(Settings, config)
    text = settings.canonical()
    path = (FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json").resolve()
    if not path.exists():
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")
    os.environ[LOCK] = str(path)
    return settings
