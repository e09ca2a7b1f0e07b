"""The examples of deploy/ are what they are for: each is checked by what reads it, and every variable in
them by the server."""

import os
import pathlib
import re
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

from conftest import BINARY, SECRET

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
# What a variable may stand for in the examples that leave it to whoever starts them.
GIVEN = {
    "JWT_SECRET": SECRET,
    "POSTGRES_PASSWORD": "password",
    "DATABASE_URL": "postgres://stoa:password@postgres/stoa",
    "REDIS_URL": "redis://redis",
    "STOA_NODE": "one",
}
KUBERNETES = "1.33"


def run(command, **options):
    """What it says; it has to succeed."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, **options
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def configured(environment, folder):
    """What the server makes of these variables; it knows all of them."""
    path = {"PATH": os.environ["PATH"]}
    said = run([BINARY, "check-config"], cwd=folder, env={**path, **environment})
    names = pathlib.Path(DEPLOY.parent / "docs/contract/environment.md").read_text("utf-8")
    for name in environment:
        assert f"`{name}`" in names, f"{name} is no variable of the server"
    return said


def given(value):
    """A value of compose's, with what is left open filled in."""
    return re.sub(r"\$\{(\w+)(?::[-?][^}]*)?\}", lambda name: GIVEN.get(name[1], ""), str(value))


def documents(name):
    """The YAML documents of an example."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text("utf-8")))


def seconds(text):
    """A time as it is written in the examples."""
    assert re.fullmatch(r"\d+s", text), text
    return int(text[:-1])


@pytest.mark.parametrize("example", ["compose.yaml", "compose.cluster.yaml"])
def test_compose_starts_servers_that_take_their_configuration(example, tmp_path):
    [compose] = documents(example)
    servers = [it for it in compose["services"].values() if it.get("image") == "stoa"]
    assert servers
    for server in servers:
        environment = {name: given(value) for name, value in server["environment"].items()}
        configured(environment, tmp_path)
        # The exit is not cut off.
        drain = seconds(environment.get("DRAIN_TIMEOUT", "20s"))
        assert seconds(server["stop_grace_period"]) >= drain + 5
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            is_there = (DEPLOY / source).is_file() if source.startswith(".") else source in compose["volumes"]
            assert is_there, volume


def test_prometheus_asks_the_servers_where_they_tell():
    [prometheus], [compose] = documents("prometheus.yml"), documents("compose.cluster.yaml")
    [job] = prometheus["scrape_configs"]
    asked = job["static_configs"][0]["targets"]
    services = compose["services"].items()
    told = [f"{name}:{it['environment']['METRICS_PORT']}" for name, it in services if it.get("image") == "stoa"]
    assert asked == told
    [grafana] = documents("grafana.datasources.yaml")
    assert grafana["datasources"][0]["url"] == "http://prometheus:9090"


def test_the_manifests_are_as_kubernetes_has_them(tmp_path):
    manifests = documents("kubernetes.yaml")
    for manifest in manifests:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    [deployment] = [it for it in manifests if it["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    environment = {it["name"]: it.get("value") or GIVEN[it["name"]] for it in container["env"]}
    configured(environment, tmp_path)
    drain = seconds(environment["DRAIN_TIMEOUT"])
    assert pod["terminationGracePeriodSeconds"] >= drain + 5
    # Whoever asks whether it is ready has done so before it lets nobody in any more.
    probe = container["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] < seconds(environment["DRAIN_DELAY"])
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for manifest in manifests:
        selector = manifest["spec"]["selector"]
        assert selector.get("matchLabels", selector) == labels, manifest["kind"]


def test_systemd_takes_the_unit_and_finds_little_exposed(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    text = (DEPLOY / "stoa.service").read_text("utf-8")
    unit = tmp_path / "stoa.service"
    unit.write_text(text.replace("/usr/local/bin/stoa serve", f"{BINARY} serve"), "utf-8")
    said = run(["systemd-analyze", "verify", "--man=no", str(unit)])
    assert "stoa.service" not in said, said
    run(["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)])
    assert seconds(re.search(r"TimeoutStopSec=(\w+)", text)[1]) >= 20 + 5
    [line] = re.findall(r"^Environment=(.*)$", text, re.MULTILINE)
    environment = dict(pair.split("=", 1) for pair in line.split())
    secret = tmp_path / "jwt-secret"
    secret.write_text(SECRET, "utf-8")
    environment["JWT_SECRET_FILE"] = str(secret)
    path = {"PATH": os.environ["PATH"]}
    run([BINARY, "check-config"], cwd=tmp_path, env={**path, **environment})


@pytest.mark.parametrize(
    "example, command",
    [
        ("nginx.cluster.conf", ["nginx", "-t", "-q", "-e", "stderr", "-g", "pid nginx.pid;", "-c"]),
        ("Caddyfile.cluster", ["caddy", "validate", "--adapter", "caddyfile", "--config"]),
    ],
)
def test_a_balancer_takes_its_example(example, command, tmp_path):
    text = (DEPLOY / example).read_text("utf-8")
    # Names are looked up at the start.
    text = text.replace("one:3003", "127.0.0.1:3003").replace("two:3003", "127.0.0.2:3003")
    own = tmp_path / example
    own.write_text(text, "utf-8")
    environment = {"PATH": f"{os.environ['PATH']}:/usr/sbin", "HOME": str(tmp_path)}
    prefix = ["-p", str(tmp_path)] if command[0] == "nginx" else []
    run([command[0], *prefix, *command[1:], str(own)], cwd=tmp_path, env=environment)
