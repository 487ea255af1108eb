rule md_build:
    input:
        description=lambda wildcards: SETTINGS.md.polymers[wildcards.polymer].description,
    output:
        data="results/md/{polymer}/system.data",
        cell="results/md/{polymer}/cell.json",
    log:
        "results/logs/md/{polymer}/build.log",
    benchmark:
        "results/benchmarks/md_build/{polymer}.tsv"
    localrule: True
    params:
        step=lambda wildcards: md.build_step(SETTINGS, wildcards.polymer).canonical(),
    message:
        "MD: grow the {wildcards.polymer} box"
    shell:
        "{ECMPIPE} md-build --step {params.step:q} --polymer {wildcards.polymer} --description {input.description:q}"
        " --output {output.data} --output-cell {output.cell} > {log} 2>&1"


rule md_equilibrate:
    input:
        data="results/md/{polymer}/system.data",
        cell="results/md/{polymer}/cell.json",
    output:
        data="results/md/{polymer}/equilibrated.data",
        cell="results/md/{polymer}/equilibrated.json",
    log:
        "results/logs/md/{polymer}/equilibrate.log",
    benchmark:
        "results/benchmarks/md_equilibrate/{polymer}.tsv"
    params:
        step=lambda wildcards: md.equilibrate_step(SETTINGS, wildcards.polymer).canonical(),
    message:
        "MD: equilibrate the {wildcards.polymer} box"
    shell:
        "{ECMPIPE} md-equilibrate --step {params.step:q} --polymer {wildcards.polymer} --data {input.data} --cell {input.cell}"
        " --output {output.data} --output-cell {output.cell} --work results/md/{wildcards.polymer}/equilibrate.work > {log} 2>&1"


rule md_tensile:
    input:
        data="results/md/{polymer}/equilibrated.data",
        cell="results/md/{polymer}/equilibrated.json",
    output:
        curve="results/md/{polymer}/tensile/{axis}_{replica}.csv",
    log:
        "results/logs/md/{polymer}/tensile/{axis}_{replica}.log",
    benchmark:
        "results/benchmarks/md_tensile/{polymer}_{axis}_{replica}.tsv"
    params:
        step=lambda wildcards: md.tensile_step(SETTINGS, wildcards.polymer).canonical(),
    message:
        "MD: pull {wildcards.polymer} along {wildcards.axis}, replica {wildcards.replica}"
    shell:
        "{ECMPIPE} md-tensile --step {params.step:q} --polymer {wildcards.polymer} --axis {wildcards.axis}"
        " --replica {wildcards.replica} --data {input.data} --cell {input.cell} --output {output.curve}"
        " --work results/md/{wildcards.polymer}/tensile/{wildcards.axis}_{wildcards.replica}.work > {log} 2>&1"
