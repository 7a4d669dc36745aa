"""`--until`: what can be asked, of which cells, and what launches with a known truth answer."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import synthetic

from bench.analysis.summary import summarize
from bench.analysis.until import until_answers
from bench.errors import RunError, SpecError
from bench.report import console, html, markdown
from bench.report.tables import CONDITIONS_TITLE
from bench.results.store import StoredRun
from bench.stats.conditions import Answer, Condition, answers_of, parse_conditions, questions_of
from bench.stats.drift import DRIFT_POINTS

# Steps of 1 ms and of 10 ms; the trainer costs 50 us, which is 5 % and 0.5 %.
TRUTH: dict[str, Any] = {
    "costs": {"plain": 0.0, "fabric": 20e-6, "trainer": 50e-6},
    "lengths": {32: 1e-3, 256: 10e-3},
    "launches": 12,
}
ONE: dict[str, Any] = {**TRUTH, "lengths": {32: 1e-3}}


def own_sets(run: StoredRun) -> StoredRun:
    """As if each launch came from interpreters of its own."""
    return replace(run, records=tuple(replace(record, fork_server=record.launch) for record in run.records))


def answered(text: str, **truth: Any) -> list[Answer]:
    run = own_sets(synthetic.make(**{**ONE, **truth}))
    return list(answers_of(questions_of(text, run.info["plan"]), run.records))


def words(text: str, **truth: Any) -> list[str]:
    return [answer.word for answer in answered(text, **truth)]


# What can be asked.


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("trainer < 5%", [Condition("trainer", "<", "cost", 0.05)]),
        ("trainer<5 %", [Condition("trainer", "<", "cost", 0.05)]),
        ("trainer > -2.5%", [Condition("trainer", ">", "cost", -0.025)]),
        ("trainer < 0.2ms", [Condition("trainer", "<", "difference", 0.2e-3)]),
        ("trainer < 30us", [Condition("trainer", "<", "difference", 30 * 1e-6)]),
        ("trainer < 30µs", [Condition("trainer", "<", "difference", 30 * 1e-6)]),
        ("trainer/fabric < 1.05x", [Condition("trainer/fabric", "<", "ratio", 1.05)]),
        (
            " a[b=c,d=/e] > 1s  and git:HEAD~1 < 1% and a<2.6 < 3%",
            [
                Condition("a[b=c,d=/e]", ">", "difference", 1.0),
                Condition("git:HEAD~1", "<", "cost", 0.01),
                Condition("a<2.6", "<", "cost", 0.03),
            ],
        ),
        ("trainer < 5% and trainer < 5%", [Condition("trainer", "<", "cost", 0.05)]),
    ],
)
def test_what_is_read(text: str, conditions: list[Condition]) -> None:
    assert list(parse_conditions(text)) == conditions


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "condition '' cannot be read; allowed: NAME < VALUE or NAME > VALUE"),
        ("trainer", "condition 'trainer' cannot be read"),
        ("trainer < ", "cannot be read"),
        ("< 5%", "condition '< 5%' cannot be read"),
        ("trainer < 5", "condition 'trainer < 5' cannot be read"),
        ("trainer <= 5%", "cannot be read"),
        ("trainer = 5%", "cannot be read"),
        ("trainer < 5% or fabric < 5%", "cannot be read"),
        ("trainer < 5% and", "condition 'trainer < 5% and' cannot be read"),
        ("trainer < nan%", "cannot be read"),
        ("trainer < -100%", "-100% is not possible; allowed: above -100%"),
        ("trainer < 0x", "0x is not possible; allowed: above 0x"),
        (f"trainer < {'9' * 400}%", "is not possible; allowed: above -100%, and below 1e+09%"),
    ],
)
def test_what_cannot_be_read_says_what_is_allowed(text: str, words: str) -> None:
    with pytest.raises(SpecError, match=re.escape(words)):
        parse_conditions(text)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(SpecError) as told:
        parse_conditions("trainer and fabric < 5% and plain < 0x")
    assert len(told.value.mistakes) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "treiner < 5%",
            "'treiner'; allowed: fabric, trainer, their ids, two of one group as A/B (did you mean 'trainer'?)",
        ),
        ("trainer/treiner < 5%", "unknown name 'trainer/treiner'"),
        ("trainer/trainer < 5%", "unknown name 'trainer/trainer'"),
        ("plain < 5%", "plain is the baseline that others are compared with; allowed: fabric, trainer"),
        (
            f"{synthetic.cell_id('trainer', 32)}/{synthetic.cell_id('plain', 256)} < 5%",
            "two of one group as A/B",
        ),
    ],
)
def test_a_name_that_is_not_there_says_which_are(text: str, words: str) -> None:
    with pytest.raises(SpecError, match=re.escape(words)):
        questions_of(text, synthetic.make(**TRUTH).info["plan"])


def test_a_condition_is_asked_in_every_group_in_which_its_name_stands() -> None:
    plan = synthetic.make(**TRUTH).info["plan"]
    twin = synthetic.cell_id("plain", 256, twin=True)
    text = f"trainer < 5% and trainer/fabric < 1x and {synthetic.cell_id('fabric', 32)} < 1ms and {twin} < 1%"
    found = [(one.condition.name, one.group, one.cell, one.over) for one in questions_of(text, plan)]
    both = [
        (name, synthetic.group_id(size), synthetic.cell_id("trainer", size), synthetic.cell_id(over, size))
        for name, over in (("trainer", "plain"), ("trainer/fabric", "fabric"))
        for size in (32, 256)
    ]
    baselines = [(synthetic.group_id(size), synthetic.cell_id("plain", size)) for size in (32, 256)]
    fabric = synthetic.cell_id("fabric", 32)
    assert found == [
        *both,
        (fabric, baselines[0][0], fabric, baselines[0][1]),
        (twin, baselines[1][0], twin, baselines[1][1]),
    ]
    assert questions_of(None, plan) == ()


def test_what_cannot_run_here_is_told_and_refused_where_nothing_else_is_asked() -> None:
    plan = synthetic.make(**ONE, failures={("trainer", 32, -1): ("unsupported", "no lightning here")}).info["plan"]
    reason = f"{synthetic.cell_id('trainer', 32)} cannot run here: no lightning here"
    with pytest.raises(SpecError, match=re.escape(f"condition 'trainer < 5 %' cannot be decided: {reason}")):
        questions_of("trainer < 5%", plan)
    assert [one.reason for one in questions_of("trainer < 5% and fabric < 5%", plan)] == [reason, ""]


# What launches answer.


@pytest.mark.parametrize(
    ("text", "word", "said"),
    [
        ("trainer < 8%", "yes", r"trainer < 8 %: yes, at most \+[5-7]\.\d+ %"),
        ("trainer < 2%", "no", r"trainer < 2 %: no, at least \+[2-4]\.\d+ %"),
        ("trainer > 2%", "yes", r"trainer > 2 %: yes, at least \+[2-4]\.\d+ %"),
        ("trainer > 8%", "no", r"trainer > 8 %: no, at most \+[5-7]\.\d+ %"),
        ("trainer < 0.08ms", "yes", r"trainer < 80 µs: yes, at most \+[5-7]\d\.\d+ µs"),
        ("trainer > 20us", "yes", r"trainer > 20 µs: yes, at least \+[2-4]\d\.\d+ µs"),
        ("trainer < 1.08x", "yes", r"trainer < 1.08x: yes, at most 1\.0[5-7]\d*x"),
        ("trainer/fabric > 1x", "yes", r"trainer/fabric > 1x: yes, at least 1\.0[0-2]\d*x"),
        ("fabric/trainer < 0%", "yes", r"fabric/trainer < 0 %: yes, at most -[0-2]\.\d+ %"),
    ],
)
def test_a_known_truth_is_answered(text: str, word: str, said: str) -> None:
    (answer,) = answered(text)
    assert answer.word == word
    assert re.match(said, answer.sentence), answer.sentence
    assert answer.sentence.endswith(f"({synthetic.group_id(32)})")
    assert answer.launches >= 4


def test_a_bound_that_is_the_truth_stays_open_and_says_between_what() -> None:
    (answer,) = answered("trainer < 5%")
    assert (answer.word, answer.reason, answer.launches) == ("open", "", 12)
    assert answer.low is not None
    assert answer.high is not None
    assert answer.low < 0.05 < answer.high
    assert re.search(r"not decided: between \+[34]\.\d+ % and \+[56]\.\d+ % after 12 launches", answer.sentence)


def test_before_the_first_look_there_is_no_answer() -> None:
    (answer,) = answered("trainer < 50%", launches=3)
    assert (answer.word, answer.low, answer.high, answer.launches) == ("open", None, None, 3)
    assert "not decided: too few launches, 3" in answer.sentence
    assert words("trainer < 50%", launches=4) == ["yes"]


def test_launches_after_the_answer_change_nothing() -> None:
    assert answered("trainer < 8%", launches=12) == answered("trainer < 8%", launches=30)


def test_a_cell_that_fails_leaves_its_question_open_and_others_not() -> None:
    failures = {("trainer", 32, 2): ("crashed", "out of mood")}
    trainer, fabric = answered("trainer < 8% and fabric < 8%", failures=failures)
    assert (trainer.word, trainer.reason) == ("open", f"{synthetic.cell_id('trainer', 32)}: crashed: out of mood")
    assert fabric.word == "yes"
    # What was answered before stays answered.
    assert words("trainer < 8%", failures={("trainer", 32, 11): ("crashed", "late")}) == ["yes"]


def test_questions_of_one_run_share_its_error_rate() -> None:
    (alone,), (first, *_) = answered("trainer < 8%"), answered("trainer < 8% and fabric < 8% and trainer/fabric < 8%")
    assert alone.high is not None
    assert first.high is not None
    assert alone.launches < first.launches or alone.high < first.high


def test_launches_of_one_set_of_interpreters_say_less() -> None:
    run = synthetic.make(**ONE)
    questions = questions_of("trainer < 8%", run.info["plan"])
    # The baseline changes places, and the trainer, which imports more, stays where it is.
    stays = [replace(one, seat=int(one.point["loop"] == "plain" and one.launch % 2 == 0)) for one in run.records]
    alike = [replace(one, fork_server=one.launch) for one in stays]
    own, shared, crossed = (answers_of(questions, records)[0] for records in (alike, stays, run.records))
    assert crossed == own, "what changes places shares nothing, from one set too"
    assert own.word == "yes"
    assert own.high is not None
    assert shared.high is not None
    assert shared.launches > own.launches or shared.high > own.high + 0.005


# In what is printed.


def asked(text: str, **truth: Any) -> StoredRun:
    run = own_sets(synthetic.make(**{**ONE, **truth}))
    return replace(run, info={**run.info, "options": {"until": text}})


def test_answers_stand_in_every_output() -> None:
    summary = summarize(asked("trainer < 8% and trainer < 5%"))
    assert [one.word for one in summary.conditions] == ["yes", "open"]
    assert summary.to_json()["conditions"][0]["sentence"] == summary.conditions[0].sentence
    run = asked("trainer < 8% and trainer < 5%")
    for text in (console.render(summary), markdown.render(summary), html.render(run, summary)):
        plain = " ".join(re.sub(r"[\\\u00a0\u202f]", " ", text).split())
        assert " ".join(CONDITIONS_TITLE.split()) in plain
        assert "yes, at most +" in plain
        assert "not decided: between +" in plain
    silent = summarize(own_sets(synthetic.make(**ONE)))
    assert silent.conditions == ()
    assert CONDITIONS_TITLE not in console.render(silent)


def test_a_cell_that_drifts_answers_nothing() -> None:
    run = asked("trainer < 8%", drift_sd=0.0, rounds=DRIFT_POINTS)
    records = []
    for record in run.records:
        turns = record.turns
        if record.point["loop"] == "trainer" and turns is not None:
            counted = tuple(seconds * (1 + 0.05 * number) for number, seconds in enumerate(turns.counted))
            record = replace(record, turns=replace(turns, counted=counted))
        records.append(record)
    (answer,) = until_answers(run.info, records)
    assert answer.word == "open"
    assert "trainer,batch_size=32,data=synthetic] is drifting: its steps get slower" in answer.sentence


def test_a_file_that_asks_what_it_cannot_is_told() -> None:
    run = asked("nobody < 8%")
    with pytest.raises(RunError, match=r"options.until: condition 'nobody < 8 %': unknown name 'nobody'"):
        summarize(run)
