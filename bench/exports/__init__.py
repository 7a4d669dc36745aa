"""Runs in other programs' formats: one file a program."""
