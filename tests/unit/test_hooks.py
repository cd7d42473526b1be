"""Signatures as the Standard Webhooks library checks them, and when a failed delivery is tried again."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app.core import hooks

SECRET = hooks.secret_text(bytes(range(32)))


@given(st.binary(min_size=24, max_size=64), st.text(max_size=200))
def test_the_library_of_the_standard_takes_our_signature(key: bytes, text: str) -> None:
    secret, body = hooks.secret_text(key), '{"a":"' + "".join(c for c in text if c.isprintable() and c not in '"\\') + '"}'
    signed = hooks.headers(secret, "msg_1", int(time.time()), body.encode())
    assert Webhook(secret).verify(body, signed)["a"] is not None


@pytest.mark.parametrize("change", ["id", "time", "body", "secret"])
def test_nothing_can_be_changed(change: str) -> None:
    now, body = int(time.time()), b'{"verdict":"spoof"}'
    signed = hooks.headers(SECRET, "msg_1", now, body)
    if change == "id":
        signed["webhook-id"] = "msg_2"
    if change == "time":
        signed["webhook-timestamp"] = str(now + 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(hooks.secret_text(b"x" * 32) if change == "secret" else SECRET).verify(body + b" " * (change == "body"), signed)


def test_an_old_one_is_refused() -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b"{}", hooks.headers(SECRET, "msg_1", int(time.time()) - 3600, b"{}"))


def test_delays_grow_and_end() -> None:
    delays = [hooks.delay_s(attempts, 5.0, 0.5) for attempts in range(1, 10)]
    assert delays[:4] == [5, 20, 80, 320] and delays[-1] == hooks.MOST_DELAY_S
    assert 15 * 3600 < sum(delays) < 24 * 3600


@given(st.integers(1, 10_000), st.floats(0.1, 60), st.floats(0, 1), st.floats(0, 1e9))
def test_a_delay_is_spread_and_bounded_and_heeds_the_receiver(attempts: int, first_s: float, chance: float, wanted_s: float) -> None:
    delay_s = hooks.delay_s(attempts, first_s, chance, wanted_s)
    assert 0.8 * first_s <= delay_s <= 1.2 * hooks.MOST_DELAY_S + 1
    assert delay_s >= min(wanted_s, hooks.MOST_DELAY_S)
