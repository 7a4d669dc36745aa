"""Callbacks for any Trainer, and for any loop through `CallbackList`: they know no model. See docs/callbacks.md."""

from bench.callbacks.callback_list import CallbackList, MeasuringCallback
from bench.callbacks.device_stats import DeviceStats
from bench.callbacks.flops import FLOPs
from bench.callbacks.peak_memory import PeakMemory
from bench.callbacks.phases import Phases
from bench.callbacks.throughput import Throughput

__all__ = ["CallbackList", "DeviceStats", "FLOPs", "MeasuringCallback", "PeakMemory", "Phases", "Throughput"]

# Their names in earlier versions.
Drive = CallbackList
Measuring = MeasuringCallback
