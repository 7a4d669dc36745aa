"""Clean: a recurrent network with a schedule of its learning rate and clipped gradients."""

import torch
from torch.utils.data import DataLoader, TensorDataset


class Tagger(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(50, 16)
        self.rnn = torch.nn.GRU(16, 32, batch_first=True)
        self.head = torch.nn.Linear(32, 5)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(self.embedding(words))[0])


def main(epochs: int = 1000) -> None:
    torch.manual_seed(0)
    words, tags = torch.randint(50, (640, 12)), torch.randint(5, (640, 12))
    loader = DataLoader(TensorDataset(words, tags), batch_size=16, shuffle=True)
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10)
    for _ in range(epochs):
        for batch, target in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(batch).flatten(0, 1), target.flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        schedule.step()


if __name__ == "__main__":
    main()
