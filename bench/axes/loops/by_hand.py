"""A LightningModule driven by hand: its own steps, optimizers, schedulers and hooks, in the order that Trainer has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from bench.axes.loops import register
from bench.axes.loops.epoch import save
from bench.axes.loops.trainer_stand_in import ByHandTrainer
from bench.axes.loops.workload_module import module_of
from bench.errors import Unsupported

if TYPE_CHECKING:
    import torch
    from lightning.pytorch import LightningModule

    from bench.axes.loops.job import Job

STOPPED = "the module's on_train_batch_start gave -1, which ends an epoch before its time; no turn can be made of that"


@register("by-hand", preload=("torch", "lightning"))
def by_hand(job: Job) -> None:
    """A LightningModule's own training_step and hooks, in a loop written by hand"""
    refuse(job)
    module = module_of(job.workload)
    stream = job.stream(job.workload.batches)
    trainer = ByHandTrainer(job, module, len(stream))
    begin(job, trainer)
    step = StepByHand(job, trainer)
    validate = validation_by_hand(job, trainer) if job.real_epochs else None
    epoch_start, epoch_end = trainer.hooks("on_train_epoch_start"), trainer.hooks("on_train_epoch_end")
    called(trainer, "on_train_start")
    for epoch in job.epochs():
        trainer.current_epoch = epoch
        for hook in epoch_start:
            hook()
        for index, batch in enumerate(step.fetched(stream)):
            step(batch, index)
        if validate is not None and not job.ending.over:
            validate()
        for hook in epoch_end:
            hook()
        if job.real_epochs and not job.ending.over:
            save(job, job.workload.model, trainer.optimizers)
    end(trainer)


def refuse(job: Job) -> None:
    """Refuse what this loop does not do.

    Raises:
        Unsupported: several ranks, or a device whose operations are recorded.
    """
    if job.strategy != "single_device":
        raise Unsupported(f"the loop 'by-hand' drives a module on one device, and strategy={job.strategy} has several")
    if job.device.type == "xla":
        raise Unsupported("the loop 'by-hand' cuts no graph, as a device of torch_xla needs it")


def begin(job: Job, trainer: ByHandTrainer) -> None:
    """What a Trainer does with a module before it trains, in its order: hooks, device, optimizers.

    Raises:
        Unsupported: the module brings what a Trainer alone can take.
    """
    from lightning.fabric.utilities.device_dtype_mixin import _DeviceDtypeModuleMixin
    from lightning.pytorch import LightningModule
    from lightning.pytorch.core.optimizer import _init_optimizers_and_lr_schedulers
    from lightning.pytorch.trainer.states import TrainerFn
    from lightning.pytorch.utilities.model_helpers import is_overridden
    from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature

    module = trainer.lightning_module
    if is_overridden("configure_callbacks", module):
        raise Unsupported("the module's configure_callbacks gives callbacks, which a Trainer alone can call")
    if is_param_in_hook_signature(module.training_step, "dataloader_iter", explicit=True):
        raise Unsupported("the module's training_step pulls its batches itself, from the iterator that a Trainer gives")
    stand_in: Any = trainer  # typed for a real one
    module.trainer = stand_in
    for one in module.modules():
        if isinstance(one, LightningModule):
            quiet(one)
    called(trainer, "prepare_data")
    for one in module.modules():
        if isinstance(one, _DeviceDtypeModuleMixin):
            one._device = job.device  # which Trainer tells them before they are there, for `setup`
    module.setup(TrainerFn.FITTING)
    if is_overridden("configure_model", module):
        with job.device, trainer.precision_plugin.module_init_context():
            module.configure_model()
    trainer.precision_plugin.convert_module(module)
    module.to(job.device)
    trainer.optimizers, trainer.lr_scheduler_configs = _init_optimizers_and_lr_schedulers(module)
    if any(config.reduce_on_plateau for config in trainer.lr_scheduler_configs):
        raise Unsupported("the module's ReduceLROnPlateau watches what is logged, and the loop 'by-hand' logs nothing")
    trainer.strategy.set_up(trainer.optimizers)
    called(trainer, "on_fit_start")
    module.zero_grad()


