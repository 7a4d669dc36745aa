"""The same training step through five benchmark tools, A against A: `nox -s peers`; docs/peers.md. Not in the wheel.

`peers.scale` is no peer: it measures the conductor with thousands of arms, and what their records cost; docs/scale.md.
"""
