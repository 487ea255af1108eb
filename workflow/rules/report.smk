ADHESION = ["results/dft/interface.json"] if SETTINGS.dft.interface else []
FITS = expand("results/hyperelastic/{polymer}.json", polymer=POLYMERS)
HISTORIES = [f"results/fem/{variant}/{filler}/{c_rate}C/history.csv" for variant, filler, c_rate in CASES]
SUMMARIES = [f"results/fem/{variant}/{filler}/{c_rate}C/summary.json" for variant, filler, c_rate in CASES]
PARAMETERS = list(dict.fromkeys(f"results/fem/{variant}/{filler}/parameters.json" for variant, filler, _ in CASES))
NAMES = ["overview", "overpotential", "variants", "stress_stretch", "delithiation"] + [
    f"fields_{variant}_{filler}_{c_rate}C" for variant, filler, c_rate in CASES
]
FIGURES = expand("results/report/figures/{name}.png", name=NAMES)


rule report_figures:
    input:
        cases=HISTORIES,
        fields=[path.replace("history.csv", "fields.xdmf") for path in HISTORIES],
        heavy=[path.replace("history.csv", "fields.h5") for path in HISTORIES],
        summaries=SUMMARIES,
        fits=FITS,
        curves=expand("results/hyperelastic/{polymer}_curve.csv", polymer=POLYMERS),
        delithiation="results/dft/ncm811/delithiation.csv",
    output:
        report(FIGURES, caption="../report/figure.rst", category="Figures"),
    log:
        "results/logs/report/figures.log",
    benchmark:
        "results/benchmarks/report_figures/all.tsv"
    localrule: True
    params:
        step=lambda wildcards: report_settings.figures_step(SETTINGS).canonical(),
    message:
        "Report: draw the figures"
    shell:
        "{ECMPIPE} report-figures --step {params.step:q} --cases {input.cases} {input.fields} {input.summaries}"
        " --curves {input.curves} --fits {input.fits} --delithiation {input.delithiation} --output {output} > {log} 2>&1"


rule report_summary:
    input:
        crystals=expand("results/dft/{material}/crystal.json", material=MATERIALS),
        elastics=expand("results/dft/{material}/elastic.json", material=MATERIALS),
        surfaces="results/dft/surfaces.json",
        delithiation="results/dft/ncm811/delithiation.csv",
        fits=FITS,
        cases=SUMMARIES,
        histories=HISTORIES,
        adhesion=ADHESION,
    output:
        "results/report/summary.json",
    log:
        "results/logs/report/summary.log",
    benchmark:
        "results/benchmarks/report_summary/all.tsv"
    localrule: True
    params:
        step=lambda wildcards: report_settings.summary_step(SETTINGS).canonical(),
    message:
        "Report: collect the headline numbers"
    shell:
        "{ECMPIPE} report-summary --step {params.step:q} --crystals {input.crystals} --elastics {input.elastics}"
        " --surfaces {input.surfaces} --delithiation {input.delithiation} --fits {input.fits} --cases {input.cases} {input.histories}"
        " --adhesion {input.adhesion} --output {output} > {log} 2>&1"


rule report_page:
    input:
        summary="results/report/summary.json",
        figures=FIGURES,
        parameters=PARAMETERS,
    output:
        report("results/report/index.html", caption="../report/page.rst", category="Report"),
    log:
        "results/logs/report/page.log",
    benchmark:
        "results/benchmarks/report_page/all.tsv"
    localrule: True
    params:
        step=lambda wildcards: report_settings.summary_step(SETTINGS).canonical(),
    message:
        "Report: write results/report/index.html"
    shell:
        "{ECMPIPE} report-page --step {params.step:q} --summary {input.summary} --figures {input.figures}"
        " --parameters {input.parameters} --benchmarks results/benchmarks --output {output} > {log} 2>&1"
