"""Makes and executes `autoencoder.ipynb`, which tells what the examples are for.

    python examples/build_notebook.py
    python examples/build_notebook.py --budget 60s --out somewhere.ipynb

It needs `pip install "loopmark[notebook]"`. Its pictures and figures are those of the machine that executed it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HERE = Path(__file__).resolve().parent
SECONDS = 1800  # that a cell may take

# A text is Markdown; one that begins with a line of `%` is code. BUDGET stands for what `--budget` says.
CELLS = (
    """
# One training, three times

An autoencoder looks at digits, keeps three numbers of each, and draws the digit again. How it is trained is written
down three times in this folder: by hand in plain PyTorch, in Fabric, and with Lightning's Trainer. This notebook asks
three things of them: do they end in the same model, what is not written down any more from one to the next, and what
does that cost?
""",
    """%
import difflib, io, json, re, subprocess, sys, tempfile, tokenize
from pathlib import Path

from IPython.display import Image, display

examples = Path.cwd()
sys.path.insert(0, str(examples.parent))
place = tempfile.TemporaryDirectory()
out = Path(place.name)
names = ["plain", "fabric", "trainer"]
""",
    """
## The same model?

Each script trains for five epochs, from the same seed, in a process of its own.
""",
    """%
outcomes = {}
for name in names:
    command = [sys.executable, examples / f"{name}.py", "--epochs", "5", "--out", name]
    done = subprocess.run(command, cwd=out, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outcomes[name] = json.loads((out / name / "outcome.json").read_text())
    print(f"{name}.py\\n{done.stdout}")

weights = {outcome["weights"] for outcome in outcomes.values()}
losses = {tuple(outcome["validation_losses"]) for outcome in outcomes.values()}
assert len(weights) == len(losses) == 1
print("All weights are equal, bit for bit, and so are all validation losses.")
""",
    """
Not nearly the same: the same bits. So whatever differs below is no difference of what is computed.

## What disappears?

Lines of code, without comments, docstrings and empty lines:
""",
    """%
def code_lines(path):
    "The lines of a file on which a token of code stands."
    code = set()
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        documents = token.type == tokenize.STRING and token.line.lstrip().startswith('"')
        if token.type not in skipped and not documents:
            code.update(range(token.start[0], token.end[0] + 1))
    return [line for number, line in enumerate(path.read_text().splitlines(), 1) if number in code]


scripts = {name: code_lines(examples / f"{name}.py") for name in names}
for name, lines in scripts.items():
    print(f"{name + '.py':<12} {len(lines):>4} lines")
""",
    """
From plain PyTorch to Fabric, lines that begin with `-` go and lines with `+` come:
""",
    """%
def changes(one, other):
    for line in difflib.unified_diff(scripts[one], scripts[other], lineterm="", n=0):
        if not re.match(r"---|\\+\\+\\+|@@", line):
            print(line)


changes("plain", "fabric")
""",
    """
And from Fabric to Trainer it is simpler to say what is left. The loops, the modes, the optimizer's step, the mean over
samples, the log, what is in a checkpoint, the patience: all of that is in Trainer, and what is this model's own is in
`LitAutoEncoder`, where its hooks say what a training step is and nothing of when it happens.
""",
    """%
print("\\n".join(scripts["trainer"]))
""",
    """
## What did it learn?

Input above output, one digit of each kind. Then where the digits lie in the space of three numbers, seen from the side
on which they lie farthest apart.
""",
    """%
display(Image(out / "trainer" / "reconstructions.png"), Image(out / "trainer" / "latent.png"))
""",
    """
## What does it cost?

The same three files, unchanged, raced against each other: all three live at once, take turns of a few steps on the same
core, and the baseline runs a second time as its own control. Each figure is that of one machine, with its 95 %
interval.
""",
    """%
import bench

run = bench.race(*(f"{name}.py --epochs 1000" for name in names), budget="BUDGET", out=out / "results")
for row in run.cells.itertuples():
    name = row.script.split()[0] + (", again" if row.twin else "")
    step, low, high = (1000 * value for value in (row.step_time, row.step_time_low, row.step_time_high))
    print(f"{name:<17} {step:6.2f} ms a step [{low:.2f}, {high:.2f}]")
    if row.equal:
        print(f"{'':<18}as a ratio {row.ratio:.2f} [{row.ratio_low:.2f}, {row.ratio_high:.2f}]; equal in {row.equal}")
""",
    """
A ratio is a script's time for a step over that of `plain.py`. Where its interval has 1 in it, no difference was seen,
which is not to say that there is none. What is paid is paid for each step, so it weighs less the longer a step takes:
this model's is short on purpose. `bench run overhead` finds out more exactly, and `bench doctor` which of Trainer's
defaults it goes to.
""",
    """%
place.cleanup()
""",
)


def build(budget: str, out: Path) -> None:
    """Execute all cells in this folder, and write the notebook; its outputs have no paths of this machine."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for number, text in enumerate(CELLS):
        text = text.replace("BUDGET", budget) if "budget=" in text else text
        code = text.startswith("%")
        make = nbformat.v4.new_code_cell if code else nbformat.v4.new_markdown_cell
        cell = make(text.removeprefix("%").strip())
        cell["id"] = f"cell-{number}"
        notebook.cells.append(cell)
    NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}
    ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when each cell ran: another line in every diff
    out.write_text(f"{nbformat.writes(notebook)}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="60s", help="of the race in it")
    parser.add_argument("--out", type=Path, default=HERE / "autoencoder.ipynb")
    arguments = parser.parse_args()
    build(arguments.budget, arguments.out)


if __name__ == "__main__":
    main()
