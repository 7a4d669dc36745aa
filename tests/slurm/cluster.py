"""A real Slurm of two nodes on this machine: Debian's slurmctld, munged and two slurmd, all on loopback, in one folder.

    python -m tests.slurm.cluster

starts one and prints the line that has `srun`, `sbatch` and `bench submit` use it, until Ctrl-C. Nothing under /etc is
read or written: configuration, key, sockets, states and logs are in a temporary folder.

A node is what a machine is: a host name and processes of its own. Each slurmd is in a UTS and a PID namespace
(unshare, which asks for root), so that `kill()` ends the node with everything that ran on it, all at once and without
a word, as when the power fails. Debian's slurmd could also be told its node by `-N`, but its jobs would outlive it.
"""

from __future__ import annotations

import getpass
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "srun", "sbatch", "scontrol", "unshare", "setpriv")
INSTALL = "apt-get install slurm-wlm munge"
NODES = ("node1", "node2")  # a name and a number, as clusters have them: Slurm lists them as node[1-2]
PARTITION = "main"
BRIEF = "brief"  # a partition whose limit is short enough to be asked for too much
# Of a machine that is busy with other tests, too: it takes 1 to 2 s until both nodes are idle.
START_S = 60.0
SPACES = ("unshare", "--uts", "--pid", "--fork", "--mount-proc")

