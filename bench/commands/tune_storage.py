"""The file of a study: SQLite through Optuna, and one message for all that can be wrong with it. No torch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.errors import RunError

LOCK_PATIENCE = 10.0  # seconds for which another process may hold the file: one write of Optuna's takes milliseconds


@contextmanager
def telling_of_storage(path: Path | None) -> Iterator[None]:
    """What goes wrong with the file of a study, as one message.

    Raises:
        RunError: whatever SQLite or Optuna say of it.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        raise RunError(f"{path}: {why_not_kept(error)}") from None


def why_not_kept(error: BaseException) -> str:
    """What SQLite said, of all that was wrapped around it, and what can be done."""
    inner: BaseException | None = error
    while inner is not None and type(inner).__module__ != "sqlite3":
        inner = getattr(inner, "orig", None) or inner.__cause__ or inner.__context__
    text = str(inner or error).strip().splitlines()[0]
    hints = {
        "locked": "another process is writing it; end it or wait, and go on with --resume",
        "readonly": "choose another --storage, or let it be written",
        "read-only": "choose another --storage, or let it be written",
        "full": "the disk is full; make room, and go on with --resume",
        "not a database": "allowed: a new file, or one that Optuna has made",
        "malformed": "the file is damaged; choose another --storage",
        "unable to open": "the folder is not there or cannot be written; choose another --storage",
        "disk I/O": "the disk does not take it; make room, and go on with --resume",
        "already exists": "it is another program's; allowed: a new file, or one that Optuna has made",
    }
    hint = next((words for sign, words in hints.items() if sign in text), "")
    return f"the study cannot be kept there: {text}" + (f"; {hint}" if hint else "")


def study_storage(path: Path, *, resume: bool) -> Any:
    """Optuna's storage in this file.

    Args:
        resume: whether it must be there.

    Raises:
        RunError: it is no file, or none of Optuna's, or not there.
    """
    import optuna

    if path.is_dir():
        raise RunError(f"{path}: it is a folder; allowed: a file for the study")
    if path.exists() and not path.is_file():
        raise RunError(f"{path}: it is a pipe or a device; allowed: a file for the study")
    if resume and not path.exists():
        raise RunError(f"{path}: the study is gone; start the search anew")
    if path.exists() and path.stat().st_size:
        _check_tables(path)
    return optuna.storages.RDBStorage(
        f"sqlite:///{path.absolute()}", engine_kwargs={"connect_args": {"timeout": LOCK_PATIENCE}}
    )


def _check_tables(path: Path) -> None:
    """Raises:
    RunError: it is no SQLite file, or another program's.
    """
    import sqlite3
    from contextlib import closing

    try:
        with closing(sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True, timeout=LOCK_PATIENCE)) as opened:
            tables = {name for (name,) in opened.execute("select name from sqlite_master where type = 'table'")}
    except sqlite3.Error as error:
        raise RunError(f"{path}: {why_not_kept(error)}") from None
    if tables and not {"studies", "trials", "version_info"} <= tables:
        raise RunError(f"{path}: it is another program's database; allowed: a new file, or one that Optuna has made")
