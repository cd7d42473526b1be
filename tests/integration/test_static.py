"""The page's files as a browser fetches them: compressed, checked again each visit, whole or in part; and nothing else is ever compressed."""

from __future__ import annotations

import httpx2
import pytest

from tests.integration.server import Server

MODULE = "/static/js/page.js"
GZIP = {"accept-encoding": "gzip, br"}


async def test_files_of_the_page_are_compressed_and_stay_what_they_are(server: Server) -> None:
    async with httpx2.AsyncClient(base_url=server.http) as http:
        small = await http.get(MODULE, headers=GZIP)
        plain = await http.get(MODULE, headers={"accept-encoding": "identity"})
        assert small.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
        assert small.text == plain.text and int(small.headers.get("content-length", 0)) < len(plain.content) / 2
        for answer in (small, plain):
            assert "accept-encoding" in answer.headers["vary"].lower()
            assert answer.headers["content-type"].startswith("text/javascript")
            assert answer.headers["cache-control"] == "no-cache" and answer.headers["x-content-type-options"] == "nosniff"
        again = await http.get(MODULE, headers={**GZIP, "if-none-match": small.headers["etag"]})
        assert again.status_code == 304 and not again.content
        part = await http.get(MODULE, headers={**GZIP, "range": "bytes=0-9"})
        assert part.status_code == 206 and part.content == plain.content[:10] and "content-encoding" not in part.headers
        head = await http.head(MODULE, headers=GZIP)
        assert head.status_code == 200 and not head.content


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/v1/sessions/none", "/readyz"])
async def test_nothing_that_may_hold_a_secret_is_compressed(server: Server, path: str) -> None:
    """A compressed answer tells by its length what a secret in it has in common with what somebody else could put beside it (BREACH)."""
    async with httpx2.AsyncClient(base_url=server.http) as http:
        answer = await http.get(path, headers={**GZIP, "accept": "text/html"})
    assert "content-encoding" not in answer.headers
