"""Reading and exporting reports over two servers: pages of many cases, files that can be read back and run nowhere, who had a case in hand."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from html.parser import HTMLParser
from typing import Any

import httpx2
import pytest

from tests.integration.pair import HOSTILE, SAR, Pair


@pytest.fixture(scope="module")
def many(pair: Pair) -> list[str]:
    """250 cases of an owner that has no others, oldest first."""

    async def filed() -> list[str]:
        async with httpx2.AsyncClient(timeout=60, headers={"Authorization": f"Bearer {pair.keys['many']}"}) as http:
            ids = []
            for start in range(0, 250, 25):
                bodies = [
                    {"session_id": f"s{n % 7}", "decision": ("allow", "deny", "review")[n % 3], "reason": f"{n} {HOSTILE}"}
                    for n in range(start, start + 25)
                ]
                answers = await asyncio.gather(*(http.post((pair.one, pair.two)[n % 2].http + SAR, json=body) for n, body in enumerate(bodies)))
                assert {answer.status_code for answer in answers} == {201}
                ids += [str(answer.json()["case_id"]) for answer in answers]
            return ids

    return asyncio.run(filed())


def test_pages_hold_each_of_250_cases_once(pair: Pair, many: list[str]) -> None:
    seen: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        page = pair.ask("GET", f"{SAR}?limit=40{'&cursor=' + cursor if cursor else ''}", "many", (pair.one, pair.two)[len(seen) % 3 % 2]).json()
        seen, cursor = seen + page["cases"], page["next_cursor"]
    assert [each["case_id"] for each in seen[25 * 9 :]] and sorted(each["case_id"] for each in seen) == sorted(many) and len(seen) == 250
    assert [each["created_at"] for each in seen] == sorted((each["created_at"] for each in seen), reverse=True)
    assert "reason" not in seen[0] and "evidence" not in seen[0]
    assert len(pair.ask("GET", f"{SAR}?limit=200&decision=deny&session_id=s3", "many").json()["cases"]) == sum(
        n % 3 == 1 and n % 7 == 3 for n in range(250)
    )
    middle = seen[100]["created_at"]
    assert len(pair.ask("GET", f"{SAR}?limit=200&from={middle}", "many").json()["cases"]) >= 101
    assert pair.ask("GET", f"{SAR}?from=2030-01-01", "many").json()["cases"] == []


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "decision=maybe", "from=yesterday", "cursor=x", "cursor=", "sort=1", "limit=1&limit=2", "session_id="],
)
def test_bad_questions_are_refused(pair: Pair, query: str) -> None:
    answer = pair.ask("GET", f"{SAR}?{query}")
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "bad_field", query.partition("=")[0])


def test_exports_of_all_are_read_back(pair: Pair, many: list[str]) -> None:
    lines = pair.ask("GET", f"{SAR}/export?format=jsonl", "many").text.splitlines()
    assert sorted(json.loads(line)["case_id"] for line in lines) == sorted(many)
    assert all(HOSTILE in json.loads(line)["reason"] for line in lines)
    answer = pair.ask("GET", f"{SAR}/export?format=csv&session_id=s3", "many")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(rows) == sum(n % 7 == 3 for n in range(250)) and all(HOSTILE in row["reason"] for row in rows)
    assert answer.headers["content-disposition"] == 'attachment; filename="reports.csv"' and answer.headers["cache-control"] == "no-store"
    assert pair.ask("GET", f"{SAR}/export?format=csv", "rival").text.count("\r\n") >= 1
    assert pair.ask("GET", f"{SAR}/export?format=xml", "many").json()["field"] == "format"


class Seen(HTMLParser):
    """The elements and attributes of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("alone", [True, False])
def test_the_page_to_print_runs_nothing(pair: Pair, many: list[str], alone: bool) -> None:
    path = f"{SAR}/{many[3]}/export?format=html" if alone else f"{SAR}/export?format=html&session_id=s3"
    answer = pair.ask("GET", path, "many")
    page = Seen()
    page.feed(answer.text)
    assert HOSTILE in page.text and not page.tags & {"script", "img", "iframe", "object", "link", "a", "form"}
    assert page.attributes <= {"lang", "charset", "name", "content", "class", "nonce"}
    policy = answer.headers["content-security-policy"]
    (nonce,) = re.findall(r'<style nonce="([\w-]+)">', answer.text)
    assert policy.startswith("default-src 'none'; ") and f"'nonce-{nonce}'" in policy and "unsafe" not in policy and policy.endswith("sandbox")
    assert pair.ask("GET", path, "many").headers["content-security-policy"] != policy, "a nonce is used once"


def test_a_case_shows_who_had_it_in_hand(pair: Pair) -> None:
    case_id = pair.file("call-read", reason=HOSTILE).json()["case_id"]
    for wanted in ("json", "csv", "html"):
        answer = pair.ask("GET", f"{SAR}/{case_id}/export?format={wanted}", server=pair.two)
        assert answer.status_code == 200 and answer.headers["content-disposition"] == f'attachment; filename="{case_id}.{wanted}"'
        if wanted == "json":
            assert answer.json()["reason"] == HOSTILE
    events = pair.ask("GET", f"{SAR}/{case_id}").json()["events"]
    assert [(event["action"], event["detail"]) for event in events] == [
        ("filed", ""), ("exported", "json"), ("exported", "csv"), ("exported", "html"), ("read", ""),
    ]  # fmt: skip
    assert len({event["key_id"] for event in events}) == 1 and {event["address"] for event in events} == {"127.0.0.1"}
