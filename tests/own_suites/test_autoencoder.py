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
from suites.epoch_order import ShuffledEpochs
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


@pytest.mark.parametrize("epochs", [[0, 1, 2], [2], [1, 0, 2], [2, 2]])
def test_the_order_of_an_epoch_depends_on_seed_and_number_only(epochs: list[int]) -> None:
    """And it is the one that torch's own sampler gives in that epoch, so it was the same in earlier versions."""
    torchs = torch.utils.data.RandomSampler(range(50), generator=torch.Generator().manual_seed(3))
    expected = [list(torchs) for _ in range(3)]
    sampler = ShuffledEpochs(range(50), 3)
    for epoch in epochs:
        sampler.set_epoch(epoch)
        assert list(sampler) == expected[epoch]
    by_passes = ShuffledEpochs(range(50), 3)
    assert [list(by_passes) for _ in range(3)] == expected


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(("given", "epoch"), [(0, 0), (2, 0), (3, 1), (4, 1)])
def test_a_loader_goes_on_where_its_state_says(workers: int, given: int, epoch: int) -> None:
    def loader() -> Any:
        data = digits.load_digits("synthetic", "train", 256, seed=0)
        return digits.make_loader(data, 64, 5, train=True, resumable=True, num_workers=workers)

    whole, stopped, goes_on = loader(), loader(), loader()
    expected = [[images for images, _ in whole] for _ in range(3)]
    for _ in range(epoch):
        list(stopped)
    passing = iter(stopped)
    for _ in range(given):
        next(passing)
    goes_on.load_state_dict(stopped.state_dict())
    goes_on.sampler.set_epoch(epoch)
    rest = [images for images, _ in goes_on]
    assert len(rest) == 4 - given
    assert all(torch.equal(one, two) for one, two in zip(rest, expected[epoch][given:], strict=True))
    after = [images for images, _ in goes_on]
    assert all(torch.equal(one, two) for one, two in zip(after, expected[epoch + 1], strict=True))


def test_a_state_of_an_epoch_that_is_over_leaves_nothing_out() -> None:
    """As with `limit_train_batches`, where the loader was not at its end when the epoch was."""
    data = digits.load_digits("synthetic", "train", 256, seed=0)
    loader = digits.make_loader(data, 64, 5, train=True, resumable=True)
    loader.load_state_dict({"epoch": 0, "batches": 2})
    loader.sampler.set_epoch(1)
    assert len(list(loader)) == 4


def test_modules_that_are_given_cost_no_random_number() -> None:
    encoder, decoder = autoencoder.make_modules("mlp", 8, 2)
    before = torch.get_rng_state()
    module = autoencoder.LitAutoEncoder.around(encoder, decoder, variant="mlp", width=8, latent=2)
    assert torch.equal(torch.get_rng_state(), before)
    rebuilt = autoencoder.LitAutoEncoder(**module.hparams)
    rebuilt.load_state_dict(module.state_dict())
    assert module.model.encoder is encoder
    assert dict(rebuilt.hparams) == dict(module.hparams)


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        *(("LitAutoEncoder", named) for named in ({"width": 0}, {"latent": -1}, {"gamma": 0.0}, {"gamma": 1.5})),
        *(("MNISTDataModule", named) for named in ({"batch_size": 0}, {"samples": 0}, {"num_workers": -1})),
    ],
)
def test_an_argument_that_is_not_possible_is_told(kind: str, named: dict[str, Any]) -> None:
    ((name, value),) = named.items()
    with pytest.raises(BenchError, match=rf"{name}={value} is not possible; allowed: "):
        getattr(autoencoder, kind)(**named)


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
    shape = {"variant": "mlp", "width": 64, "latent": 3}
    assert dict(module.hparams) == {**shape, "learning_rate": 1e-3, "gamma": 1.0, "log": False}
    optimizers = module.configure_optimizers(), job.optimizer(job.model.parameters())
    assert optimizers[0].defaults == optimizers[1].defaults


@pytest.mark.parametrize("log", [False, True])
def test_trainer_goes_through_every_stage(tmp_path: Path, log: bool) -> None:
    from lightning.pytorch import Trainer

    torch.manual_seed(0)
    data = autoencoder.MNISTDataModule(samples=256, batch_size=64, seed=1)
    module = autoencoder.LitAutoEncoder(log=log)
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
    (predicted,) = trainer.predict(module, datamodule=data)
    assert {name: tuple(part.shape) for name, part in predicted.items()} == {
        "images": (32, 1, 28, 28), "latents": (32, 3), "reconstructions": (32, 1, 28, 28), "labels": (32,),
    }  # fmt: skip
    with torch.inference_mode():
        assert torch.equal(predicted["reconstructions"], module.model.decoder(predicted["latents"]))
    own = {"data_dir": None, "source": "synthetic", "batch_size": 64, "samples": 256, "seed": 1, "num_workers": 0}
    assert dict(data.hparams) == own


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
