"""What `deploy/` names exists: commands, settings and their values, addresses, ports, files; and its limits and times fit those of the code.

Read, not run: `tests/integration/test_deploy.py` runs nginx; deploy/README.md says what could be run nowhere here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.routing import Route, WebSocketRoute
from typer.main import get_command

from app.cli.main import app as cli
from app.settings import Settings
from app.web.routes import routes

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
TEXT = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in [*FILES, ROOT / "Procfile"]}
OF_COMPOSE = {"VOXPROOF_TAG", "VOXPROOF_REPLICAS"}  # of deploy/.env, not of the server
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT["deploy/compose.yaml"])
MANIFESTS: dict[str, dict[str, Any]] = {path.name: yaml.safe_load(path.read_text("utf-8")) for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))}
POD: dict[str, Any] = MANIFESTS["deployment.yaml"]["spec"]["template"]["spec"]
NGINX = TEXT["deploy/nginx.conf"]
UNIT = TEXT["deploy/voxproof.service"]


@pytest.mark.parametrize("name", TEXT)
def test_settings_named_exist(name: str) -> None:
    named = {word for word in re.findall(r"\bVOXPROOF_[A-Z_]*[A-Z]\b", TEXT[name])} - OF_COMPOSE
    assert named <= {f"VOXPROOF_{each.upper()}" for each in Settings.model_fields}


def settings_in_files() -> Iterator[tuple[str, dict[str, str]]]:
    compose = {key: re.sub(r"\$\{\w+(?::[-?][^}]*)?\}", "5", value) for key, value in COMPOSE["services"]["server"]["environment"].items()}
    compose["VOXPROOF_MODEL"] = "standard"
    yield "compose", compose
    yield "kubernetes", MANIFESTS["config.yaml"]["data"] | MANIFESTS["secret.example.yaml"]["stringData"]
    yield "image", dict(re.findall(r"(VOXPROOF_\w+)=(\S+)", TEXT["deploy/Dockerfile"].split("\nENV PATH")[1].split("USER")[0]))


@pytest.mark.parametrize(("where", "given"), list(settings_in_files()), ids=lambda each: each if isinstance(each, str) else "")
def test_settings_are_accepted(where: str, given: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from app.main import refuse_bad_places

    monkeypatch.chdir(tmp_path)
    for name, value in given.items():
        assert isinstance(value, str), f"{name}: an environment holds text"
        monkeypatch.setenv(name, value)
    refuse_bad_places(Settings())


def test_commands_named_exist() -> None:
    for name, text in TEXT.items():
        for command in re.findall(r"(?:bin/|`|: |- |\bexec server )voxproof ((?:[a-z]+ ?)+)", text):
            words, at = command.split(), get_command(cli)
            for word in words:
                if not hasattr(at, "commands"):
                    break
                assert word in at.commands, f"{name}: voxproof {command}"
                at = at.commands[word]
    assert 'ENTRYPOINT ["voxproof"]\nCMD ["serve"]' in TEXT["deploy/Dockerfile"]
    assert POD["containers"][0]["args"] == ["serve"]


def test_addresses_named_exist() -> None:
    gets = {route.path for route in routes() if isinstance(route, Route)}
    sockets = {route.path for route in routes() if isinstance(route, WebSocketRoute)}
    container = POD["containers"][0]
    assert {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")} <= gets
    assert "/livez" in TEXT["deploy/Dockerfile"] and "/livez" in gets
    assert "location = /metrics" in NGINX and "/metrics" in gets
    streams = re.search(r"location ~ \^/\(([^)]*)\)\$", NGINX)
    assert streams and {f"/{path}" for path in streams[1].split("|")} == sockets


def test_ports_agree() -> None:
    port = Settings.model_fields["port"].default
    assert f"VOXPROOF_PORT={port}" in TEXT["deploy/Dockerfile"] and f"EXPOSE {port}\n" in TEXT["deploy/Dockerfile"]
    assert f"server server:{port} " in NGINX
    assert POD["containers"][0]["ports"] == [{"name": "http", "containerPort": port}]
    (published,) = COMPOSE["services"]["nginx"]["ports"]
    assert f"listen {published.rpartition(':')[2]};" in NGINX
    assert MANIFESTS["service.yaml"]["spec"]["ports"][0]["targetPort"] == "http"
    assert POD["enableServiceLinks"] is False, "else Kubernetes sets VOXPROOF_PORT to a URL"


def test_what_ends_a_server_is_patient_enough_for_the_drain() -> None:
    drain_s = Settings.model_fields["drain_seconds"].default
    assert float(MANIFESTS["config.yaml"]["data"]["VOXPROOF_DRAIN_SECONDS"]) == drain_s
    slept = re.search(r"sleep\((\d+)\)", POD["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][2])
    assert slept and POD["terminationGracePeriodSeconds"] >= drain_s + int(slept[1]) + 10
    assert int(COMPOSE["services"]["server"]["stop_grace_period"].removesuffix("s")) >= drain_s + 10
    stop = re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.M)
    assert stop and int(stop[1]) >= drain_s + 10
    assert "\nKillMode=mixed\n" in UNIT and "\nKillSignal=SIGTERM\n" in UNIT  # the decoders outlive the drain


def test_nginx_leaves_refusals_and_patience_to_the_server() -> None:
    default = {name: field.default for name, field in Settings.model_fields.items()}
    body = re.search(r"client_max_body_size\s+(\d+)m;", NGINX)
    assert body and int(body[1]) << 20 > default["max_upload_bytes"]
    assert MANIFESTS["ingress.yaml"]["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"] == f"{body[1]}m"
    idle = re.search(r"location ~.*?proxy_read_timeout (\d+)s", NGINX, re.S)
    assert idle and int(idle[1]) > default["idle_timeout_seconds"]
    kept = re.search(r"keepalive_timeout (\d+)s", NGINX)
    assert kept and int(kept[1]) < 5  # uvicorn's timeout_keep_alive, which we leave as it is


def test_nginx_is_the_proxy_the_servers_trust() -> None:
    address = COMPOSE["services"]["nginx"]["networks"]["front"]["ipv4_address"]
    assert COMPOSE["services"]["server"]["environment"]["VOXPROOF_TRUSTED_PROXIES"] == f'["{address}"]'


def test_compose_holds_together() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        for needed, when in service.get("depends_on", {}).items():
            assert needed in services, f"{name} needs {needed}"
            if when["condition"] == "service_healthy" and needed != "server":  # the image has its own
                assert "healthcheck" in services[needed]
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (DEPLOY / source).exists(), volume
        image = service["image"]
        assert "/" not in image or "." not in image.split("/")[0], f"{image} names a registry"
        assert re.search(r":[\w$]", image) and not image.endswith(":latest"), image
    asked = set(re.findall(r"\$\{(\w+)", TEXT["deploy/compose.yaml"]))
    assert asked == set(re.findall(r"^(\w+)=", TEXT["deploy/.env.example"], re.M))
    for secret in ("VOXPROOF_API_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "MINIO_PASSWORD"):
        assert re.search(rf"^{secret}=$", TEXT["deploy/.env.example"], re.M), "an example holds no secret"
        assert f"${{{secret}:?" in TEXT["deploy/compose.yaml"], f"{secret} may not be empty"


def test_the_image_is_built_from_what_is_there() -> None:
    text, ignored = TEXT["deploy/Dockerfile"], TEXT["deploy/Dockerfile.dockerignore"]
    kept = re.findall(r"^!(\S+)$", ignored, re.M)
    assert ignored.splitlines()[1] == "*" and all((ROOT / each).exists() for each in kept)
    assert {"app", "static", "templates", "models", "pyproject.toml", "README.md", "LICENSE", "requirements-run.lock"} <= set(kept)
    assert "--require-hashes" in text and "requirements-run.lock" in text
    assert re.search(r"^USER 10001:10001$", text, re.M) and POD["securityContext"]["runAsUser"] == 10001
    assert "uid=10001,gid=10001" in COMPOSE["services"]["server"]["tmpfs"][1]


def test_manifests_hold_together() -> None:
    listed = set(MANIFESTS["kustomization.yaml"]["resources"])
    assert listed == set(MANIFESTS) - {"kustomization.yaml", "secret.example.yaml"}
    labels = MANIFESTS["deployment.yaml"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        MANIFESTS["deployment.yaml"]["spec"]["selector"]["matchLabels"], MANIFESTS["service.yaml"]["spec"]["selector"],
        MANIFESTS["disruption.yaml"]["spec"]["selector"]["matchLabels"], MANIFESTS["network.yaml"]["spec"]["podSelector"]["matchLabels"],
    ):  # fmt: skip
        assert selector.items() <= labels.items()
    named = {next(iter(each.values()))["name"] for each in POD["containers"][0]["envFrom"]}
    assert named == {MANIFESTS["config.yaml"]["metadata"]["name"], MANIFESTS["secret.example.yaml"]["metadata"]["name"]}
    assert MANIFESTS["autoscaling.yaml"]["spec"]["scaleTargetRef"]["name"] == MANIFESTS["deployment.yaml"]["metadata"]["name"]
    assert "replicas" not in MANIFESTS["deployment.yaml"]["spec"]
    container = POD["containers"][0]
    assert POD["securityContext"]["runAsNonRoot"] and container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]} and not container["securityContext"]["allowPrivilegeEscalation"]
    mounted = {each["mountPath"] for each in container["volumeMounts"]}
    assert mounted == {"/data", "/tmp"}


def test_the_readme_of_deploy_knows_every_file() -> None:
    text = TEXT["deploy/README.md"]
    assert [path.name for path in FILES if path.name != "README.md" and path.parent == DEPLOY and f"`{path.name}`" not in text] == []
    assert "`kubernetes/`" in text
