"""Data for all loops: seeded synthetic digits, or torchvision's MNIST, as tensors behind a real DataLoader.

The order of samples depends on the seed only, so that every loop gets the same batches in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler

from bench.errors import BenchError, one_of

from .epoch_order import ResumableLoader, ShuffledEpochs
from .mnist_files import ARM_SECONDS, CLASSES, SIDE, default_data_dir, fetch_mnist, read_mnist

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SOURCES = ("synthetic", "mnist")
MNIST_VALIDATION = 5_000  # the usual division of the 60 000 training images

# The digits of a 5 x 7 dot-matrix display, one row of five dots after the other.
GLYPHS = (
    "01110 10001 10011 10101 11001 10001 01110",
    "00100 01100 00100 00100 00100 00100 01110",
    "01110 10001 00001 00010 00100 01000 11111",
    "11111 00010 00100 00010 00001 10001 01110",
    "00010 00110 01010 10010 11111 00010 00010",
    "11111 10000 11110 00001 00001 10001 01110",
    "00110 01000 10000 11110 10001 10001 01110",
    "11111 00001 00010 00100 01000 01000 01000",
    "01110 10001 10001 01110 10001 10001 01110",
    "01110 10001 10001 01111 00001 00010 01100",
)
GLYPH_HEIGHT, GLYPH_WIDTH = 20, 14  # MNIST's own digits were scaled into a box of 20 pixels
SHIFTS = 7  # places across and down, so up to three pixels from the middle
BRIGHTEST, NOISE = 224.0, 31  # their sum is 255; the noise is a mask of bits
BLOCK = 256


def synthetic(samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Digits from ten prototypes with random shift, intensity and noise; no network, no file.

    Every arm draws them at its start, so this is quick: 8192 take 14 ms on one slow core, 40 ms where all memory is
    new to the virtual machine, whose first touch of a page costs 12 microseconds. Hence bytes, noise drawn eight
    bytes at a time straight into the result, and the rest in blocks.

    Returns:
        images, uint8, (samples, 1, 28, 28), and labels, int64, (samples,).
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (samples,), generator=generator)
    which = labels * SHIFTS**2 + torch.randint(SHIFTS**2, (samples,), generator=generator)
    intensity = torch.rand(samples, 1, generator=generator).mul_(0.45).add_(0.55)
    noise = torch.empty(samples, SIDE * SIDE // 8, dtype=torch.int64).random_(-(2**63), None, generator=generator)
    images = noise.view(torch.uint8).bitwise_and_(NOISE)
    canvases = _canvases()
    for start in range(0, samples, BLOCK):
        block = slice(start, start + BLOCK)
        images[block] += canvases.index_select(0, which[block]).mul_(intensity[block]).to(torch.uint8)
    return images.view(samples, 1, SIDE, SIDE), labels


def _canvases() -> Tensor:
    """Every prototype at every shift, 0 to 224: (10 * 7 * 7, 784), the shifts of a class one after the other."""
    dots = torch.tensor([[[float(dot) for dot in row] for row in glyph.split()] for glyph in GLYPHS])
    size = (GLYPH_HEIGHT, GLYPH_WIDTH)
    drawn = torch.nn.functional.interpolate(dots[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    plane = torch.zeros(CLASSES, SIDE + SHIFTS - 1, SIDE + SHIFTS - 1)
    top, left = (plane.shape[1] - GLYPH_HEIGHT) // 2, (plane.shape[2] - GLYPH_WIDTH) // 2
    plane[:, top : top + GLYPH_HEIGHT, left : left + GLYPH_WIDTH] = drawn.mul_(BRIGHTEST)
    return plane.unfold(1, SIDE, 1).unfold(2, SIDE, 1).reshape(-1, SIDE * SIDE)


def mnist(samples: int, split: Split, folder: Path) -> tuple[Tensor, Tensor]:
    """The first `samples` digits of a split of MNIST; validation is the last 5000 of the training images.

    Validation and test give what they have where that is fewer; training does not, as that would be another workload.

    Returns:
        images, uint8, (samples, 1, 28, 28), and labels, int64, (samples,).

    Raises:
        BenchError: the files cannot be had or read, or there are fewer training samples.
    """
    fetch_mnist(folder, ARM_SECONDS)
    data, targets = read_mnist(folder, "t10k" if split == "test" else "train")
    held_out = min(MNIST_VALIDATION, max(1, len(data) // 12))
    if split == "train":
        data, targets = data[:-held_out], targets[:-held_out]
    elif split == "validation":
        data, targets = data[-held_out:], targets[-held_out:]
    if split == "train" and samples > len(data):
        raise BenchError(f"samples={samples}: MNIST has fewer training samples; allowed: 1 to {len(data)}")
    return data[:samples, None].clone(), targets[:samples].clone()


class Digits(Dataset[tuple[Tensor, Tensor]]):
    """Images, uint8, and labels as two tensors in memory; gives images as float32 in [0, 1], as `ToTensor` does.

    A DataLoader fetches a whole batch with one index operation: with PIL for each sample one would measure PIL.
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index].to(torch.float32).div_(255), self.labels[index]

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        chosen = torch.tensor(indices)
        images = self.images.index_select(0, chosen).to(torch.float32).div_(255)
        return images, self.labels.index_select(0, chosen)


