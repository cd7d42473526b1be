"""The model's report and card: found, kept by a browser, refused where there is none; and rates that are only told when they were measured."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.assets import asset_dir
from app.main import create_app
from app.scoring.card import Card, read_card
from app.scoring.load import load
from app.settings import Settings
from app.web import model
from tests.toy import toy_model  # noqa: F401 - a fixture


@pytest.fixture
def client(toy_model: Path, tmp_path: Path) -> Iterator[TestClient]:  # noqa: F811
    settings = Settings(_env_file=None, model=str(toy_model), data_dir=tmp_path)  # type: ignore[call-arg]
    app = create_app(settings, load(str(toy_model), toy_model.parent))
    with TestClient(app, base_url="http://127.0.0.1:8000", client=("127.0.0.1", 5)) as client:
        yield client


def facts(client: TestClient) -> dict[str, object]:
    page = client.get("/", headers={"accept": "text/html"}).text
    found = re.search(r'data-facts="([^"]*)"', page)
    assert found
    return dict(json.loads(html.unescape(found[1])))


def test_a_report_is_shown_under_a_policy_that_lets_it_do_nothing(client: TestClient, toy_model: Path) -> None:  # noqa: F811
    (toy_model / model.REPORT_FILE).write_text("<!doctype html><style>p { color: red }</style><p>Grüße</p>", "utf-8")
    try:
        answer = client.get("/model")
        assert answer.status_code == 200 and answer.headers["content-type"] == "text/html; charset=utf-8" and "Grüße" in answer.text
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'unsafe-inline';") and "script" not in policy
        again = client.get("/model", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304 and not again.content and answer.headers["cache-control"] == "no-cache"
        assert facts(client)["model_links"] == {"card": "model/card.json", "report": "model"}
    finally:
        (toy_model / model.REPORT_FILE).unlink()


def test_without_a_report_nothing_leads_to_one(client: TestClient) -> None:
    answer = client.get("/model", headers={"accept": "text/html"})
    assert answer.status_code == 404 and answer.json()["code"] == "not_found"
    assert facts(client)["model_links"] == {"card": "model/card.json", "report": None}


def test_the_card_is_the_one_in_use(client: TestClient, toy_model: Path) -> None:  # noqa: F811
    answer = client.get("/model/card.json")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    assert Card.model_validate(answer.json()) == read_card(toy_model)
    assert client.get("/model/card.json", headers={"If-None-Match": f'W/{answer.headers["etag"]}, "x"'}).status_code == 304


def test_rates_of_the_bundled_models_are_of_the_recordings_held_back() -> None:
    cards = [read_card(path.parent) for path in asset_dir("models").glob("*/card.json")]
    evaluated = [card for card in cards if "eval" in card.figures]
    assert evaluated
    for card in evaluated:
        for point, shares in model.rates(card).items():
            figures = card.figures["eval"]["at_operating_points"][point]
            assert shares["false_alarm"] == figures["bonafide_called_spoof"] and shares["miss"] == figures["spoof_called_bonafide"]
        of = model.measured(card)
        assert of == {"held_back": True, "bonafide": card.figures["eval"]["n_bonafide"], "spoof": card.figures["eval"]["n_spoof"]}


def test_rates_of_a_model_that_was_not_evaluated_say_so(toy_model: Path) -> None:  # noqa: F811
    points = {name: {"bonafide_called_spoof": 0.1, "spoof_called_bonafide": 0.2, "uncertain": 0.3, "bonafide_called_bonafide": 0.6,
                     "spoof_called_spoof": 0.5} for name in ("fast", "balanced", "strict")}  # fmt: skip
    card = read_card(toy_model).model_copy(update={"figures": {"dev": {"at_operating_points": points, "n_bonafide": 7, "n_spoof": 9}}})
    assert model.rates(card)["fast"] == {"false_alarm": 0.1, "miss": 0.2, "uncertain": 0.3, "bonafide_right": 0.6, "spoof_right": 0.5}
    assert model.measured(card) == {"held_back": False, "bonafide": 7, "spoof": 9}


@pytest.mark.parametrize("figures", [{}, {"eval": 7}, {"eval": {"at_operating_points": {"balanced": {"uncertain": "much"}}, "n_spoof": "many"}}])
def test_rates_that_were_not_measured_are_not_made_up(toy_model: Path, figures: dict[str, object]) -> None:  # noqa: F811
    card = read_card(toy_model).model_copy(update={"figures": figures})
    for name, shares in model.rates(card).items():
        point = card.operating_points[name]  # type: ignore[index]
        assert (shares["false_alarm"], shares["miss"], shares["uncertain"]) == (point.false_alarm, point.miss, point.uncertain)
        assert shares["bonafide_right"] is None
    assert model.measured(card) == {"held_back": False, "bonafide": None, "spoof": None}
