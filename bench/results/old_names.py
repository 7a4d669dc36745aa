"""What earlier versions wrote otherwise, read as it is written today. Pure; schemas 1 to 6 (`record`).

A file of an earlier schema has its own names only, and one of the present schema the new ones: a name of the other is
an unknown field.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import RunError

RENAMED_IN = 4  # the schema with the new names
SUITE_FIELDS_IN = 5  # that since which suites have SUITE_FIELDS

COLUMNS_SINCE_5 = ("began", "resident", "allocated", "end")  # which came with schema 5,
METER_COLUMNS = ("sm_clock", "reasons", "power", "energy", "integrated", "metering")  # with schema 7, and
# the fields of turns by the schema that they came with, as they are where there are none
TURN_FIELDS: Mapping[int, Mapping[str, Any]] = {
    5: {**dict.fromkeys(COLUMNS_SINCE_5, ()), "real": False},
    6: {"seconds": (), "cold": 1, "behind": False},
    7: {**dict.fromkeys(METER_COLUMNS, ()), "meter": "", "idle_power": 0.0, "meter_step": 0.0},
}
RECORD_FIELDS: Mapping[int, Mapping[str, Any]] = {6: {"seat": 0}, 7: {"nodes": ()}}  # and those of records
SUITE_FIELDS: Mapping[str, Any] = {"equal": "", "tolerance": None, "trainers": {}}  # and in run.json's suites

RECORD_NAMES = {"looking": "instrumented", "zygote": "fork_server"}
METRIC_NAMES = {"looked_step_time": "instrumented_step_time"}
OPTION_NAMES = {"looks": "instrument", "target": "precision_goal", "zygotes": "fork_servers"}
TIMING_NAMES = {"looks": "instrumented", "zygotes": "fork_servers"}
STOP_NAMES = {"target": "precision-goal"}


def record_of_today(data: Mapping[str, Any], schema: int, where: str | Path) -> dict[str, Any]:
    """The JSON of a record of an earlier schema as one of today.

    Raises:
        RunError: it has a field of a later schema.
    """
    made = renamed_record(data, where) if schema < RENAMED_IN else dict(data)
    later = fields_after(RECORD_FIELDS, schema)
    if there := [name for name in later if name in made]:
        raise RunError(f"{where}: $: object contains unknown field `{there[0]}`")
    made |= later
    if isinstance(turns := made.get("turns"), Mapping):
        later = fields_after(TURN_FIELDS, schema)
        if there := [name for name in later if name in turns]:
            raise RunError(f"{where}: $.turns: object contains unknown field `{there[0]}`")
        made["turns"] = {**turns, **later}
    return made


def fields_after(fields: Mapping[int, Mapping[str, Any]], schema: int) -> dict[str, Any]:
    """The fields that came after a schema, as they are where there are none."""
    return {name: value for since, own in fields.items() if since > schema for name, value in own.items()}


def renamed_record(data: Mapping[str, Any], where: str | Path) -> dict[str, Any]:
    """The JSON of a record of an earlier schema, with today's names.

    Raises:
        RunError: it has a field of a later schema.
    """
    made = _renamed(data, RECORD_NAMES, f"{where}: $")
    if isinstance(extra := made.get("extra"), dict):
        made["extra"] = {METRIC_NAMES.get(name, name): value for name, value in extra.items()}
    if isinstance(declared := made.get("declared"), list):
        made["declared"] = [_renamed_metric(metric) for metric in declared]
    return made


def renamed_run(data: Mapping[str, Any], where: str | Path) -> dict[str, Any]:
    """The same of run.json."""
    made = dict(data)
    for part, names in (("options", OPTION_NAMES), ("timing", TIMING_NAMES)):
        if isinstance(values := made.get(part), dict):
            made[part] = _renamed(values, names, f"{where}: $.{part}")
    if isinstance(stops := made.get("stops"), dict):
        made["stops"] = {group: _renamed_stop(stop) for group, stop in stops.items()}
    return made


def run_of_today(data: Mapping[str, Any], schema: int, where: str | Path) -> dict[str, Any]:
    """run.json of an earlier schema as one of today.

    Raises:
        RunError: it has a name of a later schema.
    """
    made = renamed_run(data, where) if schema < RENAMED_IN else dict(data)
    if isinstance(plan := made.get("plan"), Mapping) and isinstance(suites := plan.get("suites"), Mapping):
        lacking = SUITE_FIELDS if schema < SUITE_FIELDS_IN else {}
        complete = {
            name: {**lacking, **suite} if isinstance(suite, Mapping) else suite for name, suite in suites.items()
        }
        made["plan"] = {**plan, "suites": complete}
    return made


def with_later_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """run.json with the fields of suites that came without a new schema, since older versions pass them over."""
    if not isinstance(plan := data.get("plan"), Mapping) or not isinstance(suites := plan.get("suites"), Mapping):
        return dict(data)
    complete = {
        name: {"ladder": {}, "goal": None, **suite} if isinstance(suite, Mapping) else suite
        for name, suite in suites.items()
    }
    return {**data, "plan": {**plan, "suites": complete}}


def old_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options under the names that earlier schemas have for them, as their digest was made."""
    back = {new: old for old, new in OPTION_NAMES.items()}
    return {back.get(name, name): value for name, value in options.items()}


def _renamed(data: Mapping[str, Any], names: Mapping[str, str], where: str) -> dict[str, Any]:
    for new in names.values():
        if new in data:
            raise RunError(f"{where}: object contains unknown field `{new}`")
    return {names.get(name, name): value for name, value in data.items()}


def _renamed_metric(metric: Any) -> Any:
    if not isinstance(metric, dict):
        return metric
    made = dict(metric)
    for old, new in METRIC_NAMES.items():
        if made.get("name") == old:
            made["name"] = new
        if isinstance(made.get("description"), str):
            made["description"] = made["description"].replace(old, new)
    return made


def _renamed_stop(stop: Any) -> Any:
    if isinstance(stop, dict) and isinstance(reason := stop.get("reason"), str):
        return {**stop, "reason": STOP_NAMES.get(reason, reason)}
    return stop
