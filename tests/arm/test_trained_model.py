"""What optimizers train is found in whatever modules hold it."""

from __future__ import annotations

import torch
from torch import nn

from bench.arm.audit import weights_digest
from bench.arm.trained_model import TrainedModel, find_trained_model


class Wrapper(nn.Module):
    """As a LightningModule is one, with more besides."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.net = model
        self.register_buffer("of_the_wrapper", torch.zeros(3))


def test_the_innermost_module_that_holds_all_is_taken_so_that_wrappers_do_not_count() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    wrapped = Wrapper(inner)
    digests = [
        weights_digest(find_trained_model([torch.optim.SGD(model.parameters(), lr=0.1)])) for model in (plain, wrapped)
    ]
    assert digests[0] == digests[1]
    inner[1].running_mean += 1  # a buffer of the model is a part of what was learnt
    assert weights_digest(find_trained_model([torch.optim.SGD(wrapped.parameters(), lr=0.1)])) != digests[0]


def test_models_of_several_optimizers_are_all_found() -> None:
    generator, critic = nn.Linear(3, 3), nn.Linear(3, 1)
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in (generator, critic)]
    found = find_trained_model(optimizers)
    assert set(map(id, found.parameters())) == set(map(id, (*generator.parameters(), *critic.parameters())))


def test_parameters_that_no_module_holds_count_too() -> None:
    loose = torch.zeros(3, requires_grad=True)
    model = nn.Linear(2, 2)
    found = TrainedModel([loose, *model.parameters()], [model])
    before = weights_digest(found)
    assert any(one is loose for one in found.parameters())
    with torch.no_grad():
        loose += 1
    assert weights_digest(found) != before


def test_what_is_compiled_is_the_model_itself() -> None:
    model = nn.Linear(2, 2)
    compiled = torch.compile(model, backend="eager")
    found = find_trained_model([torch.optim.SGD(compiled.parameters(), lr=0.1)])
    assert [type(part) for part in found.parts] == [nn.Linear]
