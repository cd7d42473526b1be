"""The Standard Webhooks shape: what a delivery's headers say, and when a failed one is tried again. Pure; called by `service.deliveries`.

A receiver checks `webhook-signature`, HMAC-SHA-256 over `<webhook-id>.<webhook-timestamp>.<body>`, and drops what it has seen by `webhook-id`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Literal, get_args

Event = Literal["session.verdict_changed", "session.finished"]
EVENTS: tuple[Event, ...] = get_args(Event)
TEST_EVENT = "webhook.test"

SECRET_PREFIX = "whsec_"
GROWTH = 4  # of the delay from one attempt to the next
MOST_DELAY_S = 6 * 3600.0


def secret_text(key: bytes) -> str:
    return SECRET_PREFIX + base64.b64encode(key).decode()


def headers(secret: str, event_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signature = hmac.new(key, b"%s.%d.%s" % (event_id.encode(), timestamp_s, body), hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }


def delay_s(attempts: int, first_s: float, chance: float, wanted_s: float = 0.0) -> float:
    """Seconds until the next attempt after `attempts` failed ones; `chance` in 0..1 spreads it, `wanted_s` is what the receiver asked for."""
    grown: float = min(first_s * float(GROWTH) ** min(attempts - 1, 30), MOST_DELAY_S)
    return max(grown * (0.8 + 0.4 * chance), min(wanted_s, MOST_DELAY_S))
