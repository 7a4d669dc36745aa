"""An arm that is somebody's script, as it is: run as `__main__`, held where it pulls batches, ended where it stands.

Nothing of the script runs after the last turn: its process ends while it waits for a batch, so that no file is written
and no code of an ending runs that a training of some seconds was never meant to reach.
"""

from __future__ import annotations

import importlib.util
import os
import random
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from types import CodeType, ModuleType
from typing import Any, NoReturn

import torch

import bench.protocol as protocol
from bench.arm.arm_result import effective_settings, ledger_of, memory_of
from bench.arm.audit import Audit, weights_digest
from bench.arm.compile_watch import CompileWatch
from bench.arm.device_faults import device_outcome, device_words
from bench.arm.own_faults import OwnFault, exception_text, is_own_fault
from bench.arm.script_loaders import ScriptLoaders
from bench.arm.script_wire import ScriptWire, leave, own_last_words
from bench.arm.stream import BatchStream, Grant
from bench.arm.switches import loader_settings
from bench.arm.trained_model import find_trained_model
from bench.arm.turn_gate import Gatekeeper, Wire
from bench.axes.accelerators import accelerator_of_device
from bench.errors import Unsupported
from bench.machine.memory import resident
from bench.machine.mirror import Mirror, make_mirror
from bench.machine.process_env import PACKAGE_PARENT
from bench.machine.write_guard import LANDLOCK, protect


def race_script(request: Mapping[str, Any], connection: Connection) -> None:
    """Run a script until the conductor ends it, which ends the process; else say why it came to no end."""
    wire = ScriptWire(connection)
    run = ScriptRun(request, wire)
    status = 0
    try:
        run.run()
        answer = run.ended(None)
    except SystemExit as left:
        answer = run.ended(left.code)
        status = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException as error:
        traceback.print_exc()
        sys.stderr.flush()
        answer = failure_of(error, run.folder)
        status = 1
    if wire.in_child:  # how a child of the script ends is the script's to ask
        leave(status)
    wire.send_bytes(protocol.encode(answer))


