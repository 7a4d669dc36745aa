"""The sampler by itself: what burns and what sleeps is seen, what is between two stretches is not."""

from __future__ import annotations

import contextvars
import signal
import threading
import time
from time import thread_time

from bench.arm.stack_sampler import StackSampler
from bench.errors import Unsupported
from bench.results.stacks import SampledStacks


def burn(seconds: float) -> None:
    end = thread_time() + seconds
    while thread_time() < end:
        sum(range(200))


def sleep_by_itself(seconds: float) -> None:
    time.sleep(seconds)


def of(found: SampledStacks, name: str) -> float:
    return sum(seconds for stack, seconds, _ in found if any(frame.endswith(f":{name}") for frame in stack))


def test_what_burns_is_seen_and_what_is_between_is_not() -> None:
    sampler = StackSampler()
    for _ in range(4):
        sampler.start()
        burn(0.1)
        sampler.stop([0.1])
        sleep_by_itself(0.1)
    found = sampler.result()
    assert found.steps == 4
    assert 0.25 < of(found, "burn") < 0.45  # without what the sampler itself takes of it
    assert of(found, "sleep_by_itself") == 0.0
    assert sum(found.samples) > 40


def test_who_goes_to_sleep_by_itself_takes_the_time_for_it() -> None:
    sampler = StackSampler()
    sampler.start()
    burn(0.1)
    for _ in range(10):
        sleep_by_itself(0.02)
    sampler.stop([0.3])
    found = sampler.result()
    assert of(found, "sleep_by_itself") > 0.15
    assert of(found, "burn") < 0.15


def test_the_handler_that_was_there_is_back_and_no_signal_comes_any_more() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: heard.append(number))
    try:
        sampler = StackSampler()
        sampler.start()
        burn(0.02)
        sampler.stop([0.02])
        time.sleep(0.02)
        assert not heard
        signal.raise_signal(signal.SIGALRM)
        assert heard == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_another_thread_than_the_main_one_is_refused() -> None:
    found: list[BaseException] = []

    def other() -> None:
        try:
            StackSampler().start()
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(other,))
    thread.start()
    thread.join()
    assert isinstance(found[0], Unsupported)


def test_comprehensions_are_no_frames_and_names_are_whole() -> None:
    sampler = StackSampler()
    sampler.start()
    end = thread_time() + 0.05
    while thread_time() < end:
        [number * number for number in range(2000)]
    sampler.stop([0.05])
    found = sampler.result()
    assert not any("<listcomp>" in name for name in found.functions)
    here = f"{__name__}:test_comprehensions_are_no_frames_and_names_are_whole"
    assert here in found.functions
