"""The project's commands, each in an environment of its own: `nox -s bench`, `nox -s tests`, `nox -s lint`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys

import nox
from nox.command import CommandFailed

if shutil.which("uv") is None and importlib.util.find_spec("uv") is None:
    sys.exit('noxfile.py: uv is not installed, and every session is built with it; run: pip install "nox[uv]"')

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"  # installing into a complete environment takes a second, building a new one many
nox.options.sessions = ["bench"]

GROUPS = nox.project.load_toml("pyproject.toml")["dependency-groups"]
# What trains on XLA, and the loops on the CPU with the oldest torch that is supported.
XLA_TESTS = [
    "tests/axes/test_xla.py",
    "tests/axes/test_tpu.py",
    "tests/axes/test_loops.py",
    "tests/axes/test_precision.py",
    "tests/arm/test_stream.py",
]
# What trains with the packages of the extra `loops`.
EXTRAS_TESTS = ["tests/extras", "tests/axes/test_loops.py", "tests/axes/test_epochs.py"]
SLOWEST = "--durations=25"
NOTHING_SELECTED = 5  # pytest's exit code
CELLS_FAILED = 3  # exit code of a run in which cells failed; its report shows them, so it is written all the same


def _install(session: nox.Session, *what: str, versions: str = "constraints.txt") -> None:
    session.install(*what, "--constraint", versions, "--build-constraint", versions)
    # uv compiles nothing, so the first import does, and must be let: on 2 slow cores `import lightning` takes 13 s
    # from source and 4.4 s from bytecode, in every interpreter that a run starts.
    session.env["PYTHONDONTWRITEBYTECODE"] = ""


def _run_tests(session: nox.Session, arguments: list[str]) -> None:
    """Run pytest with these arguments; all tests that a lone `-m EXPR` selects in two processes, a file at a time."""
    if len(arguments) != 2 or arguments[0] != "-m":
        session.run("pytest", SLOWEST, *arguments)
        return
    # Imports take one core, and most of a process test is imports or waiting: of two cores one would stand still.
    two = ["-n", "2", "--dist", "loadfile"]
    session.run("pytest", SLOWEST, *two, "-m", f"({arguments[1]}) and not alone")
    session.run("pytest", SLOWEST, "-m", f"({arguments[1]}) and alone", success_codes=[0, NOTHING_SELECTED])


@nox.session
def bench(session: nox.Session) -> None:
    """Run the default suite, or `bench run` with the arguments after `--`; write the report and print its path."""
    # From the wheel, as users have it. uv takes a local project for unchanged as long as its pyproject.toml is.
    _install(session, ".", "--reinstall-package", "loopmark")
    try:
        session.run("bench", "run", *(session.posargs or ["overhead"]))
    except CommandFailed as failed:
        if getattr(failed, "return_code", None) == CELLS_FAILED:  # older versions of nox do not tell
            session.run("bench", "report")
        raise
    session.run("bench", "report")


@nox.session
def history(session: nox.Session) -> None:
    """Run the default suite, or `bench run` with the arguments after `--`, at this commit; publish, draw the history.

    asv's pages go to .asv/html, and the same history as one page that needs no network to .asv/history.html.
    """
    if session.run("git", "status", "--porcelain", external=True, silent=True):
        session.error("files differ from the commit, so no commit names what would be measured; commit them first")
    _install(session, ".[history]", "--reinstall-package", "loopmark")
    failed: CommandFailed | None = None
    try:
        session.run("bench", "run", *(session.posargs or ["overhead"]))
    except CommandFailed as error:
        if getattr(error, "return_code", None) != CELLS_FAILED:  # failed cells are a part of the history
            raise
        failed = error
    session.run("bench", "export", "asv")
    session.run("asv", "publish", "--no-pull")
    session.run("bench", "history", "--html", ".asv/history.html")
    if failed is not None:
        raise failed


@nox.session
def quick(session: nox.Session) -> None:
    """Run the tests that need no process and no torch, in seconds, with pytest's arguments after `--`."""
    _install(session, "--editable", ".[history,train,tune]", *GROUPS["tests"])
    # Of matrices this small, the threads of the linear algebra would mostly wait for each other.
    session.run("python", "-m", "tests.quick", SLOWEST, *session.posargs, env={"OPENBLAS_NUM_THREADS": "1"})


@nox.session
def tests(session: nox.Session) -> None:
    """Run pytest, with the arguments after `--`; without any, all tests but long ones and simulations in full.

    With `-m EXPR` alone, too, two processes share the files, and tests that are marked `alone` come after them.
    """
    _install(session, "--editable", ".[history,train,tune]", *GROUPS["tests"])
    _run_tests(session, session.posargs or ["-m", "not long and not simulation"])


@nox.session
def faults(session: nox.Session) -> None:
    """Do all faults of tests/faults to the program, write the table of marks; `-- -k EXPR` for some, `-- --list`.

    About 45 minutes on 2 slow cores. It goes on where an earlier session was stopped.
    """
    _install(session, "--editable", ".[history,train,tune]", *GROUPS["tests"])
    kept = ["--json", "results/faults.json", "--markdown", "results/faults.md"]
    session.run("python", "-m", "tests.faults", *kept, *session.posargs)


