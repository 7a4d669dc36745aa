"""Mutations of what puts a run on several machines: who may come in, who trains together, what a lost node ends."""

from __future__ import annotations

from .harness import Mutant

NODES = "tests/engine/test_nodes.py"
STRANGERS = "tests/engine/test_strangers.py"

PLACED: tuple[Mutant, ...] = (
    Mutant(37, "nodes of other versions train together", "bench/engine/placement.py",
           'VERSIONS = ("loopmark", "python", "torch", "lightning", "numpy")', 'VERSIONS = ("loopmark",)',
           (f"{NODES}::test_a_node_with_another_torch_is_refused_and_both_are_named",)),
    Mutant(37, "nodes of other commits train together", "bench/engine/placement.py",
           'node.hello.package != package_digest()', 'False',
           (f"{NODES}::test_a_node_with_other_files_of_this_program_is_refused",)),
    Mutant(37, "a folder is shared since it has the same name", "bench/engine/placement.py",
           "    if not fault:\n        return \"\"\n", "    return \"\"\n",
           (f"{NODES}::test_a_node_that_does_not_see_the_runs_folder_is_refused",)),
    Mutant(37, "ranks of two nodes meet at the loopback of each", "bench/engine/placement.py",
           "    address = LOOPBACK if alone else nodes[0].address\n", "    address = LOOPBACK\n",
           (f"{NODES}::test_ranks_are_spread_over_nodes_in_order",)),
    Mutant(37, "a node has the first one's cores", "bench/machine/cores.py",
           "there = (self, *self.others)[:nodes]", "there = (self,) * nodes",
           (f"{NODES}::test_each_node_has_its_own_cores",)),
    Mutant(37, "the secret file has the rights that files have", "bench/engine/launchers.py",
           "os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)", "os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)",
           (f"{NODES}::test_the_secret_file_is_read_by_its_owner_alone",)),
    Mutant(37, "Lightning takes the call for stacks as an order to requeue", "bench/protocol.py",
           "STACKS: Final = signal.SIGUSR2", "STACKS: Final = signal.SIGUSR1",
           ("tests/arm/test_stacks.py::"
            "test_lightning_in_a_job_of_slurms_does_not_take_the_signal_of_stacks_for_an_order",)),
    Mutant(37, "strangers keep their places until their time is over", "bench/engine/door.py",
           "            if not caller.handshake.proved:\n                self._dismiss(",
           "            if False:\n                self._dismiss(",
           (f"{STRANGERS}::test_nobody_genuine_is_kept_out_by_strangers_that_never_go",)),
    Mutant(37, "what was said once opens the door again", "bench/machine/knock.py",
           'MAGIC + direction.ljust(16, b"\\0") + knocker + door', 'MAGIC + direction.ljust(16, b"\\0") + knocker',
           (f"{STRANGERS}::test_what_was_recorded_opens_no_door_again_and_what_a_door_says_opens_none",)),
)  # fmt: skip
