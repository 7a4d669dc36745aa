"""The suites for asv itself: `asv run -E existing` (docs/history.md). Suite files of this program lie one folder up."""
