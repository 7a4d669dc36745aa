"""The same training step through five benchmark tools, A against A: `nox -s peers`; docs/peers.md. Not in the wheel."""
