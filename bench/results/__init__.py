"""What is written down: record, run.json, work ledger, store, baselines, safe files."""