class ScriptRun:
    """A script in its process: its surroundings, its loaders, and the gate that it comes to."""

    def __init__(self, request: Mapping[str, Any], connection: Wire) -> None:
        self._request = request
        self._connection = connection
        self._script: Mapping[str, Any] = request["script"]
        self._start_memory = resident()
        self._padding = bytearray(request["padding"])  # held until the end: a layout of the arm's own
        self._gate: ScriptGate | None = None
        self._compiled: CompileWatch | None = None
        self._place: ScratchPlace | None = None
        self._observation: Callable[[], dict[str, Any]] = dict
        self._loaders = ScriptLoaders(self._begin, self.refuse, real_epochs=bool(request["real_epochs"]))
        self._began = perf_counter()

    def run(self) -> None:
        """The script, as `__main__`. Raises what it raises."""
        script, request = self._script, self._request
        name, *arguments = script["argv"]
        self._place = ScratchPlace(Path(script["folder"]), Path(request["compile_cache"]))
        file = name if script["module"] else self._place.of_script(Path(name))
        # Not before: torch starts its threads here, and what is protected is so for one thread and all that it starts.
        if script["threads"] != torch.get_num_threads():
            torch.set_num_threads(script["threads"])
        seed_everything(request["seed"])
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)  # a race has no terminal
        self._change(self._place.folder_of(file, module=script["module"]))
        self._loaders.attach()
        self._watch_compilation()
        self._began = perf_counter()
        run_as_main([file, *arguments], folder=self._place.folder, module=script["module"])

    @property
    def folder(self) -> Path:
        """Where the script runs."""
        return self._place.folder if self._place is not None else Path.cwd()

    def _change(self, folder: Path) -> None:
        """What else is made of the training, before anything stands at its loaders; most races change nothing."""
        if self._script["changes"]:
            from bench.arm.changes import make_changes

            self._observation = make_changes(self._script["changes"], folder)

    def _watch_compilation(self) -> None:
        """See what goes to inductor from the first call of torch.compile on; a script without one pays no import."""
        original = torch.compile

        def compile(*args: Any, **kwargs: Any) -> Any:
            if self._compiled is None:
                self._compiled = CompileWatch(Path(self._request["compile_cache"]), Path(self._request["temporary"]))
            return original(*args, **kwargs)

        torch.compile = compile

    def refuse(self, reason: str) -> NoReturn:
        """End the process with a reason, from wherever its code is: it might go on after an exception."""
        answer = protocol.ArmFailure("unsupported", protocol.short_reason(reason))
        self._connection.send_bytes(protocol.encode(answer))
        leave(1)

    def _begin(self, loader: Any, length: int) -> BatchStream:
        """The stream, from the first pull on at which the script is held."""
        model = find_trained_model(self._loaders.optimizers.values())
        device = accelerator_of_device(model.device_type)
        compiled = self._compiled if self._compiled is not None and self._compiled.graphs else None
        audit = Audit(model, device, compiled)
        initial = weights_digest(model)

        def finish() -> protocol.Result:
            assert self._gate is not None
            second = {"second_training_loader": self._loaders.second} if self._loaders.second else {}
            return protocol.Result(
                ledger=ledger_of(self._gate, audit, model, initial),
                effective={
                    "script": self._script["label"],
                    "files": self._place.told if self._place else "",
                    **effective_settings(audit, self._gate, device),
                    **loader_settings(loader),
                    **second,
                    **self._observation(),
                },
                memory=memory_of(self._start_memory, len(self._padding), device),
                instrumented=protocol.CallbackMetrics(),
            )

        self._gate = ScriptGate(self._connection, audit, device, self._request.get("cores", []), finish)
        self._gate.epoch = length
        self._gate.began = self._began
        self._gate.workers = int(getattr(loader, "num_workers", 0) or 0)
        self._gate.accelerator = device.name
        return BatchStream(self._gate, device.synchronize if device.asynchronous else None)

    def ended(self, status: object) -> protocol.ArmFailure:
        """Why there is no result of a script that ended by itself."""
        how = "it ended by itself" if status in (None, 0) else f"it called sys.exit({status!r})"
        if isinstance(status, int) and status:
            how += f" (its last words: {own_last_words() or '(none)'})"
        return protocol.ArmFailure("crashed", protocol.short_reason(f"{how} {self._when()}"))

    def _when(self) -> str:
        loaders, gate = self._loaders, self._gate
        if gate is not None:
            return (
                f"after {gate.steps} steps of its turns; allowed: a training that goes on, as with more epochs or steps"
            )
        if loaders.training is not None:
            return (
                f"after one epoch of {loaders.training.given} batches, before its first turn; allowed with --epochs: "
                "ten epochs or more"
            )
        if not loaders.iterated:
            return (
                "and iterated no torch DataLoader in its own process; allowed: a script that trains in its own process "
                "and pulls its batches from a DataLoader, or from `bench.watch(batches)`"
            )
        seen = ", ".join(sorted(set(loaders.iterated.values())))
        if not loaders.updates:
            return f"and no optimizer had stepped; it took {loaders.batches} batches ({seen})"
        return (
            f"before its first turn: it took {loaders.batches} batches ({seen}), and no optimizer stepped between two "
            "of one loader; allowed: a training of some more steps"
        )


class ScriptGate(Gatekeeper):
    """The gate of a script, which ends the process where others end the loop."""

    def __init__(self, connection: Any, audit: Audit, device: Any, cores: list[int], finish: Any) -> None:
        super().__init__(connection, audit, device, cores)
        self._finish = finish

    def wait(self) -> Grant | None:
        grant = super().wait()
        if grant is None:
            self._connection.send_bytes(protocol.encode(self._finish()))
            leave(0)
        return grant


