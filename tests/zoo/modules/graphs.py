"""Graphs: batches are objects of a class of the user's own, which knows how to go to a device, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import lightning.pytorch as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

FEATURES, BATCH = 12, 4


@dataclass
class Graph:
    """Nodes, edges between them, and which node is of which graph; several graphs are one with more parts."""

    nodes: torch.Tensor
    edges: torch.Tensor
    owner: torch.Tensor
    count: int = 1

    def to(self, device: torch.device, non_blocking: bool = False) -> Graph:
        parts = (part.to(device, non_blocking=non_blocking) for part in (self.nodes, self.edges, self.owner))
        return Graph(*parts, self.count)


def together(graphs: list[Graph]) -> Graph:
    first = [sum(len(one.nodes) for one in graphs[:index]) for index in range(len(graphs))]
    return Graph(
        torch.cat([one.nodes for one in graphs]),
        torch.cat([one.edges + begin for one, begin in zip(graphs, first, strict=True)], dim=1),
        torch.cat([torch.full((len(one.nodes),), index) for index, one in enumerate(graphs)]),
        len(graphs),
    )


def loaders() -> DataLoader:
    graphs = []
    for size in torch.randint(4, 10, (20 * BATCH,)).tolist():
        graphs.append(Graph(torch.randn(size, FEATURES), torch.randint(size, (2, 3 * size)), torch.zeros(size)))
    return DataLoader(graphs, batch_size=BATCH, shuffle=True, collate_fn=together)


class Graphs(pl.LightningModule):
    """Two rounds of messages between neighbours; it learns the mean of each graph's first feature."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds = nn.ModuleList([nn.Linear(FEATURES, FEATURES), nn.Linear(FEATURES, FEATURES)])
        self.head = nn.Linear(FEATURES, 1)

    def pooled(self, values: torch.Tensor, batch: Graph) -> torch.Tensor:
        return values.new_zeros(batch.count, values.shape[1]).index_add(0, batch.owner, values)

    def training_step(self, batch: Graph, batch_idx: int) -> torch.Tensor:
        states, (source, target) = batch.nodes, batch.edges
        for layer in self.rounds:
            states = states + torch.zeros_like(states).index_add(0, target, layer(states)[source]).tanh()
        loss = (self.head(self.pooled(states, batch)) - self.pooled(batch.nodes[:, :1], batch)).square().mean()
        self.log("loss", loss, batch_size=batch.count)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adagrad(self.parameters(), lr=1e-2)
