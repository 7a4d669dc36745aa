"""Patches: the change of a call by its line, in the layout that it has."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.commands.remedies import Edit
from bench.commands.source_edits import edited_call, patch_of


@pytest.mark.parametrize(
    ("source", "arguments", "without", "made"),
    [
        ("x = DataLoader(d)\n", {"num_workers": "0"}, (), "x = DataLoader(d, num_workers=0)\n"),
        ("x = DataLoader(d, num_workers=8)\n", {"num_workers": "0"}, (), "x = DataLoader(d, num_workers=0)\n"),
        ("x = DataLoader()\n", {"num_workers": "0"}, (), "x = DataLoader(num_workers=0)\n"),
        ("x = data.DataLoader(d)\n", {"a": "1", "b": "2"}, (), "x = data.DataLoader(d, a=1, b=2)\n"),
        ("x = DataLoader(d, pin_memory=True)\n", {}, ("pin_memory",), "x = DataLoader(d)\n"),
        ("x = DataLoader(pin_memory=True, a=1)\n", {}, ("pin_memory",), "x = DataLoader(a=1)\n"),
        ("x = DataLoader(pin_memory=True)\n", {}, ("pin_memory",), "x = DataLoader()\n"),
        (
            "x = DataLoader(d, num_workers=8, persistent_workers=True, shuffle=True)\n",
            {"num_workers": "0"},
            ("persistent_workers",),
            "x = DataLoader(d, num_workers=0, shuffle=True)\n",
        ),
        (
            "x = DataLoader(\n    d,\n    batch_size=2,\n)\n",
            {"num_workers": "0"},
            (),
            "x = DataLoader(\n    d,\n    batch_size=2,\n    num_workers=0,\n)\n",
        ),
        (
            "x = DataLoader(\n    d,\n    num_workers=8,\n    shuffle=True,\n)\n",
            {},
            ("num_workers",),
            "x = DataLoader(\n    d,\n    shuffle=True,\n)\n",
        ),
        ("x = DataLoader(d, num_workers=8)  # é, 8 workers\n", {"num_workers": "0"}, (),
         "x = DataLoader(d, num_workers=0)  # é, 8 workers\n"),
        ("é = 'é'; x = DataLoader('é', num_workers=8)\n", {"num_workers": "0"}, (),
         "é = 'é'; x = DataLoader('é', num_workers=0)\n"),
    ],
)  # fmt: skip
def test_a_call_is_changed(source: str, arguments: dict[str, str], without: tuple[str, ...], made: str) -> None:
    assert edited_call(source, 1, Edit("t.py:1", "DataLoader", arguments, without)) == made


@pytest.mark.parametrize(
    "source",
    [
        "x = Loader(d)\n",
        "\nx = DataLoader(d)\n",
        "x = DataLoader(d), DataLoader(e)\n",
        "x = DataLoader(d, **options)\n",
        "x = DataLoader(\n",
    ],
)
def test_what_is_not_sure_is_left_to_hands(source: str) -> None:
    edit = Edit("t.py:1", "DataLoader", {"num_workers": "0"}, ("timeout",))
    found = patch_of([edit], {"t.py": source})
    assert found.diff == ""
    assert found.by_hand == ("t.py:1: DataLoader(..., num_workers=0) without timeout",)


def test_a_patch_has_all_edits_of_all_files_and_git_applies_it(tmp_path: Path) -> None:
    sources = {
        "train.py": "a = 1\nloader = DataLoader(d, num_workers=8)\nb = 2\nt = Trainer()\n",
        "sub/data.py": "x = AdamW(p,\n    lr=0.1)\n",
        "other.py": "nothing\n",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    edits = [
        Edit("train.py:2", "DataLoader", {"num_workers": "0"}),
        Edit("train.py:4", "Trainer", {"log_every_n_steps": "50"}),
        Edit("sub/data.py:1", "AdamW", {"fused": "True"}),
        Edit("", "Trainer", {"logger": "False"}),
        Edit("gone.py:3", "Trainer", {"logger": "False"}),
    ]
    found = patch_of(edits, sources)
    assert found.by_hand == ("gone.py:3: Trainer(..., logger=False)", "Trainer(..., logger=False)")
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=found.diff, text=True, check=True)
    assert (tmp_path / "train.py").read_text() == (
        "a = 1\nloader = DataLoader(d, num_workers=0)\nb = 2\nt = Trainer(log_every_n_steps=50)\n"
    )
    assert (tmp_path / "sub" / "data.py").read_text() == "x = AdamW(p,\n    lr=0.1,\n    fused=True)\n"


names = st.sampled_from(["num_workers", "pin_memory", "timeout", "shuffle", "batch_size"])
values = st.sampled_from(["0", "True", "f(1, b=2)", "'a, b'", "(1,)"])
breaks = st.sampled_from(["", " ", "\n    ", "  # why\n    "])


@given(
    own=st.dictionaries(names, values),
    new=st.dictionaries(names, values),
    without=st.sets(names),
    between=breaks,
    first=st.booleans(),
    comma=st.booleans(),
)
def test_the_changed_call_has_the_arguments_that_were_asked_for(
    own: dict[str, str], new: dict[str, str], without: set[str], between: str, first: bool, comma: bool
) -> None:
    without = without - {*new}
    given = ["dataset"] * first + [f"{name}={value}" for name, value in own.items()]
    end = ("," if comma and given else "") + ("\n" if "\n" in between else "")
    source = f"y = 1\nx = DataLoader({between}{f',{between or chr(32)}'.join(given)}{end})  # end\nz = 2\n"
    changed = edited_call(source, 2, Edit("t.py:2", "DataLoader", new, tuple(without)))
    assert changed is not None
    (call,) = (node for node in ast.walk(ast.parse(changed)) if isinstance(node, ast.Call) and node.lineno == 2
               and ast.unparse(node.func) == "DataLoader")  # fmt: skip
    told = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    wanted = {**{name: value for name, value in own.items() if name not in without}, **new}
    assert told == {name: ast.unparse(ast.parse(value, mode="eval")) for name, value in wanted.items()}
    assert len(call.args) == first
    assert changed.startswith("y = 1\n")
    assert changed.endswith("z = 2\n")
