"""The rule of the house, read from source: hooks belong to one model, callbacks to any; measuring code is in no hook.

A hook that measures runs in the loops that call hooks and in no other, so what it costs is taken for the loop's. It
also has to be written anew in every module, while a callback measures any. Nothing is imported or run here. No torch.

What measures is a list of names (`MEASURES`), looked up through aliases, `from` imports, assignments, and functions and
classes of the same file. These are not in it, as they are used for other things: `time.sleep`, `time.strftime` and the
like, `datetime`, `torch.profiler.record_function`, which labels what somebody else measures; and `time.time()` within
an f-string or `str(...)`, which makes a name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CLOCKS = r"(perf_counter|monotonic|time|process_time|thread_time|clock_gettime)(_ns)?"
MEMORY = r"(max_)?memory_(allocated|reserved|cached)|memory_(stats|summary|snapshot)|mem_get_info|get_memory_info"
MEASURES = re.compile(
    rf"time\.{CLOCKS}|timeit\..+|resource\.getrusage|os\.times|gc\.get_stats"
    r"|(psutil|tracemalloc|cProfile|profile|pstats|pynvml|nvidia_smi|GPUtil|memory_profiler|pyinstrument)\..+"
    rf"|torch\.(cuda|mps|xpu|cpu|accelerator)\.(memory\.)?({MEMORY}|reset_peak_memory_stats|synchronize|Event|profiler\..+)"
    r"|torch\.(Event|mps\.event\.Event|cuda\.Event)"
    r"|torch\.(autograd\.)?profiler\.(?!record_function).+|torch\.utils\.(benchmark|flop_counter)\..+"
)
# Read for a name of a file as often as for a time.
NAMES_A_TIME = re.compile(r"time\.time(_ns)?")
# The names that Lightning calls in a module (lightning 2.6: core/module.py, core/hooks.py).
HOOKS = re.compile(
    r"on_.+|(training|validation|test|predict)_step|forward|configure_.+|setup|teardown|prepare_data|.+_dataloader"
    r"|optimizer_step|optimizer_zero_grad|lr_scheduler_step|backward|manual_backward|clip_gradients|.+_batch_to_device"
    r"|toggle_optimizer|untoggle_optimizer"
)
INSTEAD = (
    "hooks belong to one model, so put it into a callback, which measures any (docs/callbacks.md: Throughput, "
    "PeakMemory, Phases)"
)
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class MeasuringHook:
    """Measuring code that a hook of a LightningModule comes to.

    Attributes:
        file: where it is.
        line: of the name that measures, from 1.
        module: the class.
        hook: its method that Lightning calls.
        name: what measures, in full.
    """

    file: str
    line: int
    module: str
    hook: str
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.module}.{self.hook} measures by {self.name}"


@dataclass(frozen=True)
class HooksRead:
    """What was found in files: the modules' classes by name, and what measures in them."""

    modules: tuple[str, ...]
    measuring: tuple[MeasuringHook, ...]


def read_hooks(files: Sequence[Path]) -> HooksRead:
    """Read the hooks of all LightningModules in some files; what is no Python is left to those who import it."""
    modules: list[str] = []
    measuring: list[MeasuringHook] = []
    for file in files:
        try:
            found = hooks_in(file.read_text(encoding="utf-8"), str(file))
        except (OSError, ValueError, SyntaxError, RecursionError):
            continue
        modules += found.modules
        measuring += found.measuring
    return HooksRead(tuple(modules), tuple(measuring))


def hooks_in(source: str, file: str) -> HooksRead:
    """The hooks of all LightningModules in a source text.

    Raises:
        SyntaxError: it is no Python.
        ValueError: it has a NUL.
    """
    read = _File(ast.parse(source), file)
    return HooksRead(tuple(found.name for found in read.modules), tuple(read.measuring()))


def imported_beside(file: Path) -> list[Path]:
    """A file, and those beside it that it imports, by way of each other too."""
    found = [file]
    for path in found:  # which grows
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, SyntaxError, RecursionError):
            continue
        for name in _imported(tree):
            other = path.parent / f"{name}.py"
            if other not in found and other.is_file():
                found.append(other)
    return found


def _imported(tree: ast.Module) -> Iterator[str]:
    """Names of modules that may lie beside the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level <= 1:
            yield from [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]


def _dotted(node: ast.expr) -> str:
    """`a.b.c` as text; "" for what is none."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _aliases(nodes: Iterator[ast.AST] | Sequence[ast.AST], known: Mapping[str, str]) -> dict[str, str]:
    """What names stand for, by the imports and the plain assignments among some nodes."""
    found = dict(known)
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.split(".")[0]
                found[alias.asname or name] = name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(
            node.value, ast.Call | ast.Attribute | ast.Name
        ):
            value = node.value.func if isinstance(node.value, ast.Call) else node.value
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if MEASURES.fullmatch(name := _resolved(_dotted(value), found)):
                # A clock's reading is a number like any other; a clock, a timer or an event is what measures.
                number = isinstance(node.value, ast.Call) and name.split(".")[0] in ("time", "os", "resource")
                found |= {} if number else {_dotted(target): name for target in targets if _dotted(target)}
    return found


