"""One small mutation for each trap of docs/traps.md, and the test that must die of it."""
