# ecmpipe: crystals and monomers -> elastic constants, E_eq(x), V(x), hyperelastic fillers -> contact loss of the cell.
# Settings: inputs/default.yaml and inputs/parameters.yaml; overlays with --configfile. Results: results/report/index.html.
from snakemake.utils import min_version

min_version("9.27")


if not workflow.remote_exec:  # a job that starts later reads the frozen copy, whatever became of these

    configfile: "inputs/parameters.yaml"
    configfile: "inputs/default.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/slurm.smk"
include: "workflow/rules/common.smk"
include: "workflow/rules/dft.smk"
include: "workflow/rules/md.smk"
include: "workflow/rules/hyperelastic.smk"
include: "workflow/rules/fem.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        "results/report/index.html",
        VASP_INPUTS,
    localrule: True
