"""What is said with arms: wait for their first pull, give turns, hold and let go, say why one is lost. No torch.

It blocks and never spins: every wait is in the kernel, and what ends a wait is a message, an end of file or a timeout.
What an arm sends is a message that may come there, or the end of that arm. What ends an arm from outside is not its
fault: its outcome is then `void`, and its launch is made again.
"""

from __future__ import annotations

import math
import select
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec

import bench.protocol as protocol
from bench.engine import losses, merge_ranks
from bench.engine.channel import SLICE, Patience
from bench.engine.children import REPORT_PATIENCE, Children
from bench.engine.logs import shorten_logs, waits_for_others
from bench.engine.nodes import stolen_all
from bench.engine.processes import Arm, ArmLost, Rank
from bench.engine.stopping import Interrupted
from bench.errors import BenchError
from bench.machine.cores import Layout, stolen
from bench.protocol import STACKS, ArmFailure, GarbledMessage, Go, Ready, Result, Stop, TurnReport

_T = TypeVar("_T", Ready, TurnReport, Result)
GRACE = 3.0  # seconds in which the other ranks of an arm that lost one may say what they died of


class Fleet(Children):
    """The processes of a run, and what is said with its arms; see `Children` for the arguments."""

    def join(self) -> None:
        """Have the launcher start a program on each node, and wait until all have come in, or no more will.

        Raises:
            BenchError: not one came in and was taken; says why.
            Interrupted: the user wants to stop.
        """
        launcher = self.launcher
        if launcher is None:
            return
        self.placement.begin(launcher.nodes)
        setup = {"addresses": [self.door.tcp_address], "authkey": self.door.key.hex(), "threads": self.threads}
        launcher.start(setup, self.logs)
        patience = Patience(launcher.patience)
        trouble = ""
        while not self.placement.complete and patience.left() and not trouble:
            if self.interrupts:
                raise Interrupted
            trouble = launcher.trouble()
            self.wait([], patience)
        if not self.placement.live:
            why = self.placement.lacking(1).partition(": ")[2]
            raise BenchError(f"--launcher {launcher.name}: no node came in: {trouble or why}")

    def keep_off(self, layout: Layout) -> None:
        """Have the nodes' own programs, and what imports there, run beside the arms, where there are other cores."""
        for node, own in zip(self.placement.remote, (layout, *layout.others), strict=False):
            node.keep_off(own.conductor)

    def stolen(self, cores: Sequence[int], arms: Iterable[Arm]) -> float:
        """Seconds that hypervisors have taken from these cores since boot, on all nodes of these arms together."""
        if self.launcher is None:
            return stolen(cores)
        names = {rank.fork_server.node for arm in arms for rank in arm.ranks}
        return stolen_all(map(self.placement.named, names), cores)

    def await_ready(self, arms: Sequence[Arm], timeout: float) -> None:
        """Wait until each rank of each of these arms has pulled its first batch, or the arm is lost.

        Raises:
            Interrupted: the user wants to stop, and nothing is measured yet; the arms are ended.
        """
        patience = Patience(timeout)
        waiting = [arm for arm in arms if arm.lost is None]
        unready = {arm.id: sum(not rank.ready_after for rank in arm.ranks) for arm in waiting}
        while waiting and patience.left():
            if self.interrupts:
                self.end_arms(arms)
                raise Interrupted
            by_channel = {
                rank.channel: (arm, number)
                for arm in waiting
                for number, rank in enumerate(arm.ranks)
                if rank.channel is not None and not rank.ready_after
            }
            for channel in self.wait(list(by_channel), patience):
                arm, number = by_channel[channel]
                if arm.lost is not None:
                    continue
                message = self._hear(arm, number, protocol.FIRST)
                if message is not None:
                    rank = arm.ranks[number]
                    rank.helpers, rank.setup, rank.epoch = message.helpers, message.setup, message.epoch
                    rank.workers, rank.accelerator, rank.meter = message.workers, message.accelerator, message.meter
                    rank.ready_after = time.perf_counter() - arm.requested_at
                    unready[arm.id] -= 1
                    if not unready[arm.id]:  # not before: a rank that is still setting up needs the others' threads
                        self._hold(arm)
            for arm in waiting:
                for number, rank in enumerate(arm.ranks):
                    gone = rank.id in self.exits or rank.id in self.voids
                    if arm.lost is None and rank.channel is None and gone:
                        self._lose(arm, {number: self._died(arm, rank)})
            shorten_logs(waiting)
            waiting = [arm for arm in waiting if unready[arm.id] and arm.lost is None]
        for arm in waiting:
            missing = [number for number, rank in enumerate(arm.ranks) if not rank.ready_after]
            self._too_late(arm, missing, timeout, "pulled no batch to train on" if arm.script else "pulled no batch")

    def turn(self, arm: Arm, go: Go, timeout: float, *, uncounted: int = 1) -> merge_ranks.Turn:
        """Let one arm go for one turn, its first `uncounted` steps not counted; wait until all ranks are held again.

        Raises:
            ArmLost: it died, failed, sent what is no answer, or did not answer within `timeout` seconds.
        """
        replies = self._ask(arm, go, protocol.TURN, timeout)
        for number, reply in enumerate(replies):
            if not len(reply.seconds) == len(reply.fetching) == go.steps:
                told = f"times of {len(reply.seconds)} and {len(reply.fetching)} steps in a turn of {go.steps}"
                self._lose(arm, {number: losses.garbled_answer(told)})
                assert arm.lost is not None
                raise arm.lost
            arm.ranks[number].helpers = max(arm.ranks[number].helpers, reply.helpers)
        self._hold(arm)
        shorten_logs([arm])
        return merge_ranks.turn(replies, uncounted=uncounted)

    def result(self, arm: Arm, timeout: float) -> merge_ranks.ArmResult:
        """End the arm's stream, and have its result.

        Raises:
            ArmLost: as `turn`.
        """
        return merge_ranks.arm_result(self._ask(arm, Stop(), protocol.LAST, timeout))

    def _ask(
        self, arm: Arm, message: Go | Stop, decoder: msgspec.json.Decoder[_T | ArmFailure], timeout: float
    ) -> list[_T]:
        """Send a message to all ranks of an arm; their answers, in the order of the ranks."""
        self._expect_silence(arm)
        if arm.lost is not None:
            raise arm.lost
        if arm.stopped:
            self.signal(arm, signal.SIGCONT)
            arm.stopped = False
        data = protocol.encode(message)
        replies: dict[int, _T] = {}
        cpu = time.process_time()
        for rank in arm.ranks:
            assert rank.channel is not None
            with suppress(OSError):  # its end of the connection is gone; reading says so
                rank.channel.send_bytes(data)
        patience = Patience(timeout)
        # A poll of the arm's own: to build a selector each turn took 3 times the processor time, while the arm runs.
        answered = arm.poll.poll(math.ceil(min(timeout, SLICE) * 1000))
        self.conductor_cpu += time.process_time() - cpu
        numbers = {rank.channel.fileno(): n for n, rank in enumerate(arm.ranks) if rank.channel is not None}
        rest: select.poll | None = None  # of those that have not answered, where not all did at once
        while True:
            for descriptor, _ in answered:
                number = numbers[descriptor]
                if number not in replies and (reply := self._hear(arm, number, decoder)) is not None:
                    replies[number] = reply
                    if rest is not None:
                        rest.unregister(descriptor)
                if arm.lost is not None:
                    raise arm.lost
            if len(replies) == len(arm.ranks):
                return [replies[number] for number in range(len(arm.ranks))]
            if not patience.left():
                missing = [number for number in range(len(arm.ranks)) if number not in replies]
                self._too_late(arm, missing, timeout, "did not finish its turn")
                assert arm.lost is not None
                raise arm.lost
            shorten_logs([arm])
            if rest is None:
                rest = select.poll()
                for descriptor in (descriptor for descriptor, number in numbers.items() if number not in replies):
                    rest.register(descriptor, select.POLLIN)
            answered = rest.poll(math.ceil(patience.ask() * 1000))

    def _expect_silence(self, arm: Arm) -> None:
        """An arm that is held has nothing to say, but that it failed or is gone."""
        come = {descriptor for descriptor, _ in arm.poll.poll(0)}  # of all ranks at once
        for number, rank in enumerate(arm.ranks):
            if arm.lost is not None or rank.channel is None:
                continue
            if rank.channel.half or rank.channel.fileno() in come:
                heard = self._receive(arm, rank, protocol.ANY)
                if heard is not None:
                    unasked = losses.garbled_answer(f"{type(heard).__name__.lower()!r}, which nobody asked for")
                    self._lose(arm, {number: heard if isinstance(heard, ArmLost) else unasked})

    def _hold(self, arm: Arm) -> None:
        # An arm that waits for its turn sleeps in a read. Its helper threads and loader workers do not: stop them all.
        # All ranks or none: threads of one serve the others.
        if arm.helpers:
            self.signal(arm, signal.SIGSTOP)
            arm.stopped = True

    def _hear(self, arm: Arm, number: int, decoder: msgspec.json.Decoder[_T | ArmFailure]) -> _T | None:
        """The message that has come from a rank; None where it is not whole yet, or is lost, and the arm with it."""
        heard = self._receive(arm, arm.ranks[number], decoder)
        if isinstance(heard, ArmLost):
            self._lose(arm, {number: heard})
            return None
        return heard

    def _receive(self, arm: Arm, rank: Rank, decoder: msgspec.json.Decoder[_T | ArmFailure]) -> _T | ArmLost | None:
        assert rank.channel is not None
        try:
            data = rank.channel.take()
            message = None if data is None else protocol.decode_message(decoder, data)
        except EOFError:
            return self._died(arm, rank)
        except GarbledMessage as error:
            return losses.garbled_answer(str(error))
        if isinstance(message, ArmFailure):
            return ArmLost(message.outcome, protocol.short_reason(message.reason))
        return message

    def _lose(self, arm: Arm, found: dict[int, ArmLost]) -> None:
        """An arm without one of its ranks is lost as a whole: hear what the others have to say, then end them all."""
        patience = Patience(GRACE)
        while len(found) < len(arm.ranks) and patience.left():
            rest = {r.channel: n for n, r in enumerate(arm.ranks) if n not in found and r.channel is not None}
            if not rest:
                break
            for channel in self.wait(list(rest), patience):
                heard = self._receive(arm, arm.ranks[rest[channel]], protocol.ANY)
                if isinstance(heard, ArmLost):
                    found[rest[channel]] = heard
        told = {number: (loss.outcome, loss.reason) for number, loss in found.items()}
        outcome, reason = merge_ranks.blame(told, len(arm.ranks))
        arm.lost = ArmLost(next(loss.outcome for loss in found.values() if loss.outcome == outcome), reason)
        self.end_arm(arm)

    def _died(self, arm: Arm, rank: Rank) -> ArmLost:
        """What became of a rank whose connection or process has ended."""
        patience = Patience(REPORT_PATIENCE)
        node = self.node(rank.fork_server)
        while not (rank.id in self.exits or rank.id in self.voids or node.gone) and patience.left():
            self.wait([], patience)
        status = self.exits.get(rank.id)
        if status is None:
            if reason := self.voids.get(rank.id) or self.trouble(rank.fork_server):
                return self.outside(arm, rank.fork_server, reason)
            gone = "it closed its connection and goes on without it"
            return ArmLost("crashed", f"{gone}; its last words: {losses.said(rank.log)}" + self._wanted(arm))
        kills = node.oom_kills()
        loss = losses.ended_process(status, rank.log, out_of_memory=kills > self.oom_before.get(node.name, kills))
        told = loss.outcome != "crashed" or "allowed: " in loss.reason
        return loss if told else ArmLost(loss.outcome, loss.reason + self._wanted(arm))

    @staticmethod
    def _wanted(arm: Arm) -> str:
        """What is allowed, where an arm is lost before its first turn."""
        return losses.PULLS_WANTED if arm.script and not arm.ready_after else ""

    def _too_late(self, arm: Arm, missing: Sequence[int], timeout: float, what: str) -> None:
        """End an arm of which these ranks did not answer in time; their stacks go to their logs."""
        for number in missing:
            rank = arm.ranks[number]
            if rank.channel is None and (cause := self._outside(rank, timeout)):
                arm.lost = self.outside(arm, rank.fork_server, cause)
                return self.end_arm(arm)
            if rank.channel is not None and rank.channel.half:
                return self._lose(
                    arm, {number: losses.garbled_answer(f"{rank.channel.half} bytes, and then nothing more")}
                )
        self.signal(arm, signal.SIGCONT)
        self.signal(arm, STACKS, group=False)  # faulthandler writes the stacks of all threads to its log
        time.sleep(0.5)
        self.wait([], Patience(0.0))
        for number, rank in enumerate(arm.ranks):
            if rank.id in self.exits:
                return self._lose(arm, {number: self._died(arm, rank)})
        # Of ranks that are all late some may only wait for another one, in a collective.
        blamed = [number for number in missing if not waits_for_others(arm.ranks[number].log)] or missing
        self.end_arm(arm)
        names = " and ".join(f"logs/{arm.ranks[number].log.name}" for number in blamed)
        who = f"rank {' and '.join(map(str, blamed))} of {len(arm.ranks)} " if len(arm.ranks) > 1 else ""
        others = " (others waited for it)" if len(blamed) < len(missing) else ""
        arm.lost = ArmLost(
            "timeout", f"{who}{what} within {timeout:g} s{others}; its stacks are in {names}{self._wanted(arm)}"
        )

    def _outside(self, rank: Rank, timeout: float) -> str:
        """Why a rank never came, where it is not to blame; "" where it is."""
        server = rank.fork_server
        if trouble := self.voids.get(rank.id) or self.trouble(server):
            return trouble
        if self.door.refused:
            return f"its connection could not be taken: {self.door.refused}"
        if not rank.pid:
            self.bury(server, f"its interpreter {server.id!r} did not answer within {timeout:g} s")
            return server.gone
        return ""
