"""Mutations of what a step costs whoever trains, and of how launches are made so that it can be known. A part of
`table.MUTANTS`."""

from __future__ import annotations

from .harness import Mutant

STEPS, LAUNCH = "tests/stats/test_step_times.py", "tests/engine/test_launch.py"
SETS, PAIRS = "tests/engine/test_interpreter_sets.py", "tests/analysis/test_pairs.py"
LENGTH = "tests/engine/test_group_state.py"
EVERY_20TH = f"{STEPS}::test_mean_and_typical_of_a_loop_whose_every_20th_step_takes_ten_times_as_long"
COLUMNS = "tests/stats/test_step_columns.py::test_levels_are_those_of_settled_steps_and_numbers_those_of_the_loop"
OF_BOTH = f"{STEPS}::test_what_the_machine_does_to_a_round_cancels_and_an_event_of_a_turn_of_two_steps_does_not"
STALLS = f"{STEPS}::test_stalls_that_one_arm_alone_has_are_its_own_and_those_of_both_are_the_machines"
PUSHED = f"{STEPS}::test_a_round_in_which_an_arm_was_pushed_off_its_processor_is_left_out"
ROUNDS = f"{LAUNCH}::test_turns_of_a_round_are_as_long_for_all_arms_and_those_of_rounds_differ"
PLACES = f"{SETS}::test_baseline_and_twin_change_places_from_launch_to_launch"
NEXT = f"{SETS}::test_the_next_set_takes_over_when_it_has_its_imports_and_the_last_one_is_ended"

