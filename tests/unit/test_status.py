"""The error tree and the one table of numbers belong together, row by row."""

from __future__ import annotations

import re
from http import HTTPStatus

import pytest

from app.core import errors
from app.core.errors import OwnError, PeerError, VoxproofError, every_error
from app.core.messages import Error
from app.service.live import complete_error
from app.status import STATUS

ALL = list(every_error())
RETRY_ON = {1001, 1006, 1011, 1012, 1013, 4408, 4429, 4503}  # what PROTOCOL.md tells clients
GRPC = {
    "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}  # fmt: skip


def test_every_error_class_is_in_the_list() -> None:
    declared = {c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, VoxproofError)}
    assert set(ALL) == declared - {VoxproofError, OwnError} and len(ALL) == len(set(ALL))


def test_every_error_has_its_own_row_and_every_row_its_error() -> None:
    codes = [cls.code for cls in ALL]
    assert len(codes) == len(set(codes))
    assert set(codes) == set(STATUS)


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.code)
def test_an_error_speaks_one_plain_sentence(cls: type[VoxproofError]) -> None:
    assert re.fullmatch("[a-z0-9_]+", cls.code)
    assert cls().message == str(cls()) == cls.default_message
    assert cls.default_message.endswith(".") and not cls.default_message.endswith("..")
    problem = cls("Other words.", field="a.b", retry_after_ms=5)
    assert (problem.message, problem.field, problem.retry_after_ms) == ("Other words.", "a.b", 5)


@pytest.mark.parametrize("code", STATUS)
def test_numbers_are_valid_on_every_transport(code: str) -> None:
    row = STATUS[code]
    assert HTTPStatus(row.http) and 400 <= row.http < 600
    assert row.close in {1001, 1003, 1007, 1009, 1011, 1012} or 4000 <= row.close <= 4999  # never 1000, nor the reserved 1005, 1006, 1013, 1015
    assert row.grpc in GRPC


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.code)
def test_blame_and_retry_agree(cls: type[VoxproofError]) -> None:
    row = STATUS[cls.code]
    assert issubclass(cls, PeerError) == (row.http < 500)
    if row.retryable:
        assert row.close in RETRY_ON  # otherwise a client that follows the protocol gives up all the same


def test_an_error_message_carries_the_rows_numbers() -> None:
    for cls in ALL:
        content = complete_error(Error.of(cls(field="x", retry_after_ms=7), fatal=True)).content()
        assert (content["close_code"], content["retryable"]) == (STATUS[cls.code].close, STATUS[cls.code].retryable)
        assert (content["field"], content["retry_after_ms"], content["error"]) == ("x", 7, content["message"])
        assert {"field", "retry_after_ms"}.isdisjoint(Error.of(cls(), fatal=True).content())
