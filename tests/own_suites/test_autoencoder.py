"""The seed workload: modules, loss, digits, loaders, Lightning classes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT

from bench.errors import BenchError
from suites import autoencoder, digits
from suites.overhead import suite

POINT: dict[str, Any] = {axis: values[0] for axis, values in suite.axes.items()}


def workload(seed: int = 0, **values: Any) -> Any:
    torch.manual_seed(seed)
    return suite.build({**POINT, **values})


@pytest.mark.parametrize(("variant", "width"), [("mlp", 64), ("mlp", 7), ("conv", 64), ("conv", 3)])
def test_shapes(variant: str, width: int) -> None:
    encoder, decoder = autoencoder.make_modules(variant, width, latent=5)
    images = torch.rand(4, 1, 28, 28)
    assert encoder(images).shape == (4, 5)
    assert decoder(encoder(images)).shape == images.shape
    assert autoencoder.AutoEncoder(encoder, decoder)(images).shape == images.shape


def test_default_is_the_classic_one() -> None:
    modules = autoencoder.AutoEncoder(*autoencoder.make_modules())
    shapes = [tuple(parameter.shape) for name, parameter in modules.named_parameters() if name.endswith("weight")]
    assert shapes == [(64, 784), (3, 64), (64, 3), (784, 64)]


def test_loss_ignores_labels_and_takes_images_alone() -> None:
    model = autoencoder.AutoEncoder(*autoencoder.make_modules())
    images = torch.rand(4, 1, 28, 28)
    expected = ((model(images) - images) ** 2).mean()
    for batch in (images, (images, torch.zeros(4)), [images, torch.full((4,), float("nan"))]):
        torch.testing.assert_close(autoencoder.reconstruction_loss(model, batch), expected)


def test_workload_trains_the_same_for_the_same_seed() -> None:
    def train(seed: int) -> tuple[list[float], list[torch.Tensor]]:
        job = workload(seed, samples=256)
        optimizer = job.optimizer(job.model.parameters())
        losses = []
        for _ in range(2):
            for batch in job.batches:
                loss = job.loss(job.model, batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
        return losses, list(job.model.parameters())

    (first, weights), (again, weights_again), (other, _) = train(3), train(3), train(4)
    assert first == again
    assert all(torch.equal(one, two) for one, two in zip(weights, weights_again, strict=True))
    assert first != other
    assert first[-1] < first[0]


def test_batches_depend_on_the_seed_only() -> None:
    def batches(job: Any) -> list[torch.Tensor]:
        return [torch.cat([images for images, _ in job.batches]) for _ in range(2)]

    job = workload(1, samples=256)
    torch.manual_seed(99)  # what a loop draws from the global generator must not reorder anything
    torch.rand(7)
    first = batches(job)
    second = batches(workload(1, samples=256, variant="conv", width=8))
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))
    assert not torch.equal(first[0], first[1]), "epochs are shuffled anew"
    assert not torch.equal(first[0], batches(workload(2, samples=256))[0])


def test_batches_are_full_and_of_one_kind() -> None:
    job = workload(samples=200, batch_size=64)
    assert [images.shape for images, _ in job.batches] == [(64, 1, 28, 28)] * 3
    images, labels = next(iter(job.batches))
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert sum(len(images) for images, _ in job.validation) == 25


def test_loader_gives_what_single_items_give() -> None:
    data = digits.load_digits("synthetic", "train", 16, seed=0)
    images, labels = next(iter(digits.make_loader(data, 16, 0, train=False)))
    assert torch.equal(images, torch.stack([data[index][0] for index in range(16)]))
    assert torch.equal(labels, torch.stack([data[index][1] for index in range(16)]))


def test_more_than_one_batch_is_needed() -> None:
    with pytest.raises(BenchError, match="batch_size=64 is more than samples=32"):
        workload(samples=32)


@pytest.mark.parametrize(
    ("axis", "value", "allowed"), [("data", "cifar", "synthetic, mnist"), ("variant", "vae", "mlp, conv")]
)
def test_unknown_values_are_named_with_what_is_allowed(axis: str, value: str, allowed: str) -> None:
    with pytest.raises(BenchError, match=f"{value}.*allowed: {allowed}"):
        workload(**{axis: value})


def test_synthetic_digits_are_digits() -> None:
    images, labels = digits.synthetic(2000, seed=5)
    assert images.dtype == torch.uint8
    assert images.shape == (2000, 1, 28, 28)
    assert sorted(labels.unique().tolist()) == list(range(10))
    given = digits.Digits(images, labels).__getitems__(range(2000))[0]
    assert given.min() >= 0
    assert given.max() <= 1
    assert given.max() > 0.9
    # Each class lies nearer to its own mean than to any other's: the labels belong to the images.
    means = torch.stack([given[labels == digit].mean(0) for digit in range(10)]).flatten(1)
    own = torch.cdist(given.flatten(1), means).argmin(1)
    assert (own == labels).float().mean() > 0.7  # 0.1 by chance; the shifts blur the means


def test_synthetic_digits_depend_on_seed_and_split() -> None:
    def of(split: digits.Split, seed: int) -> torch.Tensor:
        return digits.load_digits("synthetic", split, 64, seed).images

    assert torch.equal(of("train", 1), of("train", 1))
    assert not torch.equal(of("train", 1), of("train", 2))
    assert not torch.equal(of("train", 1)[:8], of("test", 1))
    assert not torch.equal(of("validation", 1), of("test", 1))


def test_neither_lightning_nor_torchvision_is_imported_for_a_plain_arm() -> None:
    code = (
        "import sys; from suites.overhead import suite; assert 'torch' not in sys.modules;"
        "job = suite.build({axis: values[0] for axis, values in suite.axes.items()}); next(iter(job.batches));"
        "heavy = {'lightning', 'pytorch_lightning', 'torchvision', 'pandas'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_lightning_classes_are_lazy_names_of_the_suite() -> None:
    from suites import autoencoder_lightning

    assert autoencoder.LitAutoEncoder is autoencoder_lightning.LitAutoEncoder
    assert autoencoder.MNISTDataModule is autoencoder_lightning.MNISTDataModule
    with pytest.raises(AttributeError, match="LitAutoencoder"):
        autoencoder.LitAutoencoder  # noqa: B018  # looking it up is what imports it, or refuses


def test_lightning_module_wraps_the_same_modules() -> None:
    job = workload()
    module = job.lightning()
    batch = next(iter(job.batches))
    assert [id(p) for p in module.parameters()] == [id(p) for p in job.model.parameters()]
    assert torch.equal(module.training_step(batch, 0), job.loss(job.model, batch))
    assert dict(module.hparams) == {"learning_rate": 1e-3, "log": False}
    optimizers = module.configure_optimizers(), job.optimizer(job.model.parameters())
    assert optimizers[0].defaults == optimizers[1].defaults


@pytest.mark.parametrize("log", [False, True])
def test_trainer_goes_through_every_stage(tmp_path: Path, log: bool) -> None:
    from lightning.pytorch import Trainer

    torch.manual_seed(0)
    data = autoencoder.MNISTDataModule(samples=256, batch_size=64, seed=1)
    module = autoencoder.LitAutoEncoder(*autoencoder.make_modules(), log=log)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, default_root_dir=tmp_path,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    assert trainer.global_step == 4
    assert {"train_loss", "val_loss"} <= set(trainer.callback_metrics) or not log
    assert not log or trainer.callback_metrics["val_loss"] > 0
    assert log or not trainer.callback_metrics
    assert all(not torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True))
    assert not data.digits, "teardown lets go of the data"
    trainer.validate(module, datamodule=data, verbose=False)
    trainer.test(module, datamodule=data, verbose=False)
    assert dict(data.hparams) == {"data_dir": None, "source": "synthetic", "batch_size": 64, "samples": 256, "seed": 1}


def test_data_module_gives_the_batches_of_the_workload() -> None:
    data = autoencoder.MNISTDataModule(samples=256, batch_size=64, seed=6)
    data.prepare_data()
    data.setup("fit")
    ours, theirs = (
        [batch for _ in range(2) for batch in loader]
        for loader in (workload(6, samples=256).batches, data.train_dataloader())
    )
    assert all(torch.equal(one, two) for a, b in zip(ours, theirs, strict=True) for one, two in zip(a, b, strict=True))
    data.setup("test")
    assert {split: len(data.digits[split]) for split in digits.SPLITS} == {"train": 256, "validation": 32, "test": 32}
    assert len(list(data.val_dataloader())) == len(list(data.test_dataloader())) == 1