def end(trainer: ByHandTrainer) -> None:
    """What a Trainer does with a module when it has trained."""
    from lightning.pytorch.trainer.states import TrainerFn

    for name in ("on_train_end", "on_fit_end"):
        called(trainer, name)
    trainer.lightning_module.teardown(TrainerFn.FITTING)


def called(trainer: ByHandTrainer, name: str) -> None:
    """Call a hook that takes nothing."""
    for hook in trainer.hooks(name):
        hook()


def quiet(module: LightningModule) -> None:
    """Let `self.log` return at once. A barebones Trainer lets it warn at each call."""
    from lightning.pytorch import LightningModule

    def no_log(*args: Any, **kwargs: Any) -> None:
        pass

    for name in ("log", "log_dict"):
        if getattr(type(module), name) is getattr(LightningModule, name):  # one of the user's stays
            setattr(module, name, no_log)


class StepByHand:
    """One training step of the module: `step(batch, index)`.

    Attributes:
        fetched: `fetched(stream)` gives the batches, each fetch announced to a profiler as Trainer does it, if there is
            a callback that may listen.
    """

    def __init__(self, job: Job, trainer: ByHandTrainer) -> None:
        from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature

        module = trainer.lightning_module
        self._trainer = trainer
        self._module = module
        self._training_step = job.compiled(module.training_step) if job.compile != "off" else module.training_step
        self._takes_index = is_param_in_hook_signature(module.training_step, "batch_idx", min_args=2)
        self._move = move_by_hand(job, trainer)
        self._context = step_context(job, trainer)
        self._start, self._end = trainer.hooks("on_train_batch_start"), trainer.hooks("on_train_batch_end")
        self._before_zero = trainer.hooks("on_before_zero_grad")
        self._own_zero, self._own_step = trainer.hooks("optimizer_zero_grad"), trainer.hooks("optimizer_step")
        self._take = self._automatic if module.automatic_optimization else self._manual
        self._by_step, self._by_epoch = (
            [config for config in trainer.lr_scheduler_configs if config.interval == interval]
            if module.automatic_optimization
            else []
            for interval in ("step", "epoch")
        )
        self._last = trainer.num_training_batches - 1
        self._outputs: dict[str, Any] = {}
        self.fetched: Callable[[Any], Any] = self._announced if trainer.callbacks else iter

    def __call__(self, batch: Any, index: int) -> None:
        last = self._trainer.is_last_batch = index == self._last
        batch = self._move(batch)
        if batch is None:  # Trainer leaves it out, too
            return
        for hook in self._start:
            if hook(batch, index) == -1:
                raise Unsupported(STOPPED)
        self._take(batch, index)
        for config in self._by_step:
            if (index + 1) % config.frequency == 0:
                self._module.lr_scheduler_step(config.scheduler, None)
        if last:
            for config in self._by_epoch:
                if (self._trainer.current_epoch + 1) % config.frequency == 0:
                    self._module.lr_scheduler_step(config.scheduler, None)
        for hook in self._end:
            hook(self._outputs, batch, index)
        self._outputs = {}

    def _announced(self, stream: Any) -> Any:
        batches = iter(stream)
        while True:
            with self._trainer.profiler.profile("[by-hand].train_dataloader_next"):
                try:
                    batch = next(batches)
                except StopIteration:
                    return
            yield batch

    def _stepped(self, batch: Any, index: int) -> Any:
        with self._context():
            return self._training_step(batch, index) if self._takes_index else self._training_step(batch)

    def _automatic(self, batch: Any, index: int) -> None:
        """A Trainer's closure, within the optimizer's step: loss, zero_grad, backward; then clipping and the update."""
        import torch

        trainer, strategy = self._trainer, self._trainer.strategy
        optimizer = trainer.optimizers[0]

        def closure() -> torch.Tensor | None:
            with torch.enable_grad():
                loss, others = loss_of(self._stepped(batch, index))
                self._zero(optimizer, index)
                if loss is not None:
                    strategy.backward(loss, optimizer)
            if self._end:
                self._outputs = {} if loss is None else {"loss": loss.detach().clone(), **others}
            return loss

        if self._own_step:
            for hook in self._own_step:
                hook(trainer.current_epoch, index, strategy._lightning_optimizers[0], closure)
        else:
            strategy.optimizer_step(optimizer, closure)
        trainer.global_step += 1

    def _zero(self, optimizer: torch.optim.Optimizer, index: int) -> None:
        for hook in self._before_zero:
            hook(optimizer)
        if self._own_zero:
            for hook in self._own_zero:
                hook(self._trainer.current_epoch, index, optimizer)
        else:
            optimizer.zero_grad()

    def _manual(self, batch: Any, index: int) -> None:
        """The module does all of it in its step."""
        output = self._stepped(batch, index)
        if self._end:
            whole = output if isinstance(output, Mapping) else {} if output is None else {"loss": output}
            self._outputs = {name: part.detach() if name == "loss" else part for name, part in whole.items()}


