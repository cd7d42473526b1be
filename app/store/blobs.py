"""Objects: audio that a caller asked to keep, exports. A folder by default, a bucket of S3's kind (AWS, MinIO, Ceph …) by URL.

How long an object lives its keeper knows, in the row that names it: nothing here ends by itself. What cannot be reached raises StoreUnavailable.
`main` opens one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from app.core.errors import BadSetting, StoreUnavailable

if TYPE_CHECKING:
    from obstore.store import LocalStore, MemoryStore, S3Store

    Store = LocalStore | MemoryStore | S3Store

FOLDER = "blobs"
KEY = re.compile(r"(?!.*(^|/)\.)[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")  # no segment begins with a dot
RETRIES, RETRY_S = 3, 20


@dataclass(frozen=True)
class Bucket:
    """How to reach a bucket of S3's kind. What is None is looked for where AWS's own tools look (role of the machine, AWS_ variables)."""

    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None


@dataclass(frozen=True)
class Blob:
    key: str
    bytes: int
    modified_at: datetime


class Blobs:
    def __init__(self, url: str | None, data_dir: Path, bucket: Bucket | None = None, timeout_s: float = 30.0) -> None:
        """`url` is s3://bucket/prefix, file:///folder or memory:; None is a folder in `data_dir`. Raises BadSetting for another."""
        self._bucket, self._timeout_s = bucket or Bucket(), timeout_s
        self._url, self._folder = url or "", None
        parts = urlsplit(self._url)
        if not url:
            self._folder = data_dir.expanduser() / FOLDER
        elif parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.strip("/"):
            self._folder = Path(unquote(parts.path))
        elif not (parts.scheme == "s3" and parts.hostname and "@" not in parts.netloc) and url != "memory:":
            raise BadSetting("blob_url: use s3://bucket/prefix or file:///folder.")
        self._store: Store | None = None

    async def put(self, key: str, data: bytes) -> None:
        """Whole or not at all; what had this key is replaced."""
        async with self._asking(key) as store:
            await store.put_async(key, data)

    async def get(self, key: str) -> bytes | None:
        if not self._made():
            return None
        async with self._asking(key) as store:
            try:
                return bytes(await (await store.get_async(key)).bytes_async())
            except FileNotFoundError:
                return None

    async def delete(self, key: str) -> None:
        """It is gone then, or was never there."""
        if self._made():
            async with self._asking(key) as store:
                try:
                    await store.delete_async(key)
                except FileNotFoundError:
                    return

    async def list(self, prefix: str = "") -> list[Blob]:
        """All whose key begins with these segments (`cases/7`), in order of their keys."""
        if not self._made():
            return []
        async with self._asking(prefix or "-") as store:
            found = await store.list_async(prefix or None).collect_async()
        return sorted((Blob(each["path"], each["size"], each["last_modified"]) for each in found), key=lambda blob: blob.key)

    async def check(self) -> None:
        """Raises StoreUnavailable when it cannot be reached. Makes no folder that is not there."""
        if self._folder is None:
            async with self._asking("check") as store:  # listing: a bucket that is not there looks to a reader like an object that is not
                await store.list_with_delimiter_async("check")

    def _made(self) -> bool:
        return self._folder is None or self._folder.is_dir()

    @asynccontextmanager
    async def _asking(self, key: str) -> AsyncIterator[Store]:
        if not KEY.fullmatch(key):
            raise ValueError(f"no key of an object: {key!r}")
        from obstore.exceptions import BaseError

        try:
            if (store := self._store) is None:
                store = self._store = await asyncio.to_thread(self._opened)
            yield store
        except (BaseError, OSError) as exc:
            # The library's text names bucket and address, and quotes the store's answer; the peer gets neither.
            raise StoreUnavailable("The object store cannot be reached.") from exc

    def _opened(self) -> Store:
        from obstore.store import LocalStore, MemoryStore, S3Store

        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return LocalStore(self._folder, automatic_cleanup=True)
        if self._url == "memory:":
            return MemoryStore()
        given = {
            "endpoint": self._bucket.endpoint_url,
            "region": self._bucket.region,
            "access_key_id": self._bucket.access_key_id,
            "secret_access_key": self._bucket.secret_access_key,
        }
        return S3Store.from_url(
            self._url,
            config={name: value for name, value in given.items() if value},  # type: ignore[arg-type]
            client_options={
                "allow_http": (self._bucket.endpoint_url or "").startswith("http://"),
                "timeout": timedelta(seconds=self._timeout_s),
                "connect_timeout": timedelta(seconds=min(5.0, self._timeout_s)),
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=min(RETRY_S, self._timeout_s))},
        )
