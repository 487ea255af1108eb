rule hyperelastic_fit:
    input:
        cells=expand("results/md/{{polymer}}/box_{box}/equilibrated.json", box=range(SETTINGS.md.boxes)),
        runs=expand(
            "results/md/{{polymer}}/tensile/{box}_{axis}_{replica}.csv",
            box=range(SETTINGS.md.boxes),
            axis=SETTINGS.md.axes,
            replica=range(SETTINGS.md.replicas),
        ),
    output:
        card="results/hyperelastic/{polymer}.json",
        curve="results/hyperelastic/{polymer}_curve.csv",
    log:
        "results/logs/hyperelastic/{polymer}.log",
    benchmark:
        "results/benchmarks/hyperelastic_fit/{polymer}.tsv"
    localrule: True
    params:
        step=lambda wildcards: hyperelastic.fit_step(SETTINGS, wildcards.polymer).canonical(),
    message:
        "Hyperelastic: fit S.37 to the {wildcards.polymer} curves"
    shell:
        "{ECMPIPE} hyperelastic-fit --step {params.step:q} --polymer {wildcards.polymer} --cells {input.cells} --runs {input.runs}"
        " --output {output.card} --output-curve {output.curve} > {log} 2>&1"
