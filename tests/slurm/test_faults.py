"""What the scheduler does to jobs, and what comes of it under the project's profile. The outcome stands in each test's name."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.slurm.conftest import finish, jobs, start, until


def test_a_rule_that_always_fails_runs_exactly_three_times(tiny) -> None:
    folder = tiny("""
        rule all:
            output: "never.txt"
            shell: "echo run >> count.txt; exit 7"
    """)
    code, said = finish(start(folder), folder)
    assert code == 1 and "never.txt" in said
    assert (folder / "count.txt").read_text().split() == ["run"] * 3  # the profile's retries: 2


def test_a_job_that_is_killed_for_memory_gets_more_and_succeeds(tiny) -> None:
    folder = tiny("""
        rule all:
            output: "done.txt"
            resources: mem_mb=lambda wildcards, attempt: 500 * attempt
            shell:
                "echo {resources.mem_mb} >> tries.txt;"
                " python3 -c 'x = bytearray(600_000_000); import time; time.sleep(6)' && touch {output}"
    """)
    code, said = finish(start(folder), folder)
    assert code == 0, said[-2000:]
    assert (folder / "tries.txt").read_text().split()[0] == "500" and len((folder / "tries.txt").read_text().split()) in (2, 3)


def test_a_cancelled_job_is_a_failure_and_nobody_hangs(tiny) -> None:
    folder = tiny("""
        rule all:
            output: "done.txt"
            shell: "touch started; sleep 300; touch {output}"
    """)
    process = start(folder, "--retries", "0")
    until((folder / "started").exists)
    subprocess.run(["scancel", *jobs()], check=True)
    code, said = finish(process, folder, 180)
    assert code == 1 and not (folder / "done.txt").exists()


def test_a_node_that_goes_down_costs_an_attempt_and_the_job_runs_again(tiny) -> None:
    folder = tiny("""
        rule all:
            output: "done.txt"
            shell: "echo $SLURMD_NODENAME >> nodes.txt; if [ $(wc -l < nodes.txt) = 1 ]; then sleep 300; fi; touch {output}"
    """)
    process = start(folder)
    until((folder / "nodes.txt").exists)
    node = (folder / "nodes.txt").read_text().split()[0]
    subprocess.run(["scontrol", "update", f"nodename={node}", "state=down", "reason=test"], check=True)
    code, said = finish(process, folder, 300)
    assert code == 0, said[-2000:]
    assert len((folder / "nodes.txt").read_text().split()) == 2  # on either node: a living slurmd brings its own back


def test_the_controller_may_restart_under_a_running_job(tiny) -> None:
    folder = tiny("""
        rule all:
            output: "done.txt"
            shell: "touch started; sleep 25; touch {output}"
    """)
    process = start(folder)
    until((folder / "started").exists)
    pid = int(Path(_root() / "pid/slurmctld").read_text())
    os.kill(pid, signal.SIGTERM)
    until(lambda: not Path(f"/proc/{pid}").exists())
    time.sleep(3)
    subprocess.run(["/usr/sbin/slurmctld"], check=True)
    code, said = finish(process, folder, 240)
    assert code == 0, said[-2000:]


def _root() -> Path:
    return Path(os.environ.get("ROOT", Path(os.environ.get("TMPDIR", "/tmp")) / "ecmpipe-slurm"))


def test_snakemake_killed_outright_leaves_jobs_that_the_next_start_names(tiny) -> None:
    folder = tiny("""
        import sys
        from ecmpipe.errors import SettingsError
        from ecmpipe.orphans import refuse_orphans
        try:
            if workflow.is_main_process:
                refuse_orphans()
        except SettingsError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        rule all:
            output: "done.txt"
            shell: "echo x >> started; sleep 60; touch {output}"
    """)
    process = start(folder)
    until((folder / "started").exists)
    (orphan,) = jobs()
    process.kill()
    process.wait()
    code, said = finish(start(folder, "--nolock"), folder)
    assert code == 2 and orphan in said and f"scancel {orphan}" in said
    subprocess.run(["scancel", orphan], check=True)
    until(lambda: not jobs())
    subprocess.run(["sed", "-i", "s/sleep 60/true/", "Snakefile"], cwd=folder, check=True)
    code, said = finish(start(folder, "--nolock"), folder)
    assert code == 0 and (folder / "done.txt").exists(), said[-2000:]


def test_ctrl_c_cancels_the_jobs(tiny) -> None:
    folder = tiny("""
        rule all:
            output: "done.txt"
            shell: "touch started; sleep 300; touch {output}"
    """)
    process = start(folder)
    until((folder / "started").exists)
    process.send_signal(signal.SIGINT)
    code, said = finish(process, folder, 120)
    assert code != 0
    until(lambda: not jobs("R,PD"), 60)
