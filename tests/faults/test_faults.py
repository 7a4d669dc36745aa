"""The part of the faults that takes little time; all of them: `nox -s faults`. A mark that does not hold fails."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from .fault import Fault
from .harness import attempt
from .judge import Seen, marks
from .sandbox import Template
from .table import IN_TESTS

pytestmark = [
    pytest.mark.long,
    pytest.mark.alone,  # deeds are timed to the tenth of a second
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes through /proc"),
]


class Campaign:
    """The faults of one session of tests; those of one deed are done once."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._seen: dict[object, Seen] = {}

    def attempt(self, fault: Fault) -> Seen:
        if fault.deed not in self._seen:
            self._seen[fault.deed] = attempt(fault, self._template)
        return self._seen[fault.deed]


@pytest.fixture(scope="module")
def campaign() -> Iterator[Campaign]:
    with Template() as template:
        yield Campaign(template)


@pytest.mark.parametrize("fault", IN_TESTS, ids=lambda fault: fault.id)
def test_a_fault_is_told_and_nothing_is_lost(campaign: Campaign, fault: Fault) -> None:
    seen = campaign.attempt(fault)
    if seen.untried:
        pytest.skip(seen.untried)
    assert {letter: why for letter, why in marks(fault, seen).items() if why} == {}
