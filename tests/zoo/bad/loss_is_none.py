"""Its loss is None."""

from little import Training, loader

OUTCOME = "crashed"
EXPECTED = "AttributeError: 'NoneType' object has no attribute 'backward' (loss_is_none.py:"

training = Training()
for _batch in loader():
    loss = None
    loss.backward()
    training.optimizer.step()
