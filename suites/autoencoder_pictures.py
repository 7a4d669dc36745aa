"""Pictures of a trained autoencoder: what it makes of digits, and where it puts them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .mnist_files import CLASSES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS, MOST_POINTS = 10, 2000
DPI = 120


def draw_reconstructions(images: Tensor, reconstructions: Tensor, labels: Tensor, folder: Path) -> Path:
    """Inputs above outputs, `reconstructions.png`: the first digit of each class where there are classes.

    Args:
        images: (N, 1, 28, 28), in [0, 1].
        reconstructions: of the same shape.
        labels: (N,), 0 to 9.
        folder: where the picture is put.
    """
    from matplotlib.figure import Figure

    first = {int(label): index for index, label in reversed(list(enumerate(labels.tolist())))}
    shown = [first[label] for label in sorted(first)] if len(first) > 1 else list(range(len(images)))
    shown = shown[:COLUMNS]
    figure = Figure(figsize=(0.9 * len(shown) + 0.9, 2.5), dpi=DPI)
    axes = figure.subplots(2, len(shown), squeeze=False)
    for column, index in enumerate(shown):
        for row, pictures in enumerate((images, reconstructions)):
            axes[row, column].imshow(pictures[index, 0].clamp(0, 1).numpy(), cmap="gray_r", vmin=0, vmax=1)
            axes[row, column].set(xticks=[], yticks=[])
            for edge in axes[row, column].spines.values():
                edge.set_color("0.8")
    error = (reconstructions - images).square().mean()
    figure.subplots_adjust(hspace=0.05, wspace=0.08, top=0.86)
    axes[0, 0].set_ylabel("input")
    axes[1, 0].set_ylabel("output")
    figure.suptitle(f"input above output; mean squared error of {len(images)} digits: {error:.4f}", fontsize=10)
    return _saved(figure, folder / "reconstructions.png")


def draw_latents(latents: Tensor, labels: Tensor, folder: Path) -> Path:
    """The latent space as a scatter by digit, `latent.png`, at most 2000 digits.

    Of two dimensions as they are; of one, beside the digit; of more, the first two principal components of the
    vectors, with the shares of their variance, as the flat view that shows most of them.

    Args:
        latents: (N, dimensions).
        labels: (N,), 0 to 9.
        folder: where the picture is put.
    """
    import seaborn
    from matplotlib.figure import Figure

    places, names, how = flat_view(latents[:MOST_POINTS], labels[:MOST_POINTS])
    digits = labels[:MOST_POINTS].numpy()
    figure = Figure(figsize=(6.4, 5.2), dpi=DPI)
    axis = figure.subplots()
    seaborn.scatterplot(
        x=places[:, 0].numpy(),
        y=places[:, 1].numpy(),
        hue=digits,
        hue_order=range(CLASSES),
        palette=seaborn.color_palette("tab10", CLASSES),
        s=14,
        linewidth=0,
        alpha=0.8,
        legend="full",
        ax=axis,
    )
    axis.set(xlabel=names[0], ylabel=names[1])
    axis.set_title(f"latent vectors of {len(places)} digits: {how}", fontsize=10)
    seaborn.move_legend(axis, "center left", bbox_to_anchor=(1.01, 0.5), title="digit", frameon=False)
    return _saved(figure, folder / "latent.png")


def flat_view(latents: Tensor, labels: Tensor) -> tuple[Tensor, tuple[str, str], str]:
    """Latent vectors as points of a plane, what its axes are, and how it was made."""
    dimensions = latents.shape[1]
    if dimensions == 1:
        return torch.stack([latents[:, 0], labels.to(latents.dtype)], 1), ("latent 1", "digit"), "one dimension"
    if dimensions == 2:
        return latents, ("latent 1", "latent 2"), "both dimensions"
    centred = latents - latents.mean(0)
    _, sizes, directions = torch.linalg.svd(centred, full_matrices=False)
    signs = directions.gather(1, directions.abs().argmax(1, keepdim=True)).sign()  # a direction has two; take one
    shares = sizes.square() / sizes.square().sum().clamp_min(torch.finfo(sizes.dtype).tiny)
    places = centred @ (directions * signs)[:2].T
    if places.shape[1] < 2:  # of a single digit
        places = torch.nn.functional.pad(places, (0, 2 - places.shape[1]))
        shares = torch.nn.functional.pad(shares, (0, 2 - len(shares)))
    names = tuple(f"principal component {number + 1} ({shares[number]:.0%} of the variance)" for number in range(2))
    return places, (names[0], names[1]), f"the first 2 principal components of {dimensions} dimensions"


def _saved(figure: Figure, path: Path) -> Path:
    figure.savefig(path, bbox_inches="tight")
    return path
