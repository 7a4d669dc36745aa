"""Where pages lie: beside `results`, within any other folder, never outside of what was named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.results import baselines, report_places, store
from bench.results.report_places import page_of_folder, page_there, report_folder, reports_folder, shared_folder


@pytest.mark.parametrize(
    ("run", "page"),
    [
        ("results/r", "reports/r/index.html"),
        ("a/results/r", "a/reports/r/index.html"),
        ("nightly/r", "nightly/reports/r/index.html"),
        ("results/nightly/r", "results/nightly/reports/r/index.html"),
        ("a/b/../results/r", "{cwd}/a/reports/r/index.html"),
    ],
)
def test_pages_lie_beside_results_and_within_other_folders(run: str, page: str) -> None:
    assert str(page_of_folder(Path(run))) == page.format(cwd=os.getcwd())


def test_a_run_is_named_from_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "results" / "r"
    run.mkdir(parents=True)
    for folder, named in ((run, "."), (run.parent, "r"), (run, "../r")):
        monkeypatch.chdir(folder)
        assert page_of_folder(Path(named)).resolve() == tmp_path / "reports" / "r" / "index.html"
    monkeypatch.chdir(run.parent)
    assert reports_folder(Path(".")).resolve() == tmp_path / "reports"


def test_stages_and_baselines_are_one_floor_below(tmp_path: Path) -> None:
    results = tmp_path / "results"
    stage, baseline = results / "g" / "screen", results / baselines.FOLDER / "name"
    for folder in (stage, baseline):
        folder.mkdir(parents=True)
    (stage.parent / store.GATE).touch()
    (baseline / baselines.FILE).touch()
    assert report_folder(stage) == tmp_path / "reports" / "g" / "screen"
    assert report_folder(baseline) == tmp_path / "reports" / "baselines" / "name"
    assert shared_folder([stage, baseline, results / "r"]) == tmp_path / "reports" / "g-screen+baselines-name+r"


def test_a_page_at_the_old_place_is_found_until_there_is_a_new_one(tmp_path: Path) -> None:
    run = tmp_path / "results" / "r"
    run.mkdir(parents=True)
    new, old = page_of_folder(run), run / "report.html"
    assert page_there(run) == new
    old.touch()
    assert page_there(run) == old
    new.parent.mkdir(parents=True)
    new.touch()
    assert page_there(run) == new


name = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=300)


@given(st.lists(name, min_size=2, max_size=30), st.lists(name, min_size=2, max_size=30))
def test_the_folder_of_several_runs_has_a_name_of_bounded_length(names: list[str], others: list[str]) -> None:
    found = report_places.shared_name(names)
    assert 0 < len(os.fsencode(found)) < 200
    assert "/" not in found
    if names != others and "+" not in "".join([*names, *others]):
        assert found != report_places.shared_name(others)


def test_git_does_not_see_the_folder(tmp_path: Path) -> None:
    """Else a page would make the commit of the next run a dirty one, and the run would be in no history."""
    folder = report_places.make_reports_folder(tmp_path / "results")
    assert (folder / ".gitignore").read_text() == "*\n"
    (folder / ".gitignore").write_text("")  # whoever wants to keep pages in git may
    report_places.make_reports_folder(tmp_path / "results")
    assert (folder / ".gitignore").read_text() == ""
