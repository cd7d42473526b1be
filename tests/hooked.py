"""One server's worth of webhooks for unit tests: a clock to turn, a receiver that answers from a list, a real SQLite file (or the database
at `url`), and nothing running."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.core.errors import ForbiddenAddress
from app.service.deliveries import PARALLEL_EACH, Deliverer
from app.service.egress import Reply
from app.service.webhooks import Webhooks
from app.settings import Settings
from app.store.db import Database
from app.store.webhook_rows import WebhookRows

URL = "https://hooks.example/in"


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Receiver:
    """Stands in for `Egress`: answers from a list (then 200), notes what it got."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[tuple[str, Mapping[str, str], bytes]] = []
        self.retry_after_s = 0.0
        self.hold: asyncio.Event | None = None
        self.asked = asyncio.Event()  # often enough: once each for what may be under way, and once for another

    async def check(self, url: str) -> None:
        if "private" in url:
            raise ForbiddenAddress()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.got.append((url, headers, body))
        if len(self.got) == PARALLEL_EACH + 1:
            self.asked.set()
        if self.hold is not None:
            await self.hold.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        return Reply(status, "" if status == 200 else f"It answered {status}.", self.retry_after_s)

    async def close(self) -> None:
        return None

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for _, headers, _ in self.got]


class Setting:
    """One server's worth of webhooks over a database in a folder, nothing running."""

    def __init__(self, folder: Path, *statuses: int, clock: Clock | None = None, url: str | None = None, **settings: Any) -> None:
        self.clock, self.receiver = clock or Clock(), Receiver(*statuses)
        self.settings = Settings(data_dir=folder, _env_file=None, **settings)  # type: ignore[call-arg]
        self.database = Database(url, folder)
        self.rows = WebhookRows(self.database)
        self.webhooks = Webhooks(self.rows, self.receiver, self.settings, clock=self.clock)  # type: ignore[arg-type]
        self.deliverer = Deliverer(self.rows, self.receiver, self.settings, clock=self.clock, chance=lambda: 0.5)  # type: ignore[arg-type]

    async def happen(self, owner: str = "me", event: str = "session.finished", count: int = 1) -> None:
        for number in range(count):
            await self.rows.enqueue(owner, event, f"msg_{number}", json.dumps({"number": number}), self.clock.now)

    async def deliver(self) -> float:
        wait_s = await self.deliverer.begin_due()
        await self.deliverer.settled()
        return wait_s
