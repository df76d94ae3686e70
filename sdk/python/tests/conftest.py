"""A real daemon, and workers in processes of their own. They are ended by the process that was started."""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[3]
EXAMPLES = ROOT / "examples/python"


class Daemon:
    """agnt5d serve on a file of its own, at a port that it keeps."""

    def __init__(self, folder: pathlib.Path, listen: str | None = None, *flags: str) -> None:
        self.folder = folder
        if listen is None:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                listen = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = "http://" + listen
        self.command = [os.environ["AGNT5D_BIN"], "serve", "--listen", listen, "--file", str(folder / "runs.db"), *flags]
        self.workers: list[subprocess.Popen[str]] = []
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=(self.folder / "daemon.log").open("a"), text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("listening on"), (self.folder / "daemon.log").read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def worker(self, script: str | pathlib.Path, *python: str, **env: str) -> subprocess.Popen[str]:
        """Start a worker of the examples, or a script of its own."""
        path = EXAMPLES / script
        around = (
            os.environ | {"AGNT5_URL": self.url, "AGNT5_ETL_DIR": str(self.folder / "etl"), "PYTHONPATH": os.pathsep.join(sys.path)} | env
        )
        process = subprocess.Popen(
            [sys.executable, *python, str(path)], cwd=EXAMPLES, env=around, stderr=(self.folder / "worker.log").open("a"), text=True
        )
        self.workers.append(process)
        return process

    def stop(self) -> None:
        """Workers first: one whose daemon is gone waits to bring what is done."""
        for processes in (self.workers, [self.process]):
            for process in processes:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
            for process in processes:
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    raise


@pytest.fixture
def daemon(tmp_path: pathlib.Path) -> Iterator[Daemon]:
    if "AGNT5D_BIN" not in os.environ:
        pytest.skip("AGNT5D_BIN does not say where the daemon is (check.sh builds it)")
    d = Daemon(tmp_path, None, "--lease", "2s")
    yield d
    d.stop()
