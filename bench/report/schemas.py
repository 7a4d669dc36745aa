"""The JSON Schemas of the files that the program writes, published under docs/schemas.

`python -m bench.report.schemas` writes them anew.

msgspec makes them from the types that the files are read into, so they say what is checked at reading. Beyond them,
what a file says must not contradict itself or the files beside it; `bench.results.run_info` has these rules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bench.analysis import confirmation
from bench.commands import false_alarms
from bench.machine import calibration
from bench.machine.process_env import PACKAGE_PARENT
from bench.results import baselines, chain, decoding, files, record, run_info, stacks

SCHEMAS_FOLDER = PACKAGE_PARENT / "docs" / "schemas"
# By the name of the schema: the type, and what the file is.
TYPES: Mapping[str, tuple[type, str]] = {
    "run": (run_info.RunInfo, "run.json of a run"),
    "record": (record.RecordLine, "one line of a run's records.jsonl"),
    "anchor": (chain.Anchor, "records.anchor of a run: where the chain of its records stands"),
    "stacks": (stacks.StacksFile, "stacks.json of a run: what a step of two cells spends its time on"),
    "baseline": (baselines.BaselineFile, "baseline.json of a named run"),
    "confirmation": (confirmation.ConfirmationLine, "one line of confirmations.jsonl, beside the runs"),
    "calibration": (calibration.CalibrationFile, "a calibration in the user's cache folder"),
    "tally": (false_alarms.TallyFile, "a tally of gates in the user's cache folder"),
}
CHAIN = {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "digest over the chain before and this line"}


def schemas() -> dict[str, dict[str, Any]]:
    """Every schema by its name."""
    found = {}
    for name, (kind, what) in TYPES.items():
        made = decoding.schema(kind, more=name == "run")
        if name == "record":  # the chain is no part of the record, but of its line
            line = made["$defs"][kind.__name__]
            line["properties"]["chain"] = CHAIN
            line["required"] = [*line["required"], "chain"]
        found[name] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": what, **made}
    return found


def text(schema: Mapping[str, Any]) -> str:
    """A schema as its file has it."""
    return json.dumps(schema, indent=1) + "\n"


def main() -> None:
    """Write them."""
    for name, schema in schemas().items():
        files.write_aside(SCHEMAS_FOLDER / f"{name}.json", text(schema))


if __name__ == "__main__":
    main()
