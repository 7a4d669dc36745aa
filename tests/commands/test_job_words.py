"""What jobs are asked for, refused for, and said to be, without a Slurm; tests/slurm asks a real one."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import cli
from bench.cli.arguments import given_options, selection_of_arguments
from bench.commands import slurm_queue
from bench.commands.job_request import OPTIONS, JobRequest, minutes_of, needed_seconds, refusals, run_words
from bench.commands.job_task import task_command
from bench.commands.selection import Selection
from bench.commands.slurm_queue import ENDED_STATES, Partition, QueuedTask, seconds_of_limit
from bench.commands.submit import TaskStatus, state_of
from bench.engine.options import Options
from bench.errors import RunError
from bench.plan.quantities import duration, fraction
from bench.report.jobs import jobs_document, jobs_table
from bench.results import jobs, store
from bench.results.jobs import JobFile, TaskFile

# Slurm 22.05.8, two partitions, with what does not matter here left out.
PARTITIONS = """\
PartitionName=main AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL Default=YES MaxNodes=UNLIMITED MaxTime=1-00:30:00 \
Nodes=node[1-2] State=UP TotalCPUs=4 TotalNodes=2 DefMemPerNode=UNLIMITED
PartitionName=gold AllowAccounts=mine,ours Default=NO MaxNodes=1 MaxTime=UNLIMITED State=DOWN TotalNodes=8
"""
MAIN, GOLD = slurm_queue.read_partitions(PARTITIONS)


def test_partitions_are_read_as_slurm_writes_them() -> None:
    assert Partition("main", True, 88200.0, 2, True) == MAIN
    assert Partition("gold", False, math.inf, 1, False, ("mine", "ours")) == GOLD


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2:00", 120), ("01:00:00", 3600), ("1-02:03:04", 93784), ("UNLIMITED", math.inf), ("NONE", math.inf)],
)
def test_limits_are_read(text: str, seconds: float) -> None:
    assert seconds_of_limit(text) == seconds


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (JobRequest(), []),
        (JobRequest(partition="mian"), ["unknown partition 'mian'; allowed: main, gold"]),
        (
            JobRequest(time=60.0),
            ["--time 60 s: the run's budget, its start and its end need 330 s; allowed: 6m or more"],
        ),
        (
            JobRequest(time=90000.0),
            ["--time 90000 s: partition main allows 88200 s at most; partitions that allow it: gold"],
        ),
        (JobRequest(nodes=3), ["--nodes 3: partition main has 2; allowed: 1 to 2"]),
        (JobRequest(array=7), ["--array 7: the plan has 3 groups, each for 2 tasks; allowed: 1 to 6"]),
        (JobRequest(array=4, copies=1), ["--array 4: the plan has 3 groups, each for 1 tasks; allowed: 1 to 3"]),
        (JobRequest(account="x\ny"), ["--account 'x\\ny' is not possible; allowed: a text of one line"]),
        (
            JobRequest(partition="gold", account="yours", nodes=2),
            ["gold starts no jobs now; allowed: main", "has 1; allowed: 1 to 1", "'yours'; allowed: mine, ours"],
        ),
    ],
)
def test_all_that_slurm_would_refuse_is_told_at_once(request_: JobRequest, told: list[str]) -> None:
    found = refusals(request_, needed_seconds(180.0, 30.0), 3, [MAIN, GOLD])
    assert len(found) == len(told)
    assert all(part in sentence for part, sentence in zip(told, found, strict=True)), found


def test_without_a_default_partition_one_has_to_be_named() -> None:
    (told,) = refusals(JobRequest(), 100.0, 1, [GOLD])
    assert told == "no --partition was named, and Slurm has no default; allowed: gold"


@given(st.floats(1.0, 1e6), st.floats(0.0, 1e6))
def test_a_job_has_the_time_of_its_budget_and_of_the_least(budget: float, least: float) -> None:
    needed = needed_seconds(budget, least)
    assert needed > max(budget, least)
    assert refusals(JobRequest(time=60.0 * minutes_of(needed)), needed, 1, [replace(MAIN, limit=math.inf)]) == []


# As they come from a command line or from Python: what is written is what the same texts are read as.
GIVEN = st.fixed_dictionaries(
    {},
    optional={
        "budget": st.floats(1.0, 1e5).map(lambda value: duration(f"{value:.3f}")),
        "precision_goal": st.floats(0.001, 0.5).map(lambda value: fraction(f"{value:.6f}")),
        "timeout": st.integers(1, 1000).map(float),
        "seed": st.integers(0, 10**9),
        "threads": st.integers(1, 64),
        "memory_limit": st.integers(1, 2**40),
        "instrument": st.integers(0, 5),
        "until": st.sampled_from(["trainer < 5%", "fabric/plain < 30us and trainer > 1.05x"]),
        "launches": st.integers(1, 99),
    },
)
SELECTIONS = st.builds(
    Selection,
    suites=st.lists(st.sampled_from(["overhead", "a/b c.py", "null"]), max_size=2).map(tuple),
    settings=st.lists(st.sampled_from(["loop=plain,trainer", "batch_size=64"]), max_size=2).map(tuple),
    select=st.sampled_from([None, "plain and not twin", "(a or b)"]),
    compare=st.sampled_from([None, "batch_size"]),
    folders=st.lists(st.sampled_from([Path("suites"), Path("/my suites")]), max_size=2).map(tuple),
)


@given(SELECTIONS, GIVEN, st.sampled_from([None, 2]))
def test_what_a_job_runs_is_what_was_asked_for(
    selection: Selection, given: dict[str, object], devices: int | None
) -> None:
    read = cli.parser().parse_args(run_words(selection, given, devices))
    assert replace(selection_of_arguments(read), threads=1) == selection
    assert given_options(read) == given
    assert read.devices == devices


def test_options_of_a_run_are_known_to_jobs() -> None:
    """So none of them is lost on the way; the others are not the command's."""
    assert {*OPTIONS} <= {*vars(Options())}
    read = cli.parser().parse_args(["run"])
    assert all(hasattr(read, name) for name in OPTIONS)