def _resolved(name: str, aliases: Mapping[str, str]) -> str:
    """A dotted name with what its beginning stands for in that one's place."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if meant := aliases.get(".".join(parts[:length])):
            return ".".join([meant, *parts[length:]])
    return name if parts[0] in ("self", "cls") else ""


def _bound(function: ast.AST) -> set[str]:
    """Names that a function gives a meaning of its own, which hides what they are outside."""
    names: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names - {"self", "cls"}


class _File:
    """A file's names, functions and classes."""

    def __init__(self, tree: ast.Module, file: str) -> None:
        self.file = file
        top = list(_outside_of_functions(tree))
        stars = [node.module for node in top if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"]
        self._around: dict[ast.ClassDef, list[_Function]] = {}
        self._stars = tuple(f"{module}." for module in stars if module)
        self._aliases = _aliases(top, {})
        methods = {id(one) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for one in node.body}
        functions = [node for node in ast.walk(tree) if isinstance(node, _Function) and id(node) not in methods]
        self._functions = {node.name: node for node in functions}
        for node in functions:
            for inner in ast.walk(node):
                if isinstance(inner, ast.ClassDef):  # as a suite's `build` has them: it sees what the function imports
                    self._around.setdefault(inner, []).append(node)
        self._classes = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        self.modules = [node for node in self._classes.values() if self._is(node, "LightningModule", "training_step")]

    def _is(self, node: ast.ClassDef, base: str, method: str, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a class is made of one of this name, by way of classes of the file too, or has such a method."""
        for name in map(_dotted, node.bases):
            meant = _resolved(name, self._aliases) or name
            if meant.split(".")[-1] == base:
                return True
            above = self._classes.get(name)
            if above is not None and name not in seen and self._is(above, base, method, seen | {node.name}):
                return True
        return bool(method) and method in self._methods(node)

    def _methods(self, node: ast.ClassDef, below: frozenset[str] = frozenset()) -> dict[str, _Function]:
        """A class's functions, those of its bases in the file among them."""
        found: dict[str, _Function] = {}
        for name in map(_dotted, reversed(node.bases)):
            if name in self._classes and name not in below | {node.name}:
                found |= self._methods(self._classes[name], below | {node.name})
        return found | {one.name: one for one in node.body if isinstance(one, _Function)}

    def measuring(self) -> Iterator[MeasuringHook]:
        """What measures in hooks; each place once, with the first hook that comes to it."""
        told: set[tuple[int, str]] = set()
        for module in self.modules:
            methods = self._methods(module)
            around = self._aliases
            for function in self._around.get(module, []):
                around = _aliases(list(_outside_of_functions(function)), around)
            held = _aliases([one for method in methods.values() for one in ast.walk(method)], around)
            own = around | {name: meant for name, meant in held.items() if name.startswith("self.")}
            for hook, function in methods.items():
                if HOOKS.fullmatch(hook):
                    for line, name in self._reached(function, methods, own):
                        if (line, name) not in told:
                            told.add((line, name))
                            yield MeasuringHook(self.file, line, module.name, hook, name)

    def _reached(
        self, start: _Function, methods: Mapping[str, _Function], own: Mapping[str, str]
    ) -> Iterator[tuple[int, str]]:
        """What measures in a function, and in those of the file that it names."""
        seen: set[ast.AST] = set()
        left: list[ast.AST] = [start]
        while left:
            function = left.pop()
            if function in seen:
                continue
            seen.add(function)
            yield from self._in(function, own)
            for name in {_dotted(node) for node in ast.walk(function) if isinstance(node, ast.Name | ast.Attribute)}:
                first, _, rest = name.partition(".")
                if first == "self" and rest in methods:
                    left.append(methods[rest])
                elif name in self._functions:
                    left.append(self._functions[name])
                elif name in self._classes and self._measures_for_the_module(self._classes[name]):
                    left.append(self._classes[name])

    def _measures_for_the_module(self, node: ast.ClassDef) -> bool:
        """Whether a class that a hook names is part of the hook: a callback is where measuring belongs."""
        return node not in self.modules and not self._is(node, "Callback", "")

    def _in(self, function: ast.AST, own: Mapping[str, str]) -> Iterator[tuple[int, str]]:
        nodes = list(ast.walk(function))
        hidden = _bound(function) if isinstance(function, _Function) else set()
        aliases = _aliases(nodes, {name: meant for name, meant in own.items() if name not in hidden})
        names = {id(inner) for node in nodes if _makes_a_name(node) for inner in ast.walk(node)}
        passed = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)} | set(_annotations(nodes))
        for node in nodes:
            if isinstance(node, ast.Name | ast.Attribute) and id(node) not in passed:
                if not isinstance(node.ctx, ast.Load):
                    continue
                dotted = _dotted(node)
                name = _resolved(dotted, aliases)
                if not name and dotted and dotted not in hidden:
                    name = next((star + dotted for star in self._stars if MEASURES.fullmatch(star + dotted)), "")
                meant = _measure(name)
                if meant and not (id(node) in names and NAMES_A_TIME.fullmatch(meant)):
                    yield node.lineno, meant


def _measure(name: str) -> str:
    """The name that measures, of which this is one or an attribute; "" where there is none."""
    parts = name.split(".")
    return next((text for end in range(1, len(parts) + 1) if MEASURES.fullmatch(text := ".".join(parts[:end]))), "")


def _annotations(nodes: Sequence[ast.AST]) -> Iterator[int]:
    """The identities of all nodes that only say a type."""
    for node in nodes:
        for said in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(said, ast.AST):
                yield from map(id, ast.walk(said))


def _makes_a_name(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str"
    )


def _outside_of_functions(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a file that run when it is imported, and imports wherever they stand at no function's inside."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, _Function | ast.Lambda):
            yield from _outside_of_functions(node)
