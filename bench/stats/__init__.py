"""Pure mathematics: intervals, ratios, signed rank, the gate's rule, change points."""