def a_job(tmp_path: Path, tasks: int = 1) -> JobFile:
    return JobFile(
        schema=jobs.JOB_SCHEMA,
        name="20261126-153000-abcd",
        submitted="2026-11-26T15:30:00+00:00",
        asked={"nodes": 2},
        command=("run", "scaling", "--budget=60"),
        launcher=("--launcher", "slurm", "--nodes", "2"),
        where=str(tmp_path),
        out=str(tmp_path),
        runs=tuple(f"20261126-153000-abcd-{number + 1}" for number in range(tasks)),
        copies=2,
        slurm="17",
        cancelled=None,
    )


def test_a_task_begins_its_run_and_goes_on_with_it_the_next_time(tmp_path: Path) -> None:
    job = a_job(tmp_path, tasks=3)
    run = job.run_folder(2)
    begun = cli.parser().parse_args(task_command(job, 2, run))
    assert (begun.share, begun.copies, begun.name) == ("2/3", 2, run.name)
    assert (begun.launcher, begun.nodes, begun.out, begun.budget) == ("slurm", 2, tmp_path, 60.0)
    run.mkdir()
    assert task_command(job, 2, run)[:2] == ["run", "scaling"]  # it was killed before it wrote anything
    (run / store.RUN).touch()
    again = cli.parser().parse_args(task_command(job, 2, run))
    assert (again.resume, again.launcher, again.nodes, again.out) == (str(run), "slurm", 2, tmp_path)
    assert again.suites == []


def test_a_job_is_found_by_name_folder_and_number(tmp_path: Path) -> None:
    job = a_job(tmp_path, tasks=2)
    folder = tmp_path / jobs.JOBS / job.name
    folder.mkdir(parents=True)
    jobs.write_job(folder, job)
    begun = TaskFile(jobs.JOB_SCHEMA, "running", "17_1", "node1", 0, "2026-11-26T15:31:00+00:00")
    jobs.write_task(folder, 2, begun)
    for which in (job.name, str(folder), "17", "17_1"):
        found = jobs.find_job(which, tmp_path)
        assert (found.file, found.tasks) == (job, {2: begun})
    assert [job.task_id(number) for number in (1, 2)] == ["17_0", "17_1"]
    with pytest.raises(RunError, match=r"unknown job '18'; allowed: 20261126-153000-abcd \(17\)"):
        jobs.find_job("18", tmp_path)
    (folder / "task-2.json").write_text("{}")
    with pytest.raises(RunError, match=r"task-2\.json: "):
        jobs.find_job("17", tmp_path)


def test_a_run_has_the_name_that_it_was_given_once(tmp_path: Path) -> None:
    out, name = tmp_path / "results", "20261126-153000-abcd-2"
    for _ in range(2):  # killed before it wrote anything, it has its folder again
        opened = store.create(out, name)
        assert opened.folder == out / name
        opened.close()
    (out / name / store.RUN).touch()
    with pytest.raises(RunError, match=rf"a run is there already; to go on with it: bench run --resume .*{name}"):
        store.create(out, name)
    for odd in ("first", "../20261126-153000-a", "20261126-153000-a/b", "20261126-153000-" + 300 * "a"):
        with pytest.raises(RunError, match=r"is no name of a run; allowed: a time, by which runs are sorted"):
            store.create(out, odd)
    assert [path.name for path in out.iterdir()] == [name]


