rule fem_calibrate:
    input:
        cathode_crystal="results/dft/ncm811/crystal.json",
        cathode_elastic="results/dft/ncm811/elastic.json",
        electrolyte_crystal="results/dft/lgps/crystal.json",
        electrolyte_elastic="results/dft/lgps/elastic.json",
        surfaces="results/dft/surfaces.json",
        delithiation="results/dft/ncm811/delithiation.csv",
        mesh=lambda wildcards: fem.mesh_files(SETTINGS, fem.DEFAULT),
    output:
        "results/fem/toughness.json",
    log:
        "results/logs/fem/toughness.log",
    benchmark:
        "results/benchmarks/fem_calibrate/toughness.tsv"
    resources:
        runtime=cost.calibrate_minutes(SETTINGS),
        mem_mb=lambda wildcards, attempt: cost.fem_memory(attempt),
    params:
        step=lambda wildcards: fem.calibrate_step(SETTINGS).canonical(),
    message:
        "FEM: calibrate the toughness of the interface on the onset at 1 C"
    shell:
        "{ECMPIPE} fem-calibrate --step {params.step:q} --cathode-crystal {input.cathode_crystal} --cathode-elastic {input.cathode_elastic}"
        " --electrolyte-crystal {input.electrolyte_crystal} --electrolyte-elastic {input.electrolyte_elastic}"
        " --surfaces {input.surfaces} --delithiation {input.delithiation} --output {output} --work results/fem/toughness.work > {log} 2>&1"


rule fem_parameters:
    input:
        cathode_crystal="results/dft/ncm811/crystal.json",
        cathode_elastic="results/dft/ncm811/elastic.json",
        electrolyte_crystal="results/dft/lgps/crystal.json",
        electrolyte_elastic="results/dft/lgps/elastic.json",
        surfaces="results/dft/surfaces.json",
        hyperelastic=lambda wildcards: [] if wildcards.filler == "none" else f"results/hyperelastic/{wildcards.filler}.json",
        adhesion=lambda wildcards: ["results/dft/interface.json"] if fem.toughness_of(SETTINGS, wildcards.variant) == "computed" else [],
        toughness=lambda wildcards: ["results/fem/toughness.json"] if fem.toughness_of(SETTINGS, wildcards.variant) == "calibrated" else [],
    output:
        "results/fem/{variant}/{filler}/parameters.json",
    log:
        "results/logs/fem/{variant}/{filler}/parameters.log",
    benchmark:
        "results/benchmarks/fem_parameters/{variant}_{filler}.tsv"
    localrule: True
    params:
        step=lambda wildcards: fem.parameters_step(SETTINGS, wildcards.variant).canonical(),
    message:
        "FEM: every number of the {wildcards.variant} case, filler {wildcards.filler}, with its source"
    shell:
        "{ECMPIPE} fem-parameters --step {params.step:q} --filler {wildcards.filler}"
        " --cathode-crystal {input.cathode_crystal} --cathode-elastic {input.cathode_elastic}"
        " --electrolyte-crystal {input.electrolyte_crystal} --electrolyte-elastic {input.electrolyte_elastic}"
        " --surfaces {input.surfaces} --hyperelastic {input.hyperelastic}"
        " --adhesion {input.adhesion} --toughness {input.toughness} --output {output} > {log} 2>&1"


rule fem_run:
    input:
        parameters="results/fem/{variant}/{filler}/parameters.json",
        delithiation="results/dft/ncm811/delithiation.csv",
        mesh=lambda wildcards: fem.mesh_files(SETTINGS, wildcards.variant),
    output:
        history="results/fem/{variant}/{filler}/{c_rate}C/history.csv",
        fields="results/fem/{variant}/{filler}/{c_rate}C/fields.xdmf",
        heavy="results/fem/{variant}/{filler}/{c_rate}C/fields.h5",
        summary="results/fem/{variant}/{filler}/{c_rate}C/summary.json",
    log:
        "results/logs/fem/{variant}/{filler}/{c_rate}C.log",
    benchmark:
        "results/benchmarks/fem_run/{variant}_{filler}_{c_rate}C.tsv"
    resources:
        runtime=lambda wildcards: cost.fem_minutes(SETTINGS),
        mem_mb=lambda wildcards, attempt: cost.fem_memory(attempt),
    params:
        step=lambda wildcards: fem.run_step(SETTINGS, wildcards.variant).canonical(),
    message:
        "FEM: {wildcards.variant} case at {wildcards.c_rate} C, filler {wildcards.filler}"
    shell:
        "{ECMPIPE} fem-run --step {params.step:q} --filler {wildcards.filler} --c-rate {wildcards.c_rate}"
        " --parameters {input.parameters} --delithiation {input.delithiation} --output {output.history}"
        " --output-fields {output.fields} --output-summary {output.summary}"
        " --work results/fem/{wildcards.variant}/{wildcards.filler}/{wildcards.c_rate}C/work --runtime {resources.runtime} > {log} 2>&1"
