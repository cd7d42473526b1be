"""Voxproof: tells, while somebody is still speaking, whether the voice is a person's or a machine's."""

import os

__version__ = "0.1.0"

# The official builds of onnxruntime (1.31) report to their maker: a device id in ~/.cache and events over HTTPS. Nothing may leave this machine,
# and it only listens to this before it is loaded, wherever that happens; its API to switch them off comes too late for the first event.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
