rule dft_structures:
    input:
        crystal=lambda wildcards: SETTINGS.dft.materials[wildcards.material].crystal,
    output:
        "results/dft/{material}/structures.json",
    log:
        "results/logs/dft/{material}/structures.log",
    benchmark:
        "results/benchmarks/dft_structures/{material}.tsv"
    localrule: True
    params:
        step=lambda wildcards: dft.structures_step(SETTINGS, wildcards.material).canonical(),
    message:
        "DFT: build the {wildcards.material} crystal, its slab and its Li orderings"
    shell:
        "{ECMPIPE} dft-structures --step {params.step:q} --material {wildcards.material} --crystal {input.crystal:q}"
        " --output {output} > {log} 2>&1"


rule dft_inputs:
    input:
        structures="results/dft/{material}/structures.json",
    output:
        expand("results/dft/{{material}}/vasp/{{system}}/{file}", file=VASP_FILES),
    log:
        "results/logs/dft/{material}/inputs_{system}.log",
    benchmark:
        "results/benchmarks/dft_inputs/{material}_{system}.tsv"
    localrule: True
    params:
        step=lambda wildcards: dft.inputs_step(SETTINGS, wildcards.material, wildcards.system).canonical(),
    message:
        "DFT: write the VASP inputs of {wildcards.material} {wildcards.system}"
    shell:
        "{ECMPIPE} dft-inputs --step {params.step:q} --material {wildcards.material} --system {wildcards.system}"
        " --structures {input.structures} --output {output} > {log} 2>&1"


rule dft_run:
    input:
        structures="results/dft/{material}/structures.json",
        upstream=upstream_runs,
    output:
        "results/dft/{material}/runs/{batch}.json",
    log:
        "results/logs/dft/{material}/{batch}.log",
    benchmark:
        "results/benchmarks/dft_run/{material}_{batch}.tsv"
    params:
        step=lambda wildcards: dft.run_step(SETTINGS, wildcards.material, wildcards.batch).canonical(),
    message:
        "DFT: calculate {wildcards.batch} of {wildcards.material}"
    shell:
        "{ECMPIPE} dft-run --step {params.step:q} --material {wildcards.material} --batch {wildcards.batch}"
        " --structures {input.structures} --upstream {input.upstream} --output {output}"
        " --work results/dft/{wildcards.material}/work > {log} 2>&1"


rule dft_delithiation:
    input:
        run_results("delithiation"),
    output:
        curve="results/dft/{material}/delithiation.csv",
        hull="results/dft/{material}/delithiation_hull.csv",
    log:
        "results/logs/dft/{material}/delithiation.log",
    benchmark:
        "results/benchmarks/dft_delithiation/{material}.tsv"
    localrule: True
    params:
        step=lambda wildcards: dft.delithiation_step(SETTINGS, wildcards.material).canonical(),
    message:
        "DFT: V(x) and E_eq(x) of {wildcards.material}"
    shell:
        "{ECMPIPE} dft-delithiation --step {params.step:q} --material {wildcards.material} --runs {input} --output {output.curve} --output-hull {output.hull} > {log} 2>&1"


rule dft_crystal:
    input:
        run_results("crystal"),
    output:
        "results/dft/{material}/crystal.json",
    log:
        "results/logs/dft/{material}/crystal.log",
    benchmark:
        "results/benchmarks/dft_crystal/{material}.tsv"
    localrule: True
    params:
        step=lambda wildcards: dft.crystal_step(SETTINGS, wildcards.material).canonical(),
    message:
        "DFT: the relaxed cell of {wildcards.material}"
    shell:
        "{ECMPIPE} dft-crystal --step {params.step:q} --material {wildcards.material} --runs {input} --output {output} > {log} 2>&1"


rule dft_elastic:
    input:
        run_results("elastic"),
    output:
        "results/dft/{material}/elastic.json",
    log:
        "results/logs/dft/{material}/elastic.log",
    benchmark:
        "results/benchmarks/dft_elastic/{material}.tsv"
    localrule: True
    params:
        step=lambda wildcards: dft.elastic_step(SETTINGS, wildcards.material).canonical(),
    message:
        "DFT: elastic constants of {wildcards.material}"
    shell:
        "{ECMPIPE} dft-elastic --step {params.step:q} --material {wildcards.material} --runs {input} --output {output} > {log} 2>&1"


rule dft_surfaces:
    input:
        [f"results/dft/{material}/runs/{batch}.json" for material in MATERIALS for batch in dft.batches_of(SETTINGS, material, "surfaces")],
    output:
        "results/dft/surfaces.json",
    log:
        "results/logs/dft/surfaces.log",
    benchmark:
        "results/benchmarks/dft_surfaces/all.tsv"
    localrule: True
    params:
        step=lambda wildcards: dft.surfaces_step(SETTINGS).canonical(),
    message:
        "DFT: surface energies"
    shell:
        "{ECMPIPE} dft-surfaces --step {params.step:q} --runs {input} --output {output} > {log} 2>&1"