@nox.session
def documented(session: nox.Session) -> None:
    """Run every command of README and docs as it stands, those that take minutes too."""
    _install(session, "--editable", ".[history,train,tune]", *GROUPS["tests"])
    session.run("pytest", "tests/test_documented_commands.py", *session.posargs, env={"BENCH_DOCUMENTED": "all"})


@nox.session(python="3.11")
def xla(session: nox.Session) -> None:
    """Train all loops through torch_xla, on PJRT's CPU device, and run pytest with the arguments after `--`."""
    # The last torch_xla needs an older torch than all other sessions have, and so has versions of its own.
    _install(session, "--editable", ".", *GROUPS["tests"], *GROUPS["xla"], versions="constraints-xla.txt")
    session.run("pytest", *(session.posargs or XLA_TESTS), env={"PJRT_DEVICE": "CPU"})


@nox.session
def cuda(session: nox.Session) -> None:
    """Check a machine with CUDA devices in ten minutes, and write a dated page under docs/measurements; or say so.

    After `--` the arguments of `python -m tests.cuda`, which runs straight from a checkout, too: --budget, -k, --out.
    """
    _install(session, "--editable", ".[nvidia]", *GROUPS["tests"])
    session.run("python", "-m", "tests.cuda", *session.posargs)


@nox.session
def tensorboard(session: nox.Session) -> None:
    """Let TensorBoard's profiler plugin read real traces. Apart from `tests`: it changes Trainer's default logger."""
    _install(session, "--editable", ".[trace,train]", *GROUPS["tests"])
    session.run(
        "pytest",
        "tests/commands/test_trace.py",
        "tests/extras/test_tensorboard_training.py",
        "-k",
        "tensorboard",
        *session.posargs,
    )


@nox.session
def extras(session: nox.Session) -> None:
    """Train loops of other libraries, and run pytest with the arguments after `--`. Apart from `tests`: rich is there.

    Their tests are not there where a package of theirs is missing; here that would be seen.
    """
    _install(session, "--editable", ".[loops,train,tune,notebook,parquet]", *GROUPS["tests"], *GROUPS["readers"])
    session.run("pytest", SLOWEST, *(session.posargs or EXTRAS_TESTS), env={"BENCH_EXTRAS": "all"})


@nox.session
def browser(session: nox.Session) -> None:
    """Open the pages in chromium, and run pytest with the arguments after `--`.

    Debian's chromium is installed if it is missing; whoever is not root is told to.
    """
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            session.error("chromium is missing; run as root: apt-get install chromium")
        session.run("apt-get", "update", external=True)
        session.run("apt-get", "install", "--yes", "chromium", external=True, env={"DEBIAN_FRONTEND": "noninteractive"})
    _install(session, "--editable", ".[history,train,tune]", *GROUPS["tests"], *GROUPS["browser"])
    session.run("pytest", SLOWEST, *(session.posargs or ["tests/browser"]), env={"BENCH_BROWSER": "all"})


@nox.session
def slurm(session: nox.Session) -> None:
    """Submit jobs to a real Slurm of two nodes on this machine, with pytest's arguments after `--`; needs root.

    Debian's packages are installed if they are missing; nothing of them is configured or started but by the tests.
    """
    if shutil.which("slurmctld", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin") is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            session.error("Slurm is missing; run as root: apt-get install slurm-wlm munge")
        session.run("apt-get", "update", external=True)
        # Their services would start with the packages, without a configuration, and fail.
        env = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        session.run("apt-get", "install", "--yes", "slurm-wlm", "munge", external=True, env=env)
    _install(session, "--editable", ".[history,train,tune,slurm]", *GROUPS["tests"])
    session.run("pytest", SLOWEST, *(session.posargs or ["tests/slurm", "tests/netns"]), env={"BENCH_SLURM": "all"})


@nox.session
def mutants(session: nox.Session) -> None:
    """Put a small fault in for each trap of docs/traps.md, in a copy, and see whether its test notices.

    After `--` the numbers of some traps.
    """
    _install(session, "--editable", ".[history,train,tune]", *GROUPS["tests"])
    session.run("python", "-m", "tests.mutants", *session.posargs)


@nox.session
def peers(session: nox.Session) -> None:
    """Measure the same step with asv, pytest-benchmark, torch.utils.benchmark, pyperf and bench: A against A.

    With `-- --quick` each tool once, to see that it works.
    """
    _install(session, "--editable", ".", *GROUPS["peers"])
    session.run("python", "-m", "peers.run", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Make the site of docs/ under site/, strictly, and check it: nothing dangles, nothing comes from a network."""
    _install(session, "--editable", ".", *GROUPS["tests"], *GROUPS["docs"])
    # Material prints an advertisement for its successor otherwise.
    session.run("python", "-m", "mkdocs", "build", "--strict", "--clean", env={"NO_MKDOCS_2_WARNING": "1"})
    session.run("pytest", "tests/site", *session.posargs, env={"BENCH_SITE": "site"})


@nox.session
def lint(session: nox.Session) -> None:
    """Check style with ruff and types with mypy, strictly."""
    # The project's dependencies are there for their types, and nox for the noxfile's.
    _install(session, "--editable", ".", *GROUPS["lint"])
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")
    session.run("mypy")