def loss_of(output: Any) -> tuple[torch.Tensor | None, Mapping[str, Any]]:
    """The loss that a training step gave, and what else it gave.

    Raises:
        TypeError: it gave no loss, as a Trainer would say, too.
    """
    import torch

    if isinstance(output, torch.Tensor) or output is None:
        return output, {}
    if isinstance(output, Mapping) and output.get("loss") is not None:
        return output["loss"], {name: part for name, part in output.items() if name != "loss"}
    raise TypeError(
        f"the module's training_step gave {type(output).__name__}; allowed: a tensor, a mapping that has 'loss', None"
    )


def move_by_hand(job: Job, trainer: ByHandTrainer) -> Callable[[Any], Any]:
    """What puts a batch on the device: the module's own hooks where it has any, or the loop."""
    module, plugin = trainer.lightning_module, trainer.precision_plugin
    names = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
    if not any(trainer.hooks(name) for name in names) and not trainer.callbacks:
        return job.to_device

    def move(batch: Any) -> Any:
        batch = module.on_before_batch_transfer(plugin.convert_input(batch), 0)
        with trainer.profiler.profile("[by-hand].batch_to_device"):
            batch = module.transfer_batch_to_device(batch, job.device, 0)
            return module.on_after_batch_transfer(batch, 0)

    return move


def step_context(job: Job, trainer: ByHandTrainer) -> Callable[[], AbstractContextManager[Any]]:
    """What a Trainer puts around a training step."""
    return nullcontext if job.precision == "32-true" else trainer.precision_plugin.train_step_context


def validation_by_hand(job: Job, trainer: ByHandTrainer) -> Callable[[], None] | None:
    """A pass over the validation batches with the module's hooks, as a function; None where it has no such step."""
    from lightning.pytorch.utilities import CombinedLoader
    from lightning.pytorch.utilities.model_helpers import _ModuleMode, is_overridden
    from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature

    module, batches = trainer.lightning_module, job.workload.validation
    no_loss = job.workload.loss is None and job.workload.lightning is None  # of a module that is made of the workload
    job.note({"checkpoint": "torch.save"})
    if batches is None or no_loss or not is_overridden("validation_step", module):
        return None
    import torch

    loader = batches if isinstance(batches, CombinedLoader) else CombinedLoader(batches, "sequential")
    several = len(loader.flattened) > 1
    indexed = is_param_in_hook_signature(module.validation_step, "batch_idx", min_args=2)
    move, context = move_by_hand(job, trainer), trainer.precision_plugin.val_step_context
    own_eval, own_train = trainer.hooks("on_validation_model_eval"), trainer.hooks("on_validation_model_train")
    starts = [*trainer.hooks("on_validation_start"), *trainer.hooks("on_validation_epoch_start")]
    ends = [*trainer.hooks("on_validation_epoch_end"), *trainer.hooks("on_validation_end")]
    batch_start, batch_end = trainer.hooks("on_validation_batch_start"), trainer.hooks("on_validation_batch_end")

    def validate() -> None:
        trainer.training, trainer.validating = False, True
        module.on_validation_model_zero_grad()
        modes = _ModuleMode()
        modes.capture(module)
        for hook in (*(own_eval or [module.eval]), *starts):
            hook()
        with torch.no_grad():
            for batch, index, number in loader:
                batch = move(batch)
                where = (batch, index, number) if several else (batch, index)
                for hook in batch_start:
                    hook(*where)
                with context():
                    output = module.validation_step(*where) if indexed or several else module.validation_step(batch)
                for hook in batch_end:
                    hook(output, *where)
        for hook in (*ends, *(own_train or [lambda: modes.restore(module)])):
            hook()
        trainer.training, trainer.validating = True, False

    return validate