def task(state: jobs.TaskEnd, reason: str = "") -> TaskFile:
    return TaskFile(jobs.JOB_SCHEMA, state, "17", "node1", 0, "2026-11-26T15:31:00+00:00", reason=reason)


@pytest.mark.parametrize(
    ("theirs", "own", "seen", "cancelled", "state", "reason"),
    [
        ("PENDING", None, "", False, "pending", "Priority"),
        ("PENDING", task("cancelled"), "", False, "requeued", "Priority"),
        ("RUNNING", task("running"), "", False, "running", ""),
        ("COMPLETING", task("running"), "", False, "running", ""),
        ("COMPLETING", task("timeout", "up"), "", False, "timeout", "up"),
        ("RUNNING", task("timeout", "up"), "", False, "running", ""),  # it was requeued since
        ("COMPLETED", task("completed"), "", False, "completed", ""),
        ("COMPLETED", task("timeout", "up"), "", False, "timeout", "up"),  # the run ended in time
        ("TIMEOUT", task("running"), "", False, "timeout", "ended by Slurm"),
        ("CANCELLED", task("cancelled", "ended"), "", True, "cancelled", "ended"),
        ("CANCELLED", None, "", True, "cancelled", "Priority"),
        ("NODE_FAIL", task("running"), "", False, "node-fail", "Priority"),
        ("FAILED", task("failed", "status 2"), "", False, "failed", "status 2"),
        ("NEW_WORD", None, "", False, "unknown", "Slurm does not know it, and it never began"),
        # forgotten by Slurm
        (None, task("completed"), "", False, "completed", ""),
        (None, task("cancelled", "ended"), "", True, "cancelled", "ended"),
        (None, task("running"), "NODE_FAIL", False, "node-fail", "a node of it failed"),
        (None, task("running"), "", True, "cancelled", ""),
        (None, task("running"), "", False, "unknown", "it ran when it last said so"),
        (None, None, "", True, "cancelled", ""),
        (None, None, "", False, "unknown", "it never began"),
    ],
)
def test_states(theirs: str | None, own: TaskFile | None, seen: str, cancelled: bool, state: str, reason: str) -> None:
    queued = QueuedTask("17", theirs, "Priority", "node1") if theirs else None
    found, told = state_of(queued, own, seen, cancelled=cancelled)
    assert found == state
    assert reason in told
    assert bool(reason) == bool(told)


def test_what_squeue_prints_is_read() -> None:
    text = "17_0|RUNNING|None|node1\n17_1|PENDING|Resources|\nslurm_load_jobs: odd\n"
    assert slurm_queue.read_queue(text) == [
        QueuedTask("17_0", "RUNNING", "None", "node1"),
        QueuedTask("17_1", "PENDING", "Resources", ""),
    ]


def test_complaints_are_one_line() -> None:
    said = "sbatch: error: Batch job submission failed: Invalid account\nsbatch: more\n"
    assert slurm_queue.complaint("sbatch", said) == "sbatch: Batch job submission failed: Invalid account; more"
    assert slurm_queue.complaint("sbatch", "\n") == "sbatch: ended without a word"


def test_the_table_says_what_to_do_next(tmp_path: Path) -> None:
    whole = TaskStatus(
        job="j", task=1, tasks=2, slurm="17_0", state="timeout", reason="its time was up\x1b[31m", nodes="node[1-2]",
        run=tmp_path / "r", records=12, outcomes={"crashed": 2, "ok": 10}, log=tmp_path / "log",
    )  # fmt: skip
    failed = replace(whole, task=2, state="failed", records=0, outcomes={})
    text = jobs_table([whole, failed])
    assert "j 1/2 (17_0)" in text
    assert "10 ok, 2 crashed" in text
    assert "\x1b" not in text
    assert f"to go on with it: bench run --resume {tmp_path / 'r'}" in text
    assert text.count("bench run --resume") == 1
    assert f"run of j 2/2 (17_0): {tmp_path / 'r'}\n  its log: {tmp_path / 'log'}" in text
    assert "  - j 1/2 (17_0): its time was up" in text
    (first, _) = jobs_document([whole, failed])["jobs"]
    assert (first["state"], first["records"], first["run"]) == ("timeout", 12, str(tmp_path / "r"))
    assert {*ENDED_STATES} < {*slurm_queue.STATES}
