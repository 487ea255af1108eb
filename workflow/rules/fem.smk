rule fem_parameters:
    input:
        cathode_crystal="results/dft/ncm811/crystal.json",
        cathode_elastic="results/dft/ncm811/elastic.json",
        electrolyte_crystal="results/dft/lgps/crystal.json",
        electrolyte_elastic="results/dft/lgps/elastic.json",
        surfaces="results/dft/surfaces.json",
        hyperelastic=lambda wildcards: [] if wildcards.filler == "none" else f"results/hyperelastic/{wildcards.filler}.json",
        adhesion=["results/dft/interface.json"] if SETTINGS.fem.toughness == "computed" else [],
    output:
        "results/fem/{filler}/parameters.json",
    log:
        "results/logs/fem/{filler}/parameters.log",
    benchmark:
        "results/benchmarks/fem_parameters/{filler}.tsv"
    localrule: True
    params:
        step=lambda wildcards: fem.parameters_step(SETTINGS, wildcards.filler).canonical(),
    message:
        "FEM: every number of the {wildcards.filler} filler case, with its source"
    shell:
        "{ECMPIPE} fem-parameters --step {params.step:q} --filler {wildcards.filler}"
        " --cathode-crystal {input.cathode_crystal} --cathode-elastic {input.cathode_elastic}"
        " --electrolyte-crystal {input.electrolyte_crystal} --electrolyte-elastic {input.electrolyte_elastic}"
        " --surfaces {input.surfaces} --hyperelastic {input.hyperelastic}"
        " --adhesion {input.adhesion} --output {output} > {log} 2>&1"


rule fem_run:
    input:
        parameters="results/fem/{filler}/parameters.json",
        delithiation="results/dft/ncm811/delithiation.csv",
    output:
        history="results/fem/{filler}/{c_rate}C/history.csv",
        fields="results/fem/{filler}/{c_rate}C/fields.xdmf",
        heavy="results/fem/{filler}/{c_rate}C/fields.h5",
        summary="results/fem/{filler}/{c_rate}C/summary.json",
    log:
        "results/logs/fem/{filler}/{c_rate}C.log",
    benchmark:
        "results/benchmarks/fem_run/{filler}_{c_rate}C.tsv"
    params:
        step=lambda wildcards: fem.run_step(SETTINGS, wildcards.filler, wildcards.c_rate).canonical(),
    message:
        "FEM: charge at {wildcards.c_rate} C, filler {wildcards.filler}"
    shell:
        "{ECMPIPE} fem-run --step {params.step:q} --filler {wildcards.filler} --c-rate {wildcards.c_rate}"
        " --parameters {input.parameters} --delithiation {input.delithiation} --output {output.history}"
        " --output-fields {output.fields} --output-summary {output.summary}"
        " --work results/fem/{wildcards.filler}/{wildcards.c_rate}C/work > {log} 2>&1"