CONFIGURATION = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
SwitchType=switch/none
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ReturnToService=2
SlurmdTimeout=10
KillWait={kill_wait_s}
MinJobAge={forget_s}
MessageTimeout=20
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1
{nodes}
PartitionName={partition} Nodes=ALL Default=YES MaxTime=60 State=UP
PartitionName={brief} Nodes=ALL MaxTime=2 State=UP
"""


def missing() -> str:
    """What this machine lacks to run a Slurm, in one line; empty if nothing."""
    absent = [name for name in PROGRAMS if _program(name) is None]
    if absent:
        return f"a Slurm of two nodes needs {', '.join(absent)}; run: {INSTALL}"
    if os.geteuid() != 0:
        return "a Slurm of two nodes needs root: each node has its own processes and host name (unshare)"
    tried = subprocess.run(
        ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "true"], capture_output=True, text=True
    )
    if tried.returncode != 0:
        return f"a Slurm of two nodes needs namespaces: {' '.join(SPACES)} says {tried.stderr.strip()}"
    return ""


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


class Cluster:
    """A Slurm that runs; `environment` has commands use it."""

    def __init__(self, folder: Path, *, cpus: int = 2, kill_wait_s: int = 10, forget_s: int = 300) -> None:
        self.folder = folder
        self.environment: Mapping[str, str] = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        controller, *ports = _free_ports(1 + len(NODES))
        self._ports = dict(zip(NODES, ports, strict=True))
        nodes = "\n".join(
            f"NodeName={name} NodeHostname={name} NodeAddr=127.0.0.1 Port={port}"
            f" CPUs={cpus} Boards=1 SocketsPerBoard=1 CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory=8000"
            for name, port in self._ports.items()
        )
        text = CONFIGURATION.format(
            host=socket.gethostname(),
            controller_port=controller,
            folder=folder,
            nodes=nodes,
            partition=PARTITION,
            brief=BRIEF,
            kill_wait_s=kill_wait_s,
            forget_s=forget_s,
        )
        (folder / "slurm.conf").write_text(text.lstrip(), encoding="utf-8")
        (folder / "state").mkdir()
        key = folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))

    def start(self) -> None:
        """All daemons; returns when both nodes are idle."""
        at = self.folder
        munge = [f"--key-file={at}/munge.key", f"--socket={at}/munge.socket", f"--pid-file={at}/munged.pid"]
        munge += [f"--log-file={at}/munged.log", f"--seed-file={at}/munged.seed", "--foreground", "--force"]
        self._begin("munged", ["munged", *munge])
        _until(lambda: (at / "munge.socket").exists(), "munged has no socket yet", self)
        # In the foreground, as a child of ours; without -i it would look for the state of an earlier one.
        self._begin("slurmctld", ["slurmctld", "-D", "-i", "-f", str(at / "slurm.conf")])
        for name in NODES:
            self.start_node(name)
        _until(lambda: self.node_states() == dict.fromkeys(NODES, "idle"), "the nodes are not idle yet", self)

    def start_node(self, name: str) -> None:
        """A node that is not there; it says so to slurmctld by itself."""
        # sh is the namespace's process 1: it takes in what slurmstepd leaves, as slurmd would not.
        program = f'hostname {name} && {_program("slurmd")} -D -f "$SLURM_CONF" & wait'
        self._begin(name, [*SPACES, "--kill-child=KILL", "sh", "-c", program])
        # Until it listens, slurmctld may send it a job in vain: the job fails and the node counts as down.
        _until(lambda: _answers(self._ports[name]), f"{name} does not listen yet", self)

    def kill(self, name: str) -> None:
        """A node, with everything that runs on it."""
        daemon = self._running.pop(name)
        daemon.kill()  # and `--kill-child` the namespace's first process, with which the kernel ends all others
        daemon.wait()

    def heal(self) -> None:
        """Start nodes that were killed, cancel all jobs, wait until both are idle."""
        for name in NODES:
            if name not in self._running:
                self.start_node(name)
        self.call("scancel", f"--user={getpass.getuser()}")
        _until(lambda: self.node_states() == dict.fromkeys(NODES, "idle"), "the nodes are not idle again", self)

    def stop(self) -> None:
        """All of it."""
        for name in set(NODES) & set(self._running):
            self.kill(name)
        for name in ("slurmctld", "munged"):
            if name in self._running:
                daemon = self._running.pop(name)
                daemon.terminate()  # so that slurmctld takes in a child of its own, slurmscriptd
                try:
                    daemon.wait(10.0)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()

    def call(self, *command: str, timeout: float = 60.0) -> str:
        """What a command of Slurm's prints."""
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, env={**os.environ, **self.environment}, check=True
        )
        return done.stdout

    def node_states(self) -> dict[str, str]:
        """`{"red": "idle", ...}`; empty as long as slurmctld does not answer."""
        try:
            lines = self.call("sinfo", "--noheader", "--Node", "--partition", PARTITION, "--format=%N %T").split("\n")
        except subprocess.CalledProcessError:
            return {}
        return dict(line.split() for line in lines if line)

    def job(self, number: str) -> dict[str, str]:
        """What `scontrol show job` says of one, by its words; empty if Slurm knows it no longer."""
        try:
            text = self.call("scontrol", "--oneliner", "show", "job", number)
        except subprocess.CalledProcessError:
            return {}
        return dict(re.findall(r"(\S+?)=(\S*)", text))

    def last_words(self) -> str:
        """The ends of all logs, for who asks why it does not start."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}" for log in logs)

    def _begin(self, name: str, command: Sequence[str]) -> None:
        # Whoever started it may be killed, too: setpriv has the kernel end the daemon with its parent.
        program = [_program(command[0]) or command[0], *command[1:]]
        with (self.folder / f"{name}.out").open("ab") as out:
            self._running[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *program],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )


def _until(condition: Callable[[], bool], message: str, cluster: Cluster) -> None:
    end = time.monotonic() + START_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{message} after {START_S:.0f} s\n{cluster.last_words()}")
        time.sleep(0.1)


def _answers(port: int) -> bool:
    with socket.socket() as knocking:
        return knocking.connect_ex(("127.0.0.1", port)) == 0


def _free_ports(number: int) -> list[int]:
    """Ports of loopback that nobody has now."""
    held = [socket.socket() for _ in range(number)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


@contextmanager
def running(folder: Path | None = None, **settings: int) -> Iterator[Cluster]:
    """A Slurm for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="slurm-", dir=folder) as own:
        cluster = Cluster(Path(own), **settings)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


def main() -> int:
    """Start one for use by hand, until Ctrl-C."""
    lacking = missing()
    if lacking:
        print(lacking, file=sys.stderr)
        return 2
    with running() as cluster:
        print(f"export SLURM_CONF={cluster.environment['SLURM_CONF']}", flush=True)
        print(f"nodes {', '.join(NODES)}; partitions {PARTITION} (default), {BRIEF}; Ctrl-C ends it", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    sys.exit(main())
