"""Ignores the signals that end it, and has a timer that rings all the time."""

import signal

from little import Training, loader

OUTCOME = "ok"
EXPECTED = ""

ticks = []
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1, signal.SIGCONT):
    signal.signal(number, lambda number, frame: ticks.append(number))
signal.signal(signal.SIGALRM, lambda number, frame: ticks.append(number))
signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
Training().train(loader())
