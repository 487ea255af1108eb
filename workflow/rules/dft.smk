rule dft_structures:
    localrule: True
    input:
        crystal=lambda wildcards: SETTINGS.dft.materials[wildcards.material].crystal,
    output:
        "results/dft/{material}/structures.json",
    params:
        step=lambda wildcards: dft.structures_step(SETTINGS, wildcards.material).canonical(),
    log:
        "results/logs/dft/{material}/structures.log",
    benchmark:
        "results/benchmarks/dft_structures/{material}.tsv"
    message:
        "DFT: build the {wildcards.material} crystal, its slab and its Li orderings"
    shell:
        "{ECMPIPE} dft-structures --step {params.step:q} --material {wildcards.material} --crystal {input.crystal:q}"
        " --output {output} > {log} 2>&1"


rule dft_inputs:
    localrule: True
    input:
        structures="results/dft/{material}/structures.json",
    output:
        expand("results/dft/{{material}}/vasp/{{system}}/{file}", file=VASP_FILES),
    params:
        step=lambda wildcards: dft.inputs_step(SETTINGS, wildcards.material, wildcards.system).canonical(),
    log:
        "results/logs/dft/{material}/inputs_{system}.log",
    benchmark:
        "results/benchmarks/dft_inputs/{material}_{system}.tsv"
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
    params:
        step=lambda wildcards: dft.run_step(SETTINGS, wildcards.material, wildcards.batch).canonical(),
    log:
        "results/logs/dft/{material}/{batch}.log",
    benchmark:
        "results/benchmarks/dft_run/{material}_{batch}.tsv"
    message:
        "DFT: calculate {wildcards.batch} of {wildcards.material}"
    shell:
        "{ECMPIPE} dft-run --step {params.step:q} --material {wildcards.material} --batch {wildcards.batch}"
        " --structures {input.structures} --upstream {input.upstream} --output {output}"
        " --work results/dft/{wildcards.material}/work > {log} 2>&1"


rule dft_delithiation:
    localrule: True
    input:
        run_results("delithiation"),
    output:
        "results/dft/{material}/delithiation.csv",
    params:
        step=lambda wildcards: dft.delithiation_step(SETTINGS, wildcards.material).canonical(),
    log:
        "results/logs/dft/{material}/delithiation.log",
    benchmark:
        "results/benchmarks/dft_delithiation/{material}.tsv"
    message:
        "DFT: V(x) and E_eq(x) of {wildcards.material}"
    shell:
        "{ECMPIPE} dft-delithiation --step {params.step:q} --material {wildcards.material} --runs {input} --output {output} > {log} 2>&1"


rule dft_crystal:
    localrule: True
    input:
        run_results("crystal"),
    output:
        "results/dft/{material}/crystal.json",
    params:
        step=lambda wildcards: dft.crystal_step(SETTINGS, wildcards.material).canonical(),
    log:
        "results/logs/dft/{material}/crystal.log",
    benchmark:
        "results/benchmarks/dft_crystal/{material}.tsv"
    message:
        "DFT: the relaxed cell of {wildcards.material}"
    shell:
        "{ECMPIPE} dft-crystal --step {params.step:q} --material {wildcards.material} --runs {input} --output {output} > {log} 2>&1"


rule dft_elastic:
    localrule: True
    input:
        run_results("elastic"),
    output:
        "results/dft/{material}/elastic.json",
    params:
        step=lambda wildcards: dft.elastic_step(SETTINGS, wildcards.material).canonical(),
    log:
        "results/logs/dft/{material}/elastic.log",
    benchmark:
        "results/benchmarks/dft_elastic/{material}.tsv"
    message:
        "DFT: elastic constants of {wildcards.material}"
    shell:
        "{ECMPIPE} dft-elastic --step {params.step:q} --material {wildcards.material} --runs {input} --output {output} > {log} 2>&1"


rule dft_surfaces:
    localrule: True
    input:
        [
            f"results/dft/{material}/runs/{batch}.json"
            for material in MATERIALS
            for batch in dft.batches_of(SETTINGS, material, "surfaces")
        ],
    output:
        "results/dft/surfaces.json",
    params:
        step=lambda wildcards: dft.surfaces_step(SETTINGS).canonical(),
    log:
        "results/logs/dft/surfaces.log",
    benchmark:
        "results/benchmarks/dft_surfaces/all.tsv"
    message:
        "DFT: surface energies"
    shell:
        "{ECMPIPE} dft-surfaces --step {params.step:q} --runs {input} --output {output} > {log} 2>&1"
