rule md_build:
    input:
        description=lambda wildcards: SETTINGS.md.polymers[wildcards.polymer].description,
    output:
        data="results/md/{polymer}/box_{box}/system.data",
        cell="results/md/{polymer}/box_{box}/cell.json",
    log:
        "results/logs/md/{polymer}/box_{box}/build.log",
    benchmark:
        "results/benchmarks/md_build/{polymer}_{box}.tsv"
    localrule: True
    params:
        step=lambda wildcards: md.build_step(SETTINGS, wildcards.polymer).canonical(),
    message:
        "MD: grow {wildcards.polymer}, box {wildcards.box}"
    shell:
        "{ECMPIPE} md-build --step {params.step:q} --polymer {wildcards.polymer} --box {wildcards.box} --description {input.description:q}"
        " --output {output.data} --output-cell {output.cell} > {log} 2>&1"


rule md_equilibrate:
    input:
        data="results/md/{polymer}/box_{box}/system.data",
        cell="results/md/{polymer}/box_{box}/cell.json",
    output:
        data="results/md/{polymer}/box_{box}/equilibrated.data",
        cell="results/md/{polymer}/box_{box}/equilibrated.json",
    log:
        "results/logs/md/{polymer}/box_{box}/equilibrate.log",
    benchmark:
        "results/benchmarks/md_equilibrate/{polymer}_{box}.tsv"
    resources:
        tasks=1,
        runtime=lambda wildcards: cost.equilibrate_minutes(SETTINGS, wildcards.polymer),
        mem_mb=lambda wildcards, attempt: cost.md_memory(SETTINGS, wildcards.polymer, attempt),
    params:
        step=lambda wildcards: md.equilibrate_step(SETTINGS, wildcards.polymer).canonical(),
    message:
        "MD: equilibrate {wildcards.polymer}, box {wildcards.box}"
    shell:
        "SLURM_NTASKS={resources.tasks} {ECMPIPE} md-equilibrate --step {params.step:q} --polymer {wildcards.polymer} --box {wildcards.box} --data {input.data} --cell {input.cell}"
        " --output {output.data} --output-cell {output.cell} --work results/md/{wildcards.polymer}/box_{wildcards.box}/equilibrate.work"
        " --runtime {resources.runtime} > {log} 2>&1"


rule md_tensile:
    input:
        data="results/md/{polymer}/box_{box}/equilibrated.data",
        cell="results/md/{polymer}/box_{box}/equilibrated.json",
    output:
        curve="results/md/{polymer}/tensile/{box}_{axis}_{replica}.csv",
    log:
        "results/logs/md/{polymer}/tensile/{box}_{axis}_{replica}.log",
    benchmark:
        "results/benchmarks/md_tensile/{polymer}_{box}_{axis}_{replica}.tsv"
    resources:
        tasks=1,
        runtime=lambda wildcards: cost.tensile_minutes(SETTINGS, wildcards.polymer),
        mem_mb=lambda wildcards, attempt: cost.md_memory(SETTINGS, wildcards.polymer, attempt),
    params:
        step=lambda wildcards: md.tensile_step(SETTINGS, wildcards.polymer).canonical(),
    message:
        "MD: pull {wildcards.polymer}, box {wildcards.box}, along {wildcards.axis}, replica {wildcards.replica}"
    shell:
        "SLURM_NTASKS={resources.tasks} {ECMPIPE} md-tensile --step {params.step:q} --polymer {wildcards.polymer} --box {wildcards.box} --axis {wildcards.axis}"
        " --replica {wildcards.replica} --data {input.data} --cell {input.cell} --output {output.curve}"
        " --work results/md/{wildcards.polymer}/tensile/{wildcards.box}_{wildcards.axis}_{wildcards.replica}.work --runtime {resources.runtime} > {log} 2>&1"
