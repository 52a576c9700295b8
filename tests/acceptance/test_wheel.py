"""The built wheel in an environment of its own, without the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import free_port, until

CHECKOUT = Path(__file__).parents[2]


def command(*words: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, CHECKOUT, cwd=folder)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel with its locked dependencies, as a user would with pip (or faster, with uv)."""
    folder = tmp_path_factory.mktemp("installed")
    python = folder / "env" / "bin" / "python"
    uv = Path(shutil.which("uv") or Path(sys.executable).with_name("uv"))
    installer: list[str | Path] = [python, "-m", "pip", "install"]
    if uv.exists():
        installer = [uv, "pip", "install", "--python", python]
    without = ["--without-pip"] if uv.exists() else []
    command(sys.executable, "-m", "venv", *without, folder / "env", cwd=folder)
    command(*installer, "--quiet", "--require-hashes", "-r", CHECKOUT / "requirements" / "up.txt", cwd=folder)
    command(*installer, "--quiet", "--no-deps", wheel, cwd=folder)
    return python.parent


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment that knows neither the checkout nor this user's Jupyter."""
    strange = ("CLOUDO_", "JPY_", "JUPYTER", "PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    return kept | {"HOME": str(tmp_path / "home"), "JUPYTER_PLATFORM_DIRS": "1"}


@pytest.fixture
def url(bin_folder: Path, tmp_path: Path, environment: dict[str, str]) -> Iterator[str]:
    port = free_port()
    workspace = tmp_path / "empty"
    workspace.mkdir()
    words: list[str | Path] = [bin_folder / "cloudo", "up", workspace, f"--port={port}", "--no-browser", "--allow-root"]
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*words, "--IdentityProvider.token=secret"], cwd=tmp_path, env=environment, stdout=output, stderr=output
        )
    url = f"http://127.0.0.1:{port}/"

    def answers() -> bool:
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{url}cloudo/api/1/health", timeout=5) as reply:
                return bool(reply.status == 200)
        except urllib.error.HTTPError as error:
            error.close()  # it holds the connection
            return False
        except OSError:
            return False

    until(answers, seconds=60, what=log.read_text)
    yield url
    server.terminate()
    assert server.wait(timeout=30) == 0, log.read_text()


def ask(url: str, path: str, body: object = None) -> str:
    headers = {"Authorization": "token secret", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}{path}", data, headers), timeout=120) as reply:
        return str(reply.read().decode())


@pytest.mark.timeout(600)
def test_the_wheel_alone_plays_a_sample_in_an_empty_folder(
    bin_folder: Path, url: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    where = command(bin_folder / "python", "-c", "import cloudo_kernel; print(cloudo_kernel.__file__)", cwd=tmp_path)
    assert str(CHECKOUT) not in where
    names = [flow["name"] for flow in json.loads(ask(url, "cloudo/api/1/flow"))["items"]]
    assert {"examples/greeting", "examples/sales_report", "examples/fan_out"} <= set(names)
    started = {"flow_name": "examples/fan_out", "inputs": {"regions": ["north", "west"]}, "wait": 60}
    record = json.loads(ask(url, "cloudo/api/1/execution", started))
    assert record["status"] == "ENDED_SUCCESS", record
    assert record["output_value"]["totals"].keys() == {"north", "west"}
    assert (tmp_path / "empty" / record["notebook"]).exists()
    assert "Cloudo" in ask(url, "cloudo/")
    assert "swagger-ui" in ask(url, "cloudo/explorer")
    assert "<svg" in ask(url, "kernelspecs/cloudo/logo-svg.svg")
    assert "_JUPYTERLAB" in ask(url, "lab/extensions/cloudo/static/remoteEntry.js")
    assert len(ask(url, "cloudo/explorer/swagger-ui/swagger-ui-bundle.js")) > 1_000_000
    flags = ["--url", url, "--token", "secret"]
    ran = command(
        bin_folder / "cloudo",
        *(*flags, "run", "examples/greeting", "-p", "name=Ada"),
        cwd=tmp_path,
        environment=environment,
    )
    assert "Hello, Ada!" in ran
    kernels = command(bin_folder / "jupyter", "kernelspec", "list", cwd=tmp_path, environment=environment)
    assert "cloudo" in kernels
