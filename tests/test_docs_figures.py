"""The figures of the site show what their pages say of them: known truths through the code that draws them."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from docs_build import figures


@pytest.mark.parametrize("name", figures.FIGURES)
def test_a_figure_has_its_text_as_text_and_is_the_same_each_time(name: str) -> None:
    drawn = figures.FIGURES[name]()
    texts = [element.text for element in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert len(texts) > 5
    assert drawn == figures.FIGURES[name]()


def test_intervals_miss_the_truth_about_as_often_as_they_say() -> None:
    missed = sum(not one.contains(figures.TRUTH) for one in figures.interval_runs(1000))
    assert 30 <= missed <= 75  # 50 is true; 0.0001 of either tail


def test_intervals_over_turns_hold_the_truth_in_under_half_of_the_runs_and_those_over_launches_in_95() -> None:
    launches, turns = figures.pooled_coverage()
    assert 0.92 <= launches <= 0.98
    assert turns < 0.5


def test_the_arm_within_the_twins_reach_is_not_told_and_the_other_is() -> None:
    found = figures.twins()
    reach = max(abs(found["twin (same code)"].low or 0), abs(found["twin (same code)"].high or 0))
    assert abs(found["an arm"].estimate) < reach < abs(found["another arm"].estimate)


def test_the_median_reads_far_too_little_and_the_mean_step_holds_the_truth() -> None:
    truth, read = figures.mean_and_median()
    for name, (estimate, half) in read.items():
        assert (abs(estimate - truth) <= half) == (name != "median step"), name
    assert read["median step"][0] < truth / 2
    assert read["mean step, as loopmark has it"][1] < 0.75 * read["plain mean, spikes and all"][1]


def test_on_a_drifting_machine_turns_read_nothing_and_halves_read_much() -> None:
    _, halves, turns = figures.drifting_machine()
    assert abs(turns) < 0.005
    assert abs(halves) > 0.05


def test_the_data_are_those_that_the_page_tells_of() -> None:
    noise = figures.aa_noise()
    assert len(noise) == 7
    assert max(high for _, high in noise.values()) == 29
    peers = figures.peer_estimates()
    assert sum(map(len, peers.values())) == 26
    assert max(map(abs, peers["bench, one run"])) < 0.4


def test_more_launches_see_more_and_no_gate_promises_less_than_its_target() -> None:
    _, hidden, promised = figures.power_curves()
    assert all(few >= many for few, many in zip(hidden[9], hidden[24], strict=True))
    assert min(promised) == 0.05
