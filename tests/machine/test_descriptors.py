"""The limit of open files: raised where a run needs it, as far as the system allows; else told."""

from __future__ import annotations

import resource

import pytest

from bench.machine.descriptors import SPARE, allow_connections

INFINITE = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "raised", "told"),
    [
        (1024, 20_000, 1024 - SPARE, None, ""),
        (INFINITE, INFINITE, 10**6, None, ""),
        (1024, 20_000, 9000, (12_341, 20_000), ""),
        (1024, 10_000, 9000, (10_000, 10_000), ""),
        (1024, INFINITE, 9000, (12_341, INFINITE), ""),
        (1024, 4096, 9000, None, "9000 connections need 9256 open files, and 4096 are allowed: "),
    ],
)
def test_the_limit_is_raised_where_it_is_too_low(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, wanted: int, raised: tuple[int, int] | None, told: str
) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits))
    said = allow_connections(wanted)
    assert said.startswith(told)
    assert bool(said) == bool(told)
    assert set_to == ([raised] if raised else [])


def test_a_limit_that_has_no_name_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int, limits: tuple[int, int]) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, INFINITE))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert "no more than 256 are allowed" in allow_connections(9000)
