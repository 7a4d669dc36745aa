"""What drives a TPU, and what cells of `accelerator=tpu` are called, without a TPU and without torch_xla."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, SUITES
from synthetic import make

from bench.analysis.summary import summarize
from bench.axes.accelerators import accelerator, accelerators, tpu, xla
from bench.axes.precision import PRECISIONS
from bench.plan import discovery
from bench.plan.cell import Plan
from bench.plan.plan import make_plan
from bench.plan.suite import Suite


def install(where: Path, name: str, version: str, *metadata: str) -> None:
    """A package with its metadata, as an installer leaves it."""
    (where / name).mkdir()
    (where / name / "__init__.py").write_text("raise ImportError('asked without being imported')\n")
    info = where / f"{name}-{version}.dist-info"
    info.mkdir()
    head = ("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}")
    (info / "METADATA").write_text("\n".join([*head, *metadata]))


TORCH_TPU = ("Requires-Dist: libtpu>=0.0.50", "Requires-Dist: torch>=2.11.0,<=2.15.0")


def test_torch_tpu_is_known_by_its_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "torch_tpu", "0.2.0", *TORCH_TPU)
    monkeypatch.syspath_prepend(tmp_path)
    assert tpu.no_torch_tpu() is None
    assert isinstance(accelerator("tpu"), tpu.TorchTPU)
    assert accelerator("tpu").name == "tpu"
    # Lightning knows nothing of it.
    assert accelerator("tpu", lightning=True) is accelerators()["tpu"]


@pytest.mark.parametrize("metadata", [("Summary: processors of another maker",), ("Requires-Dist: torch",)])
def test_another_package_of_that_name_is_not_taken_for_it(
    metadata: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "torch_tpu", "2.1.0", *metadata)
    monkeypatch.syspath_prepend(tmp_path)
    assert "is not TorchTPU's: it is that of torch_tpu 2.1.0" in str(tpu.no_torch_tpu())
    assert accelerator("tpu") is accelerators()["tpu"]


def test_a_module_that_hides_the_distribution_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    install(second, "torch_tpu", "0.2.0", *TORCH_TPU)
    (first / "torch_tpu.py").write_text("")
    monkeypatch.syspath_prepend(second)
    monkeypatch.syspath_prepend(first)
    assert "is not TorchTPU's" in str(tpu.no_torch_tpu())


def test_a_module_without_a_distribution_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch_tpu").mkdir()
    (tmp_path / "torch_tpu" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert "belongs to no distribution" in str(tpu.no_torch_tpu())


def test_torch_xla_for_another_torch_is_no_torch_xla(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "torch_xla", "1.2.0")
    monkeypatch.syspath_prepend(tmp_path)
    assert "torch_xla 1.2.0 needs torch 1.2, and torch 2." in str(xla.no_torch_xla())


def plan(*settings: str, select: str | None = None, suite: str = "overhead") -> Plan:
    suites: dict[str, Suite] = {name: made for name, (made, _) in discovery.all_suites([SUITES]).items()}
    return make_plan(suites, [suite], settings=settings, select=select)


@pytest.mark.usefixtures("processes")
def test_without_a_tpu_a_cell_is_unsupported_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PJRT_DEVICE", raising=False)
    monkeypatch.setattr(tpu, "GOOGLE", "0xffffffff")  # also where there is one
    cells = plan("accelerator=tpu", "batch_size=64").cells
    assert {cell.point["accelerator"] for cell in cells} == {"tpu"}
    assert {cell.unsupported for cell in cells} == {"no TPU on this machine: no PCI device of vendor 0xffffffff"}
    unasked = plan("accelerator=xla-cpu", "batch_size=64").cells
    assert {cell.unsupported for cell in unasked} == {"set PJRT_DEVICE=CPU to run torch_xla on the CPU"}


@pytest.mark.usefixtures("processes")
def test_on_the_cpu_device_no_cell_is_called_tpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PJRT_DEVICE", "CPU")
    made = plan("accelerator=tpu,xla-cpu,cpu", "batch_size=64")
    assert len({group.id for group in made.groups}) == len(made.groups) == 2
    assert {cell.point["accelerator"] for cell in made.cells} == {"xla-cpu", "cpu"}
    assert not [cell.id for cell in made.cells if "tpu" in f"{cell.id} {cell.group} {cell.baseline}"]
    compared = plan("loop=plain", suite="devices-apart")
    assert [cell.point["accelerator"] for cell in compared.cells] == ["cpu", "cpu", "xla-cpu"]


@pytest.mark.usefixtures("processes")
def test_only_interpreters_of_xla_cells_import_torch_xla(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PJRT_DEVICE", "CPU")
    cells = plan("accelerator=cpu,tpu", "batch_size=64").cells
    preloads = {(cell.point["accelerator"], cell.point["loop"]): cell.preload for cell in cells}
    assert preloads["cpu", "plain"] == ("torch",)
    assert preloads["cpu", "fabric"] == ("torch", "lightning")
    assert preloads["xla-cpu", "plain"] == ("torch", "torch_xla")
    assert preloads["xla-cpu", "trainer"] == ("torch", "torch_xla", "lightning")


def test_precisions_on_xla_are_those_of_the_loop() -> None:
    for name in ("tpu", "xla-cpu"):
        refuses = accelerators()[name].unsupported_precision
        lightning = {precision for precision in PRECISIONS if not refuses(precision, lightning=True)}
        assert lightning == {"32-true", "bf16-true", "16-true"}  # 16-true it takes, and XLA ignores: read back
        assert refuses("16-mixed", lightning=False) is not None
        assert refuses("bf16-mixed", lightning=False) is None


def test_a_lazy_device_has_no_ceilings() -> None:
    request = {"kind": "xla-cpu", "threads": 1, "cores": [], "budget": 1.0}
    command = [sys.executable, "-c", "from bench.machine.calibrate import main; main()", json.dumps(request)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True, timeout=60)
    assert "torch_xla is lazy" in json.loads(done.stdout)["unsupported"]


def test_figures_of_the_cpu_device_and_late_compilations_are_warned_of() -> None:
    run = make(launches=3)
    assert not summarize(run).warnings

    def changed(**effective: Any) -> list[str]:
        records = tuple(replace(record, effective={**record.effective, **effective}) for record in run.records)
        return list(summarize(replace(run, records=records)).warnings)

    assert [text for text in changed(accelerator="xla-cpu") if "its figures say nothing of a TPU" in text]
    assert not changed(compilations_timed=0)
    late = [text for text in changed(compilations_timed=2) if "XLA compiled 6 graphs within timed turns" in text]
    assert len(late) == len({record.cell for record in run.records})
