"""What is read from a disk: every field replaced by every wrong type, and taken out; chains, anchors, borders."""

from __future__ import annotations

import copy
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from histories import save
from old_runs import record_as_of, run_as_of
from synthetic import make
from tiers import Choice

from bench.analysis import confirmation
from bench.analysis.summary import summarize
from bench.commands import false_alarms
from bench.errors import RunError
from bench.machine import calibration
from bench.report import html, schemas, verify
from bench.results import baselines, chain, decoding, run_info, store
from bench.results.record import RECORD_SCHEMA, decode_line, encode_record
from bench.stats.intervals import Interval

WRONG: tuple[Any, ...] = (
    *(None, True, -1, 3, 1.5, 10**400, 1e300, "", "text", [], [[]], {}, {"a": []}),
    *(float("nan"), float("-inf")),
)
RUN = make(launches=1, rounds=8, lengths={32: 0.8e-3}, instrument=1)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in JSON data; of lists, the first two items."""
    yield path
    if isinstance(value, dict):
        for name, part in value.items():
            yield from places(part, (*path, name))
    elif isinstance(value, list):
        for index, part in enumerate(value[:2]):
            yield from places(part, (*path, index))


def without(data: Any, path: tuple[Any, ...]) -> Any:
    made = copy.deepcopy(data)
    inside = made
    for step in path[:-1]:
        inside = inside[step]
    del inside[path[-1]]
    return made


# Of "some" cases, one in seven: it has no divisor with the number of ways to spoil a place, so all have their turn.
def spoiled(data: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every way to spoil JSON data by one change, with the place; each is undone for the next, as copies take long."""
    yield from (((), value) for value in WRONG)
    made = copy.deepcopy(data)
    for path in itertools.islice(places(data), 1, None):
        inside = made
        for step in path[:-1]:
            inside = inside[step]
        kept = inside[path[-1]]
        for value in WRONG:
            inside[path[-1]] = value
            yield path, made
        inside[path[-1]] = kept
        yield path, without(data, path)


def outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call gives, or the one message that it ends in."""
    try:
        return call(*arguments)
    except RunError as error:
        return str(error)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(RUN, tmp_path_factory.mktemp("saved"))


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / RUN.id))


def told(folder: Path) -> None:
    """Whatever may be told of a run is told, or one message says why not."""
    run = store.read_run(folder)
    summary = summarize(run)
    verify.page_differences(run, html.render(run, summary, drawings=()), ())


def test_a_record_with_one_wrong_value_is_one_message_or_means_something(tmp_path: Path, cases: Choice) -> None:
    timed = json.loads(json.dumps(encode_record(RUN.records[1])))
    instrumented = json.loads(json.dumps(encode_record(RUN.instrumented[0])))
    refused, one_in = 0, cases(7, 1)
    for line in (timed, instrumented):
        for path, data in itertools.islice(spoiled(line), 0, None, one_in):
            found = outcome(decode_line, json.dumps(data).encode(), tmp_path / "records.jsonl:7")
            if isinstance(found, str):
                assert found.startswith(f"{tmp_path}/records.jsonl:7: "), path
                assert len(found) < 2000
                refused += 1
            else:  # what was taken is what was written: no value is made into another
                assert json.loads(json.dumps(encode_record(found))) == {**data, "schema": RECORD_SCHEMA}, path
    assert refused > 1000 / one_in


def test_a_run_json_with_one_wrong_value_is_one_message_or_is_told(folder: Path, cases: Choice) -> None:
    path = folder / store.RUN
    info = json.loads(path.read_text())
    refused, one_in = 0, cases(7, 1)
    for number, (place, data) in enumerate(itertools.islice(spoiled(info), 0, None, one_in)):
        path.write_text(json.dumps(data))
        found = outcome(store.read_run, folder)
        if isinstance(found, str):
            assert found.startswith(str(folder)), place
            refused += 1
        elif number % 25 == 0:  # to summarize all would take minutes
            told(folder)
    assert refused > 500 / one_in


@pytest.mark.parametrize(
    "place",
    [
        ("plan",),
        ("plan", "cells"),
        ("plan", "cells", 0, "id"),
        ("options",),
        ("argv",),
        ("environment",),
        ("stops",),
        ("timing",),
        ("started",),
        ("files",),
        ("sides",),
        ("run",),
        ("schema",),
        ("digests",),
        ("records",),
        ("loopmark",),
        ("finished",),
    ],
)
def test_a_run_json_without_a_key_names_file_and_field(folder: Path, place: tuple[Any, ...]) -> None:
    path = folder / store.RUN
    path.write_text(json.dumps(without(json.loads(path.read_text()), place)))
    with pytest.raises(RunError, match=rf"run\.json: .*{place[-1]}"):
        store.read_run(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda plan: plan["cells"].append(plan["cells"][0]), "is the id of an earlier cell"),
        (lambda plan: plan["cells"][0].update(suite="other"), "unknown suite 'other'; allowed: overhead"),
        (lambda plan: plan["cells"][0].update(group="other"), "unknown group 'other'"),
        (lambda plan: plan["cells"][1].update(baseline="other"), "unknown cell of its group 'other'"),
        (lambda plan: plan["cells"][0]["point"].pop("loop"), "unknown axis 'loop'"),
        (lambda plan: plan["cells"][0]["point"].pop("batch_size"), "unknown axis 'batch_size'"),
        (lambda plan: plan["suites"]["overhead"]["axes"].update(loop=[]), "length >= 1"),
        (lambda plan: plan["groups"].append("empty"), "'empty' has no cells"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    path = folder / store.RUN
    info = json.loads(path.read_text())
    change(info["plan"])
    path.write_text(json.dumps(info))
    with pytest.raises(RunError, match=words):
        store.read_run(folder)


@pytest.mark.parametrize("name", [store.RUN, store.RECORDS, store.ANCHOR])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.mkdir(), "it is a folder"),
        (lambda path: os.mkfifo(path), "a pipe or a device"),
        (lambda path: path.write_bytes(b"\xff\xfe\n"), "not readable: "),
        (lambda path: path.write_text("[" * 200_000 + "\n"), r"nested too deeply|expected `object`"),
        (lambda path: path.write_text('{"a": 1, "a": 2}\n'), "twice|missing|not a run|unknown field"),
        (lambda path: path.symlink_to(path), "Too many levels"),
    ],
    ids=["folder", "pipe", "bytes", "brackets", "twice", "loop"],
)
def test_what_is_no_file_of_ours_is_one_message(
    folder: Path, name: str, spoil: Callable[[Path], object], words: str
) -> None:
    (folder / name).unlink()
    spoil(folder / name)
    with pytest.raises(RunError, match=words) as caught:
        store.read_run(folder)
    assert str(caught.value).startswith(str(folder / name))


def lines_of(folder: Path) -> list[str]:
    return (folder / store.RECORDS).read_text().splitlines()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:-1], "the last 1 are gone"),
        (lambda lines: [], "the last 7 are gone"),
        (lambda lines: [*lines[:2], *lines[3:]], "line 3 is not as it was written"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "line 1 is not as it was written"),
        (lambda lines: [lines[0].replace('"ready":0.1', '"ready":0.2'), *lines[1:]], "line 1 is not as it was written"),
        (lambda lines: [re_chained(lines[0]), *lines[1:]], "line 2 is not as it was written"),
    ],
    ids=["last", "all", "middle", "exchanged", "edited", "made anew"],
)
def test_records_that_are_not_those_that_were_written_are_told_and_joined_to_nothing(
    folder: Path, change: Callable[[list[str]], list[str]], words: str
) -> None:
    assert len(lines_of(folder)) == 7
    (folder / store.RECORDS).write_text("".join(line + "\n" for line in change(lines_of(folder))))
    run = store.read_run(folder)
    assert [sentence for sentence in run.broken if words in sentence]
    with pytest.raises(RunError, match=words):
        store.intact(run)
    assert [text for text in summarize(run).warnings if words in text]
    with pytest.raises(RunError, match=words):
        baselines.save_baseline("main", run, folder.parent)


def re_chained(line: str) -> str:
    data = json.loads(line)
    del data["chain"]
    data["ready"] = 0.5
    return chain.seal_lines([json.dumps(data, separators=(",", ":"))], chain.NOTHING)[0].rstrip("\n")


def test_a_record_that_is_there_twice_is_refused(folder: Path) -> None:
    records = folder / store.RECORDS
    records.write_text(records.read_text() + lines_of(folder)[0] + "\n")
    with pytest.raises(RunError, match=r"records\.jsonl:8: launch 0 of .* is there already, in .*records\.jsonl:1"):
        store.read_run(folder)


def test_what_another_program_wrote_down_again_is_the_same_record(folder: Path) -> None:
    records = folder / store.RECORDS
    before = store.read_run(folder)
    records.write_text("".join(json.dumps(json.loads(line)) + "\n" for line in lines_of(folder)) + "\n\n")
    assert store.read_run(folder) == before
    assert before.covered
    assert before.broken == ()


def test_options_that_were_edited_are_told(folder: Path) -> None:
    path = folder / store.RUN
    info = json.loads(path.read_text())
    path.write_text(json.dumps({**info, "options": {**info["options"], "seed": 7}}))
    assert [text for text in store.read_run(folder).broken if "the options are not those" in text]


def old(folder: Path) -> None:
    """The run as an older version wrote it."""
    info = json.loads((folder / store.RUN).read_text())
    for name in ("digests", "records"):
        del info[name]
    (folder / store.RUN).write_text(json.dumps(run_as_of(2, info)))
    lines = [json.loads(line) for line in lines_of(folder)]
    for data in lines:
        del data["chain"]
    lines = [record_as_of(2, data) for data in lines]
    (folder / store.RECORDS).write_text("".join(json.dumps(data) + "\n" for data in lines))
    (folder / store.ANCHOR).unlink()


def test_a_run_of_an_older_version_is_read_and_says_that_nothing_covers_it(folder: Path) -> None:
    before = store.read_run(folder)
    old(folder)
    run = store.read_run(folder)
    # Which of two interpreters an arm came from was not written down then.
    assert run.records == tuple(replace(record, seat=0) for record in before.records)
    assert run.instrumented == tuple(replace(record, seat=0) for record in before.instrumented)
    assert not run.covered
    assert store.intact(run) is run
    # Gone on with, its old lines are covered, too.
    opened = store.RunFolder(folder)
    opened.append([replace(RUN.records[0], launch=1)])
    opened.close()
    assert store.read_run(folder).covered
    records = folder / store.RECORDS
    records.write_text(records.read_text().replace('"ready": 0.1', '"ready": 0.2', 1))
    assert store.read_run(folder).broken


def test_losses_that_are_not_finite_survive(folder: Path) -> None:
    record = RUN.records[0]
    lost = replace(record, ledger={**record.ledger, "losses": [float("inf"), float("-inf"), 0.5]}, launch=5)
    opened = store.RunFolder(folder)
    opened.append([lost])
    opened.close()
    assert store.read_run(folder).records[-1].ledger["losses"] == [float("inf"), float("-inf"), 0.5]
    # As an older version wrote them.
    line = json.dumps({**record_as_of(2, encode_record(record)), "ledger": {**record.ledger, "losses": [float("inf")]}})
    assert "Infinity" in line
    assert decode_line(line, "file:1").ledger["losses"] == [float("inf")]


def test_a_number_that_is_not_finite_is_written_nowhere(folder: Path) -> None:
    whole = (folder / store.RECORDS).read_bytes()
    opened = store.RunFolder(folder)
    bad = replace(RUN.instrumented[0], extra={"stalls": float("nan")}, launch=9)
    with pytest.raises(RunError, match=r"launch 9: extra\.stalls is nan") as caught:
        opened.append([replace(RUN.instrumented[0], launch=8), bad])
    assert bad.cell in str(caught.value)
    opened.close()
    assert (folder / store.RECORDS).read_bytes() == whole


@pytest.mark.parametrize("file", [baselines.FILE, *baselines.COPIED_FILES])
def test_a_baseline_with_one_wrong_value_is_one_message(tmp_path: Path, folder: Path, file: str) -> None:
    baselines.save_baseline("main", store.read_run(folder), tmp_path)
    path = tmp_path / baselines.FOLDER / "main" / file
    whole = path.read_text()
    texts = [json.dumps(data) for _, data in spoiled(json.loads(whole))] if file == baselines.FILE else [whole + " "]
    for text in texts:
        path.write_text(text)
        found = outcome(baselines.find_run, "main", tmp_path)
        if isinstance(found, str):
            assert found.startswith(str(path.parent))
        else:  # only what nothing rests on could be changed
            assert {**json.loads(text), "saved": ""} == {**json.loads(whole), "saved": ""}
    path.write_text(whole)
    assert baselines.find_run(str(path.parent), tmp_path).id == RUN.id


def test_a_baseline_whose_checksums_lack_a_file_is_refused(tmp_path: Path, folder: Path) -> None:
    baselines.save_baseline("main", store.read_run(folder), tmp_path)
    path = tmp_path / baselines.FOLDER / "main" / baselines.FILE
    data = json.loads(path.read_text())
    del data["sha256"][store.RECORDS]
    path.write_text(json.dumps(data))
    for text in ("main", str(path.parent)):
        with pytest.raises(RunError, match=r"checksums of run\.json; it must be those of run\.json, records\.jsonl"):
            baselines.find_run(text, tmp_path)
    assert baselines.list_baselines(tmp_path)[0] == []
    assert len(baselines.list_baselines(tmp_path)[1]) == 1


def test_caches_and_confirmations_with_one_wrong_value_are_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    wanted = calibration.fingerprint("cpu", "", 1)
    ceiling = calibration.Ceiling("copy", "bytes/s", 1e9, 9e8, 3, 2**20, settled=True)
    path = calibration.save_calibration(calibration.Calibration(wanted, (ceiling,), "now", 1.0, 0.5, (0,)))
    whole = json.loads(path.read_text())
    for place, data in spoiled(whole):
        path.write_text(json.dumps(data))
        found, why = calibration.find_calibration(wanted)
        assert (
            str(path) in why
            if found is None
            else {**data, "schema": 1} == json.loads(json.dumps({"schema": 1, **asdict(found)}))
        ), place
    false_alarms.count_gate(1, false_alarms.SAME, "pass")
    (path,) = (calibration.calibrations_folder().parent / "tallies").glob("*.json")
    for place, data in spoiled(json.loads(path.read_text())):
        path.write_text(json.dumps(data))
        counted = false_alarms.read_tally(1)
        assert str(path) in counted.problem if counted.problem else counted.gates == data["gates"], place
    line = confirmation.encode_confirmation(
        confirmation.Confirmation("a", "b", "c", "m", 0.1, Interval(1.1, 1.0, 1.2, 8), "confirmed", "now")
    )
    for place, data in spoiled(line):
        told_ = outcome(confirmation.decode_confirmation, json.dumps(data).encode(), "file:3")
        assert (
            told_.startswith("file:3: ") if isinstance(told_, str) else confirmation.encode_confirmation(told_) == data
        ), place


def test_a_name_from_the_future_is_not_the_newest(tmp_path: Path) -> None:
    now = save(RUN, tmp_path)
    late = save(replace(RUN, info={**RUN.info, "run": "20990101-000000-ffff"}), tmp_path)
    assert store.find_folder(None, tmp_path) == now
    assert store.ahead(store.every(tmp_path)) == [late]
    (now / store.RUN).unlink()
    assert store.find_folder(None, tmp_path) == late, "there is no other"


def test_the_message_says_what_was_expected_and_what_is_there() -> None:
    with pytest.raises(RunError, match=r"^file: \$\.count: expected `int`, got `str`; there is 'many'$"):
        decoding.decode(chain.Anchor, '{"count": "many", "chain": ""}', "file")
    with pytest.raises(RunError, match=r"^file: \$: object missing required field `chain`$"):
        decoding.decode(chain.Anchor, '{"count": 1}', "file")


@pytest.mark.parametrize("name", schemas.TYPES)
def test_the_published_schemas_are_those_of_the_code(name: str) -> None:
    path = schemas.SCHEMAS_FOLDER / f"{name}.json"
    assert path.read_text() == schemas.text(schemas.schemas()[name]), "python -m bench.report.schemas writes them anew"


def test_the_schemas_take_what_is_written(folder: Path) -> None:
    made = schemas.schemas()
    run, line = json.loads((folder / store.RUN).read_text()), json.loads(lines_of(folder)[0])
    anchor = json.loads((folder / store.ANCHOR).read_text())
    for name, kind, data in (("run", "RunInfo", run), ("record", "RecordLine", line), ("anchor", "Anchor", anchor)):
        form = made[name]["$defs"][kind]
        assert set(form["required"]) <= set(data) == set(form["properties"])


def test_run_info_is_checked_before_it_is_written(folder: Path) -> None:
    opened = store.RunFolder(folder)
    whole = (folder / store.RUN).read_bytes()
    with pytest.raises(RunError, match="unknown suite"):
        opened.write_info({**RUN.info, "plan": {**RUN.info["plan"], "suites": {}}})
    opened.close()
    assert (folder / store.RUN).read_bytes() == whole
    assert run_info.check_run_info(json.loads(whole), folder)["run"] == RUN.id
