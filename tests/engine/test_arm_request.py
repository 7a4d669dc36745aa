"""What an arm did otherwise than it was asked to: only what was seen to differ."""

from __future__ import annotations

from bench.engine.arm_request import downgrades
from bench.protocol import NOT_SEEN


def test_only_what_was_seen_to_differ_is_a_downgrade() -> None:
    asked = {"precision": "bf16-mixed", "accelerator": "cpu"}
    assert downgrades(asked, {"precision": NOT_SEEN, "accelerator": "cpu"}) == ""
    assert downgrades(asked, {"precision": "32-true", "accelerator": NOT_SEEN}) == (
        "precision: asked for bf16-mixed, got 32-true"
    )
    assert downgrades(asked, {"accelerator": "cpu"}) == "precision: asked for bf16-mixed, got None"
