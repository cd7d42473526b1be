"""What a session counts beside the audio itself. It goes with the session to another process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counters:
    seq: int = 0
    bad: int = 0
    bytes: int = 0
    pieces: int = 0
    acked_s: int = 0
    expiring_said: bool = False
