"""Precisions, spelled as Lightning spells them: what each means for a loop that nobody but its writer looks after.

Fabric and Trainer are given the name and do as they do; what they really did is read back. The plain loop asks here.
Torch is imported in methods only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Precision:
    """What a precision means, by torch's names of dtypes.

    Attributes:
        weights: dtype of weights, gradients and inputs.
        autocast: dtype that matrix products are cast to, "" without autocast.
        scaled: whether the loss is scaled against underflow of gradients, and updates with infinite ones are skipped.
        tolerance: how far the loss curve may lie from 32-true's, relative. A dtype of p significant bits rounds each
            product by up to 2**-p: 2**-8 for bfloat16, 2**-11 for float16; over the first steps of training the loss
            curves stayed within a few of these of each other.
    """

    weights: str
    autocast: str = ""
    scaled: bool = False
    tolerance: float = 1e-3

    def dtype(self) -> torch.dtype:
        import torch

        found = getattr(torch, self.weights)
        assert isinstance(found, torch.dtype)
        return found

    def autocast_dtype(self) -> torch.dtype | None:
        import torch

        found = getattr(torch, self.autocast) if self.autocast else None
        assert found is None or isinstance(found, torch.dtype)
        return found


PRECISIONS: dict[str, Precision] = {
    "32-true": Precision("float32"),
    "bf16-mixed": Precision("float32", autocast="bfloat16", tolerance=0.03),
    "16-mixed": Precision("float32", autocast="float16", scaled=True, tolerance=0.01),
    "bf16-true": Precision("bfloat16", tolerance=0.1),
    "16-true": Precision("float16", tolerance=0.05),
    "64-true": Precision("float64"),
}


MATMUL_PRECISIONS = ("highest", "high", "medium")
