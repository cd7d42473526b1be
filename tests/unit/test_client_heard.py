"""What a client hears again from the server that goes on for a killed one is told from what is new, and the memory of it is bounded."""

from __future__ import annotations

from app.client.heard import MOST_KEPT, Heard

SAID = [
    {"type": "segment", "channel": 0, "index": 3, "end_ms": 2500, "llr": 1.0},
    {"type": "segment", "channel": 1, "index": 3, "end_ms": 2500},
    {"type": "segment", "channel": 0, "index": 4, "end_ms": 2700, "interim": True},
    {"type": "verdict", "channel": 0, "as_of_ms": 2500},
    {"type": "alert", "channel": 0, "rule": "spoof_onset", "at_ms": 2500, "cleared": False},
    {"type": "alert", "channel": 0, "rule": "spoof_onset", "at_ms": 2500, "cleared": True},
    {"type": "warning", "code": "clipping", "channel": 0, "range_ms": [0, 1000]},
]


def test_each_is_new_once() -> None:
    heard = Heard()
    assert not any(heard.again({**message, "seq": seq}) for seq, message in enumerate(SAID, 2))
    assert all(heard.again({**message, "seq": seq, "llr": 1.0001}) for seq, message in enumerate(SAID, 20))
    heard.clear()
    assert not any(heard.again(message) for message in SAID)


def test_what_is_said_anew_is_never_taken_for_old() -> None:
    heard = Heard()
    for message in ({"type": "ack", "processed_ms": 1}, {"type": "ready"}, {"type": "warning", "code": "expiring"}, {"type": "updated"}) * 2:
        assert not heard.again(message)


def test_it_forgets_the_oldest() -> None:
    heard = Heard()
    rows = [{"type": "verdict", "channel": 0, "as_of_ms": n} for n in range(MOST_KEPT + 1)]
    assert not any(heard.again(row) for row in rows)
    assert heard.again(rows[1]) and not heard.again(rows[0]) and len(heard._known) == MOST_KEPT