class SampleBySample(Dataset[tuple[Tensor, Tensor]]):
    """The same digits, one at a time and collated by torch, as datasets without `__getitems__` give them."""

    def __init__(self, digits: Digits) -> None:
        self.digits = digits

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.digits[index]


def split_samples(samples: int, split: Split) -> int:
    """How many samples a split has: all for training, an eighth, within MNIST's 5000, for each of the others."""
    return samples if split == "train" else max(1, min(samples // 8, MNIST_VALIDATION))


def load_digits(source: str, split: Split, samples: int, seed: int, folder: Path | None = None) -> Digits:
    """The digits of a split, in memory.

    Args:
        source: `synthetic` or `mnist`.
        split: which part; splits share no sample.
        samples: training samples; the other splits are sized from it, see `split_samples`.
        seed: of the synthetic digits; MNIST's are what they are.
        folder: where MNIST lies, by default `default_data_dir()`.

    Raises:
        BenchError: an unknown source, or data that cannot be had; names what is allowed.
    """
    count = split_samples(samples, split)
    if source == "synthetic":
        # Splits draw from streams of their own: the prime keeps those of neighbouring seeds apart.
        return Digits(*synthetic(count, (seed + 1_000_003 * SPLITS.index(split)) % 2**63))
    if source == "mnist":
        return Digits(*mnist(count, split, folder or default_data_dir()))
    raise BenchError(one_of("data", source, SOURCES))


def make_loader(
    digits: Digits,
    batch_size: int,
    seed: int,
    *,
    train: bool,
    num_workers: int = 0,
    persistent_workers: bool = False,
    pin_memory: bool = False,
    by_sample: bool = False,
    resumable: bool = False,
) -> DataLoader[tuple[Tensor, Tensor]]:
    """The one loader of all loops: training batches are shuffled by a generator of their own and all of one size.

    Of several ranks (WORLD_SIZE and RANK in the environment, as torchrun sets them) each trains on its share, by
    torch's DistributedSampler; what does not divide is left out, as padding would give some samples twice.

    Args:
        resumable: the loader says where in an epoch it is, and goes on from there, as a checkpoint of Trainer's asks.

    Raises:
        BenchError: there are fewer training samples than one batch of each rank needs, so an epoch would be empty; or
            workers are to persist that are not there.
    """
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if persistent_workers and not num_workers:
        raise BenchError("persistent_workers=true needs num_workers above 0; it is 0")
    if train and batch_size * ranks > len(digits):
        each = f" for each of {ranks} ranks" if ranks > 1 else ""
        raise BenchError(
            f"batch_size={batch_size}{each} is more than samples={len(digits)}: an epoch would have no batch"
        )
    sampler: Sampler[int] | None = None
    if train:
        sampler = ShuffledEpochs(digits, seed)
    if train and "RANK" in os.environ:
        rank = int(os.environ["RANK"])
        sampler = DistributedSampler(digits, num_replicas=ranks, rank=rank, shuffle=True, seed=seed, drop_last=True)
    return (ResumableLoader if resumable else DataLoader)(
        SampleBySample(digits) if by_sample else digits,
        batch_size=batch_size,
        sampler=sampler,
        drop_last=train,
        num_workers=num_workers,
        persistent_workers=persistent_workers,
        pin_memory=pin_memory,
        collate_fn=None if by_sample else _as_it_is,
        generator=torch.Generator().manual_seed(seed),
    )


def _as_it_is(batch: Any) -> Any:
    """A batch comes whole from `__getitems__`; there is nothing left to collate."""
    return batch
