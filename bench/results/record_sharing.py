"""Records of one run in less memory: what those of a cell have in common is there once. Pure."""

from __future__ import annotations

from dataclasses import replace

from bench.results.record import Record

# What launches of a cell have in common, as a rule.
_SHARED = ("suite", "cell", "group", "point", "requested", "effective", "memory", "cores", "nodes")


class RecordSharing:
    """What records of one cell have in common, once: settings are a third of a record, and the same in each launch."""

    def __init__(self) -> None:
        self._last: dict[str, Record] = {}

    def share(self, record: Record) -> Record:
        """The record, made of parts of the one before it of the same cell where they are equal."""
        last = self._last.get(record.cell)
        if last is not None:
            same = {name: own for name in _SHARED if (own := getattr(last, name)) == getattr(record, name)}
            before = last.ledger
            ledger = {name: before[name] if before.get(name) == own else own for name, own in record.ledger.items()}
            record = replace(record, ledger=ledger, **same)
        if record.turns is not None:
            record = replace(record, turns=record.turns.compact())
        self._last[record.cell] = record
        return record
