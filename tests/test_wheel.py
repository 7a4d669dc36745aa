"""The wheel, built and installed into an empty folder: what users have, far from the checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from conftest import ROOT

import bench

pytestmark = pytest.mark.skipif(shutil.which("uv") is None, reason="builds the wheel with uv, which nox[uv] brings")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the installed wheel and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["uv", "build", "--wheel", "--quiet", "--out-dir", str(folder / "dist"), str(ROOT)]
    subprocess.run([*build, "--build-constraint", str(ROOT / "constraints.txt")], check=True, timeout=120)
    (wheel,) = (folder / "dist").glob("*.whl")
    install = ["uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--python", sys.executable]
    subprocess.run([*install, "--target", str(folder / "site"), str(wheel)], check=True, timeout=120)
    return folder / "site"


def python(*arguments: str, path: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` with this path; -P and -I would hide it."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "PYTHONPATH": path, **variables}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def of_wheel(site: Path) -> Distribution:
    (found,) = distributions(path=[str(site)])
    return found


def test_it_has_the_package_its_types_and_its_suites(site: Path, tmp_path: Path) -> None:
    code = (
        "import bench, json\n"
        "print(json.dumps([bench.__file__, bench.__version__, sorted(bench.__all__), sorted(bench.suites())]))"
    )
    done = python("-c", code, path=str(site), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    file, version, names, suites = json.loads(done.stdout)
    assert Path(file) == site / "bench" / "__init__.py"
    assert version == bench.__version__ == of_wheel(site).version
    assert names == sorted(bench.__all__)
    assert {"overhead", "precision", "scaling", "compile", "loader"} <= set(suites)
    assert set(suites) <= {path.stem.replace("_", "-") for path in (site / "bench" / "suites").glob("*.py")}
    assert (site / "bench" / "py.typed").exists()
    assert not list(site.glob("tests")) + list(site.glob("suites")) + list(site.glob("peers"))


def test_its_long_description_has_no_link_that_leads_nowhere(site: Path) -> None:
    """README; tests/site has it rendered, with and without the address of a repository."""
    told = of_wheel(site).metadata
    text = told.get_payload()
    assert told["Description-Content-Type"] == "text/markdown"
    assert text.startswith("# loopmark")
    assert len(text.splitlines()) <= 60
    assert not re.findall(r"\]\((?!https:)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def test_it_has_two_scripts_that_do_the_same(site: Path, tmp_path: Path) -> None:
    scripts = {entry.name: entry.value for entry in of_wheel(site).entry_points if entry.group == "console_scripts"}
    assert scripts == {"bench": "bench.__main__:main", "loopmark": "loopmark:main"}
    assert {path.name for path in (site / "bin").iterdir()} >= set(scripts)
    said = [
        python(*program, "list", path=str(site), cwd=tmp_path)
        for program in (("-m", "bench"), ("-m", "loopmark"), (str(site / "bin" / "loopmark"),))
    ]
    assert [done.returncode for done in said] == [0, 0, 0], [done.stderr for done in said]
    assert said[0].stdout == said[1].stdout == said[2].stdout
    assert "overhead[loop=trainer,batch_size=64]" in said[0].stdout


FOREIGN = {
    "another package": "__all__ = ['timeit']\ndef timeit(): ...\n",
    "one that fails": "import no_such_module_of_theirs\n",
    "one that fails at length": "raise RuntimeError('first\\nsecond')\n",
    "one that leaves": "import sys; sys.exit('theirs')\n",
    "one with our names": "__all__ = ['Workload']\nWorkload = None\n",
}


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that says that another package was found."""
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("loopmark: the package `bench` that Python finds is not loopmark's"), line
    assert "environment of its own" in line
    return line


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("form", ["bench/__init__.py", "bench.py"])
def test_a_foreign_package_before_ours_is_told(site: Path, tmp_path: Path, kind: str, form: str) -> None:
    file = tmp_path / "theirs" / form
    file.parent.mkdir(parents=True)
    file.write_text(FOREIGN[kind])
    path = f"{tmp_path / 'theirs'}{os.pathsep}{site}"
    line = refused(python("-m", "loopmark", "list", path=path, cwd=tmp_path))
    if kind in ("another package", "one with our names"):
        assert f"found at {file}" in line


@pytest.mark.parametrize("kind", [kind for kind in FOREIGN if kind != "one with our names"])
def test_a_foreign_package_that_has_overwritten_ours_is_told(site: Path, tmp_path: Path, kind: str) -> None:
    shutil.copytree(site, tmp_path / "site")
    (tmp_path / "site" / "bench" / "__init__.py").write_text(FOREIGN[kind])
    refused(python("-m", "loopmark", "list", path=str(tmp_path / "site"), cwd=tmp_path))


def test_it_measures(site: Path, tmp_path: Path) -> None:
    code = (
        "import bench\n"
        "run = bench.run('overhead', set={'loop': 'plain', 'batch_size': 32, 'samples': 512}, budget=4, instrument=0)\n"
        "bench.write_report(run)\n"
        "print(len(run.cells), set(run.cells['outcome']) <= {'ok', 'noisy'}, bench.verify(run).differences)\n"
    )
    done = python("-c", code, path=str(site), cwd=tmp_path)
    assert done.stdout == "2 True []\n", done.stderr


def test_it_trains_far_from_the_checkout_and_knows_the_checkouts_names(site: Path, tmp_path: Path) -> None:
    """A folder `bench` where the user stands is not taken for ours; a class has its name of the checkout, too."""
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").write_text("raise SystemExit('theirs')\n")
    words = ("fit", "--model", "suites.autoencoder_lightning.LitAutoEncoder", "--print_config")
    done = python("-P", "-m", "bench", "train", *words, path=str(site), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "class_path: " in done.stdout
    assert "default_root_dir: trainings" in done.stdout
