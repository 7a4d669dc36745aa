"""The LightningModules of the zoo, found by looking: each file has one, and `loaders()` that gives its data."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

MODULES = Path(__file__).resolve().parent / "modules"
NAMES = tuple(sorted(path.stem for path in MODULES.glob("*.py")))


def zoo_file(name: str) -> ModuleType:
    """The file of that name, as a module of its own."""
    full = f"zoo_module_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, MODULES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


def zoo_module(name: str) -> Any:
    """The LightningModule of a file, made."""
    kind = "".join(part.capitalize() for part in name.split("_"))
    return getattr(zoo_file(name), kind)()


def zoo_loaders(name: str) -> tuple[Any, Any]:
    """Its training batches, and those for validation or None."""
    found = zoo_file(name).loaders()
    return found if isinstance(found, tuple) else (found, None)
