import os
import sys
from pathlib import Path

from ecmpipe import cost
from ecmpipe.check import check_files
from ecmpipe.deadline import IN_JOB
from ecmpipe.errors import EcmpipeError
from ecmpipe.orphans import warn_of_lost_records
from ecmpipe.progress import ProgressHandler
from ecmpipe.settings import dft, dft_runs, fem, hyperelastic, md
from ecmpipe.settings import report as report_settings
from ecmpipe.settings.freeze import frozen_settings

# before any job is planned
try:
    SETTINGS = frozen_settings(config, main=workflow.is_main_process)
    if workflow.is_main_process:
        check_files(SETTINGS)
        warn_of_lost_records(Path.cwd())
    elif workflow.remote_exec:
        os.environ[IN_JOB] = "1"
except EcmpipeError as error:
    leave(error)

ECMPIPE = f"'{sys.executable}' -m ecmpipe"
MATERIALS = list(SETTINGS.dft.materials)
INTERFACE = dft.INTERFACE
POLYMERS = list(SETTINGS.md.polymers)
CASES = fem.cases(SETTINGS)
VASP_FILES = ["INCAR", "KPOINTS", "POSCAR", "POTCAR.spec"]
VASP_INPUTS = expand("results/dft/{material}/vasp/{system}/{file}", material=MATERIALS, system=["bulk", "surface"], file=VASP_FILES)


wildcard_constraints:
    material="|".join(MATERIALS),
    subject="|".join([*MATERIALS, INTERFACE]),
    system="bulk|surface",
    batch="[A-Za-z0-9_.-]+",
    polymer="|".join(POLYMERS),
    box=r"\d+",
    axis="[xyz]",
    replica=r"\d+",
    variant="|".join([fem.DEFAULT, *SETTINGS.fem.variants]),
    filler="|".join(["none", *POLYMERS]),
    c_rate="[0-9.]+",


def run_results(group):
    """The run files of one group of one material, as an input function."""
    return lambda wildcards: [
        f"results/dft/{wildcards.material}/runs/{batch}.json" for batch in dft_runs.batches_of(SETTINGS, wildcards.material, group)
    ]


def upstream_runs(wildcards):
    """The run files that a batch starts from."""
    needed = dft_runs.batches(SETTINGS, wildcards.subject)[wildcards.batch]
    return [f"results/dft/{wildcards.subject}/runs/{batch}.json" for batch in needed]


def starting_cells(wildcards):
    """The file of cells that a batch starts from."""
    kind = "slabs" if dft_runs.is_surface(SETTINGS, wildcards.subject, wildcards.batch) else "structures"
    return f"results/dft/{wildcards.subject}/{kind}.json"


def bulk_run(wildcards):
    """The run file of the relaxed bulk."""
    return f"results/dft/{wildcards.material}/runs/{dft_runs.bulk_batch(SETTINGS, wildcards.material)}.json"


def side_file(side, kind):
    """A file of one side's material, as an input function of the interface."""

    def find(wildcards):
        material = getattr(dft.interface_of(SETTINGS), side)
        batch = dft_runs.bulk_batch(SETTINGS, material)
        return {
            "crystal": SETTINGS.dft.materials[material].crystal,
            "structures": f"results/dft/{material}/structures.json",
            "runs": f"results/dft/{material}/runs/{batch}.json",
        }[kind]

    return find


if workflow.is_main_process:
    jobs_at_once = workflow.resource_settings.cores or workflow.resource_settings.nodes or 1
    logger.addHandler(ProgressHandler(Path("results/benchmarks"), Path("workflow/costs.csv"), jobs_at_once))
