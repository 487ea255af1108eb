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
        "DFT: build the ordered {wildcards.material} crystals and their Li orderings"
    shell:
        "{ECMPIPE} dft-structures --step {params.step:q} --material {wildcards.material} --crystal {input.crystal:q}"
        " --output {output} > {log} 2>&1"


rule dft_slabs:
    input:
        crystal=lambda wildcards: SETTINGS.dft.materials[wildcards.material].crystal,
        structures="results/dft/{material}/structures.json",
        runs=bulk_run,
    output:
        "results/dft/{material}/slabs.json",
    log:
        "results/logs/dft/{material}/slabs.log",
    benchmark:
        "results/benchmarks/dft_slabs/{material}.tsv"
    localrule: True
    params:
        step=lambda wildcards: dft.slabs_step(SETTINGS, wildcards.material).canonical(),
    message:
        "DFT: cut the slabs of {wildcards.material} from its relaxed bulk"
    shell:
        "{ECMPIPE} dft-slabs --step {params.step:q} --material {wildcards.material} --crystal {input.crystal:q}"
        " --structures {input.structures} --runs {input.runs} --output {output} > {log} 2>&1"


rule dft_inputs:
    input:
        lambda wildcards: bulk_run(wildcards) if wildcards.system == "bulk" else f"results/dft/{wildcards.material}/slabs.json",
    output:
        expand("results/dft/{{material}}/vasp/{{system}}/{file}", file=VASP_FILES),
    log:
        "results/logs/dft/{material}/inputs_{system}.log",
    benchmark:
        "results/benchmarks/dft_inputs/{material}_{system}.tsv"
    localrule: True
    params:
        step=lambda wildcards: dft_runs.inputs_step(SETTINGS, wildcards.material, wildcards.system).canonical(),
    message:
        "DFT: write the VASP inputs of {wildcards.material} {wildcards.system}"
    shell:
        "{ECMPIPE} dft-inputs --step {params.step:q} --material {wildcards.material} --system {wildcards.system}"
        " --cells {input} --output {output} > {log} 2>&1"


rule dft_run:
    input:
        cells=starting_cells,
        upstream=upstream_runs,
    output:
        "results/dft/{subject}/runs/{batch}.json",
    log:
        "results/logs/dft/{subject}/{batch}.log",
    benchmark:
        "results/benchmarks/dft_run/{subject}_{batch}.tsv"
    resources:
        tasks=1,
        runtime=cost.dft_minutes(SETTINGS),
        mem_mb=lambda wildcards, attempt: cost.dft_memory(SETTINGS, attempt),
    params:
        step=lambda wildcards: dft_runs.run_step(SETTINGS, wildcards.subject, wildcards.batch).canonical(),
    message:
        "DFT: calculate {wildcards.batch} of {wildcards.subject}"
    shell:
        "SLURM_NTASKS={resources.tasks} {ECMPIPE} dft-run --step {params.step:q} --material {wildcards.subject} --batch {wildcards.batch}"
        " --cells {input.cells} --upstream {input.upstream} --output {output}"
        " --work results/dft/{wildcards.subject}/work --runtime {resources.runtime} > {log} 2>&1"


rule dft_interface:
    input:
        cathode_crystal=side_file("cathode", "crystal"),
        electrolyte_crystal=side_file("electrolyte", "crystal"),
        cathode_structures=side_file("cathode", "structures"),
        electrolyte_structures=side_file("electrolyte", "structures"),
        cathode_runs=side_file("cathode", "runs"),
        electrolyte_runs=side_file("electrolyte", "runs"),
    output:
        "results/dft/interface/structures.json",
    log:
        "results/logs/dft/interface/structures.log",
    benchmark:
        "results/benchmarks/dft_interface/all.tsv"
    localrule: True
    params:
        step=lambda wildcards: dft.interface_step(SETTINGS).canonical(),
    message:
        "DFT: match the two slabs to one interface"
    shell:
        "{ECMPIPE} dft-interface --step {params.step:q}"
        " --cathode-crystal {input.cathode_crystal:q} --electrolyte-crystal {input.electrolyte_crystal:q}"
        " --cathode-structures {input.cathode_structures} --electrolyte-structures {input.electrolyte_structures}"
        " --cathode-runs {input.cathode_runs} --electrolyte-runs {input.electrolyte_runs} --output {output} > {log} 2>&1"


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
        structures="results/dft/{material}/structures.json",
        runs=run_results("elastic"),
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
        "{ECMPIPE} dft-elastic --step {params.step:q} --material {wildcards.material} --structures {input.structures} --runs {input.runs} --output {output} > {log} 2>&1"


rule dft_surfaces:
    input:
        slabs=expand("results/dft/{material}/slabs.json", material=MATERIALS),
        runs=[
            f"results/dft/{material}/runs/{batch}.json"
            for material in MATERIALS
            for batch in dft_runs.batches_of(SETTINGS, material, "surfaces")
        ],
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
        "{ECMPIPE} dft-surfaces --step {params.step:q} --slabs {input.slabs} --runs {input.runs} --output {output} > {log} 2>&1"


rule dft_adhesion:
    input:
        structures="results/dft/interface/structures.json",
        runs=lambda wildcards: [
            f"results/dft/interface/runs/{batch}.json" for batch in dft_runs.batches_of(SETTINGS, INTERFACE, "adhesion")
        ],
    output:
        "results/dft/interface.json",
    log:
        "results/logs/dft/adhesion.log",
    benchmark:
        "results/benchmarks/dft_adhesion/all.tsv"
    localrule: True
    params:
        step=lambda wildcards: dft.adhesion_step(SETTINGS).canonical(),
    message:
        "DFT: work of adhesion of the interface"
    shell:
        "{ECMPIPE} dft-adhesion --step {params.step:q} --structures {input.structures} --runs {input.runs} --output {output} > {log} 2>&1"
