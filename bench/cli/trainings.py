"""`bench train`: LightningCLI, which takes over this process."""

from __future__ import annotations

import argparse
from typing import NoReturn

from bench.cli.arguments import Adder
from bench.commands.train import become_training


def add(command: Adder) -> None:
    """The command of this file."""
    asked = command(
        "train", take_words, "train, validate, test or predict with LightningCLI; `bench train --help` is its own"
    )
    asked.unread = "words"
    asked.set_defaults(words=[])


def take_words(arguments: argparse.Namespace) -> NoReturn:
    """`bench train`"""
    become_training(arguments.words)
