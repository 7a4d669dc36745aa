"""What an autoencoder's pictures show, and that training, and predicting again, draws them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_calls import SMALL, own_lines, train

from suites.autoencoder_lightning import LitAutoEncoder, MNISTDataModule
from suites.autoencoder_pictures import flat_view


def png_size(path: Path) -> tuple[int, int]:
    """Width and height, as its header says."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


@pytest.mark.long
@pytest.mark.usefixtures("processes")
def test_fit_and_predict_draw_pictures_and_say_where(tmp_path: Path) -> None:
    done = train("fit", *SMALL, "--trainer.max_epochs", "1", cwd=tmp_path)
    names = "checkpoints/best.ckpt, checkpoints/last.ckpt, config.yaml, hparams.yaml, latent.png, metrics.csv, "
    assert own_lines(done.stderr)[-1] == f"under trainings/fit-0: {names}reconstructions.png"
    train("predict", "--trainer.accelerator", "cpu", "--ckpt_path", "best", cwd=tmp_path)
    for name in ("reconstructions.png", "latent.png"):
        width, height = png_size(tmp_path / "trainings" / "predict-0" / name)
        assert width > height > 100


@pytest.mark.parametrize("latent", [1, 2, 3, 16])
def test_every_size_of_the_latent_vector_can_be_drawn(latent: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = MNISTDataModule(samples=512)
    data.setup("predict")
    module = LitAutoEncoder(width=8, latent=latent)
    drawn = module.draw_pictures(data.predict_dataloader(), tmp_path)
    assert [path.name for path in drawn] == ["reconstructions.png", "latent.png"]
    assert all(png_size(path)[0] > 100 for path in drawn)
    assert module.training, "as it was before"


def test_one_digit_without_a_label_can_be_drawn(tmp_path: Path) -> None:
    drawn = LitAutoEncoder(width=8).draw_pictures([torch.rand(1, 1, 28, 28)], tmp_path)
    assert all(path.is_file() for path in drawn)


def test_the_flat_view_has_the_directions_of_most_variance() -> None:
    """Three dimensions of known spread, turned: the view has the two widest, and their shares of the variance."""
    generator = torch.Generator().manual_seed(3)
    spread = torch.randn(4000, 3, generator=generator) * torch.tensor([3.0, 2.0, 1.0])
    turned = spread @ torch.linalg.qr(torch.randn(3, 3, generator=generator)).Q
    places, names, how = flat_view(turned, torch.zeros(4000))
    assert places.shape == (4000, 2)
    assert [float(value) for value in places.std(0)] == pytest.approx([3.0, 2.0], rel=0.05)
    assert names[0].startswith("principal component 1 (6")
    assert names[1].startswith("principal component 2 (2")
    assert how == "the first 2 principal components of 3 dimensions"


def test_two_dimensions_are_shown_as_they_are() -> None:
    latents = torch.rand(5, 2)
    places, names, _ = flat_view(latents, torch.zeros(5))
    assert torch.equal(places, latents)
    assert names == ("latent 1", "latent 2")