class ScratchPlace:
    """The scratch copy that a script runs in: of the folder that it is started in, and of its own if that is elsewhere.

    Args:
        folder: that the user starts it in.
        cache: of compiled code, which may be written to besides.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        self._scratch = Path.cwd()
        cache.mkdir(parents=True, exist_ok=True)
        self._keep = [self._scratch, Path(tempfile.gettempdir()), cache]
        self._copies = not protect([folder], self._keep)
        self._protection = "" if self._copies else LANDLOCK
        self._mirrors: list[Mirror] = []
        self.folder = self._copy(folder).root
        self.told = self._mirrors[0].not_covered(self._protection)
        os.chdir(self.folder)
        ours = str(PACKAGE_PARENT)
        sys.path[:] = [path if path == ours else self._searched(path) for path in sys.path]

    def of_script(self, path: Path) -> str:
        """Where the copy has this file; copies its folder if that lies elsewhere."""
        if not path.is_relative_to(self._mirrors[0].folder):
            protect([path.parent], self._keep)
            self._copy(path.parent)
        return str(self._mirrored(path))

    def folder_of(self, file: str, *, module: bool) -> Path:
        """Where the copy has the script's own files; `bench.plan.script` says which these are."""
        return self.folder if module or Path(file).is_relative_to(self.folder) else Path(file).parent

    def _copy(self, folder: Path) -> Mirror:
        made = make_mirror(folder, self._scratch / f"folder-{len(self._mirrors)}", copies=self._copies)
        if made.outside and self._protection:
            protect(made.outside, self._keep)
        self._mirrors.append(made)
        return made

    def _searched(self, path: str) -> str:
        """Where modules of a folder are found: in the copy, but for what is no part of it, as an environment."""
        copy = self._mirrored(Path(path)).resolve()
        within = any(copy.is_relative_to(made.root.resolve()) for made in self._mirrors)
        return str(copy) if within else path

    def _mirrored(self, path: Path) -> Path:
        return next((made.mirrored(path) for made in self._mirrors if made.mirrored(path) != path), path)


def seed_everything(seed: int) -> None:
    """What a script draws that seeds nothing itself: in each arm of a launch the same."""
    random.seed(seed)
    torch.manual_seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)


def run_as_main(argv: list[str], *, folder: Path, module: bool) -> None:
    """Run a file, or a module as `python -m` does, as `__main__` with these arguments. Raises what it raises.

    Args:
        argv: the file's path or the module's name, then the arguments.
        folder: where it is run, which a module is found in.
    """
    main = ModuleType("__main__")
    if module:
        sys.path.insert(0, str(folder))
        name = argv[0]
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
        if spec is None or spec.loader is None or spec.origin is None:
            raise Unsupported(f"no module named {name!r} that can be run")
        code, file = spec.loader.get_code(spec.name), spec.origin  # type: ignore[attr-defined]  # of source loaders
        main.__spec__, main.__package__ = spec, spec.parent
    else:
        file = argv[0]
        sys.path.insert(0, str(Path(file).parent))
        code = compile(Path(file).read_bytes(), file, "exec", dont_inherit=True)
    assert isinstance(code, CodeType)
    main.__file__ = file
    sys.argv = [file, *argv[1:]]
    sys.modules["__main__"] = main
    exec(code, main.__dict__)


def failure_of(error: BaseException, folder: Path) -> protocol.ArmFailure:
    """What a script's exception says, and where in its own files it came up."""
    text = exception_text(error)
    if isinstance(error, Unsupported):
        return protocol.ArmFailure("unsupported", protocol.short_reason(text))
    named = device_words(f"{type(error).__name__}: {text}".strip().removesuffix(":"))[:300]
    if isinstance(error, OwnFault) or is_own_fault(error):
        return protocol.ArmFailure("internal", protocol.short_reason(f"a fault of loopmark's own: {named}"))
    own = "oom" if isinstance(error, MemoryError | torch.OutOfMemoryError) else device_outcome(text)
    if own != "crashed":
        return protocol.ArmFailure(own, protocol.short_reason(named))
    where = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(folder))]
    place = f" ({Path(where[-1].filename).relative_to(folder)}:{where[-1].lineno})" if where else ""
    return protocol.ArmFailure("crashed", protocol.short_reason(named + place + _allowed(error, text)))


def _allowed(error: BaseException, text: str) -> str:
    """What is not as it is outside of a race, where an exception may come of that."""
    if isinstance(error, EOFError) and text in ("", "EOF when reading a line"):
        return "; a race has no terminal: allowed: a script that asks for nothing while it runs"
    if isinstance(error, PermissionError) or "Permission denied" in text or "cannot be opened" in text:
        return (
            "; in a race the user's own files can only be read, by absolute paths and through links, too; allowed: to "
            "write in the copy of the working folder"
        )
    return ""