TRUE_STEPS: tuple[Mutant, ...] = (
    Mutant(30, "the mean step does not know of periods", "bench/stats/step_times.py",
           "return rest + sum(extra *", "return rest + sum(0 * extra *", (EVERY_20TH,)),
    Mutant(30, "steps are numbered turn by turn, and not in the loop", "bench/stats/step_columns.py",
           "np.repeat([began[n] for n", "np.repeat([0 * began[n] for n", (COLUMNS,)),
    Mutant(30, "a period may be chance, as nobody counts how many were tried", "bench/stats/periods.py",
           "np.full(longest - 1, CHANCE / 2 / sum(range(2, longest + 1)))", "np.full(longest - 1, CHANCE / 2)",
           (f"{STEPS}::test_chance_makes_no_period",)),
    Mutant(30, "steps that find cold caches are as good as any", "bench/stats/step_columns.py",
           "self.settled = self.place >= cold", "self.settled = self.place >= 0",
           (COLUMNS,)),
    Mutant(30, "what cold caches cost is taken for an event of the loop's", "bench/stats/step_columns.py",
           "(medians_of_columns(cold) - 1)", "0.0", (COLUMNS,)),
    Mutant(30, "single steps are told where the device runs behind", "bench/stats/step_columns.py",
           "if turns.seconds and not (turns.whole or turns.behind):", "if turns.seconds and not turns.whole:",
           (f"{STEPS}::test_sums_of_steps_and_whole_epochs_have_no_periods",)),
    Mutant(30, "a long step counts in full, the machine's too", "bench/stats/step_times.py",
           "WINSOR = 2.0", "WINSOR = math.inf", (EVERY_20TH, STALLS)),
    Mutant(30, "long steps that one arm alone has are cut", "bench/stats/step_times.py",
           "return math.inf if chance < OWN_EVENTS else WINSOR", "return WINSOR", (STALLS,)),
    Mutant(30, "long steps that both arms have are one's own", "bench/stats/step_times.py",
           "return math.inf if chance < OWN_EVENTS else WINSOR", "return math.inf", (STALLS,)),
    Mutant(30, "what one arm rose by is the machine's", "bench/stats/step_times.py",
           "rose: Floats = np.min([level / median_of(level) for level in levels], axis=0)",
           "rose: Floats = levels[0] / np.median(levels[0])", (OF_BOTH,)),
    Mutant(30, "rounds that others disturbed count", "bench/stats/step_times.py",
           "return (left if share <= MOST_CONTENDED and len(left) >= LEAST_ROUNDS else list(rounds)), share",
           "return list(rounds), share", (PUSHED,)),
    Mutant(30, "where others are always there, half of a launch is left out", "bench/stats/step_times.py",
           "return (left if share <= MOST_CONTENDED and len(left) >= LEAST_ROUNDS else list(rounds)), share",
           "return left, share", (f"{STEPS}::test_where_others_are_always_there_all_rounds_count",)),
    Mutant(30, "what an arm waits for by itself is the machine's", "bench/stats/step_times.py",
           "if own < least and (pushed > usual or stolen > 0)", "if own < least", (PUSHED,)),
    Mutant(30, "nobody is told that turns were too short to settle", "bench/stats/step_times.py",
           "    return logs[0] - logs[1]", "    return 0 * (logs[0] - logs[1])",
           (f"{STEPS}::test_what_is_not_settled_is_told",)),
    Mutant(30, "throughput is that of the typical step", "bench/analysis/frames.py",
           'samples / values["step_time"][0]', 'samples / values["typical_step_time"][0]',
           ("tests/analysis/test_frames.py::test_launch_values_are_those_of_its_turns",)),
    Mutant(30, "a ratio is that of the typical step", "bench/analysis/pairs.py",
           "                    found.mean,\n                    found.typical,\n",
           "                    found.typical,\n                    found.typical,\n",
           (f"{PAIRS}::test_the_mean_stands_beside_the_typical_step",)),
    Mutant(30, "turns of one length", "bench/engine/launch.py",
           "self._generator.choice(self._lengths)", "self._lengths[len(self._lengths) // 2]",
           (ROUNDS, f"{LAUNCH}::test_no_phase_of_a_period_is_missed_and_none_is_at_one_place_of_a_turn")),
    Mutant(30, "each arm draws the length of its turn for itself", "bench/engine/launch.py",
           "(reply := self._take(name, steps, timed=True)) is None",
           "(reply := self._take(name, self._generator.choice(self._lengths), timed=True)) is None", (ROUNDS,)),
    Mutant(30, "one step of a turn finds cold caches, however short it is", "bench/engine/launch.py",
           "max(1, math.ceil(COLD_SECONDS / pace))", "1", (f"{LAUNCH}::test_a_turn_is_a_time_and_no_number_of_steps",)),
    Mutant(31, "a launch is the longer the more launches differ", "bench/engine/group_state.py",
           "self.start_up * within * length / between", "self.start_up * between * length / within",
           (f"{LENGTH}::test_a_launch_is_as_long_as_its_variances_and_costs_ask_for",)),
    Mutant(31, "launches that agree by luck ask for one of a minute", "bench/engine/group_state.py",
           "between = max(LEAST_BETWEEN**2,", "between = max(1e-12,",
           (f"{LENGTH}::test_launches_that_agree_by_luck_ask_for_none_of_a_minute",)),
    Mutant(31, "the twin comes from the baseline's interpreter", "bench/engine/interpreter_sets.py",
           "int(number > 0 and cell.preload == base)", "0", (f"{SETS}::test_the_baseline_sits_alone",)),
    Mutant(31, "arms never change places", "bench/engine/interpreter_sets.py",
           "seat ^ (swap and own in shared)", "seat", (PLACES,)),
    Mutant(31, "places are drawn for each launch, and do not cancel", "bench/engine/interpreter_sets.py",
           "swap = self._random.random() < 0.5 if drawn is None else not drawn", "swap = self._random.random() < 0.5",
           (PLACES,)),
    Mutant(31, "arms that import otherwise change places with nobody", "bench/engine/interpreter_sets.py",
           "seat ^ (swap and own in shared)", "seat ^ swap", (PLACES,)),
    Mutant(31, "the next set is never used", "bench/engine/interpreter_sets.py",
           "elif fleet.coming and fleet.arrived(fleet.coming):", "elif fleet.coming and False:", (NEXT,)),
    Mutant(31, "a set is used before it has its imports", "bench/engine/interpreter_sets.py",
           "elif fleet.coming and fleet.arrived(fleet.coming):", "elif fleet.coming:", (NEXT,)),
    Mutant(31, "sets that are done with stay", "bench/engine/interpreter_sets.py",
           "fleet.retire(_number(self.current, seat) for seat in range(SEATS))", "pass", (NEXT,)),
    Mutant(31, "a set that died while it imported is tried again and again", "bench/engine/interpreter_sets.py",
           "self.beside, fleet.coming = False, []", "fleet.coming = []",
           (f"{SETS}::test_a_set_that_dies_while_it_imports_is_not_tried_again",)),
    Mutant(31, "a set imports on the core that is measured", "bench/engine/interpreter_sets.py",
           "if self.beside and not self._fleet.coming", "if not self._fleet.coming",
           (f"{SETS}::test_on_a_single_core_with_one_set_nothing_imports_beside_turns",)),
    Mutant(31, "of standing sets one serves all launches", "bench/engine/interpreter_sets.py",
           "(self.current + 1) % self.standing", "self.current",
           (f"{SETS}::test_where_no_core_is_free_standing_sets_are_used_in_turn",)),
    Mutant(31, "launches of one set are independent, whoever sits where", "bench/analysis/pairs.py",
           "return None if all(crossed) else [int(number) for number in sets]", "return None",
           (f"{PAIRS}::test_launches_of_arms_that_change_places_share_nothing_and_those_of_others_their_set",
            f"{PAIRS}::test_what_few_sets_may_do_is_in_the_interval_of_arms_that_do_not_change_places")),
    Mutant(31, "who sits apart in a launch has changed places in it", "bench/stats/conditions.py",
           "if all(self.apart[:launches]) else", "if any(self.apart[:launches]) else",
           ("tests/stats/test_conditions.py::test_launches_of_one_set_of_interpreters_say_less",)),
)  # fmt: skip
