"""Use cases: arguments in, values out."""
