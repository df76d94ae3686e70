"""How many steps a second a daemon and one Python worker do together, on this machine.

    python bench.py PATH_OF_AGNT5D [--in-flight 64] [--seconds 10] [--handler sync|async]

Starts a daemon on a file of its own and a worker in a process of its own, runs workflows of ten no-op steps one after the
other, so many at a time, and prints steps per second as JSON. Both are ended by their process ids.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "src"))

from agnt5 import FlowDefinition, SyncClient, Worker, function, task_step

STEPS = 10


@function
def noop() -> None:
    """A sync handler that does nothing."""


@function
async def anoop() -> None:
    """An async one."""


def chain(handler: str) -> FlowDefinition:
    return FlowDefinition(
        [task_step(f"s{i}", service_name="bench", handler_name=handler, dependencies=[f"s{i - 1}"] if i else None) for i in range(STEPS)]
    )


class Runs(asyncio.Protocol):
    """One connection that keeps one run going: it starts the next when the daemon has answered that the last one ended."""

    def __init__(self, host: str, until: float, over: asyncio.Future[None]) -> None:
        body = b"{}"
        head = f"POST /v1/workflows/chain/runs HTTP/1.1\r\nHost: {host}\r\nPrefer: wait=60\r\nContent-Length: {len(body)}\r\n\r\n"
        self.request = head.encode() + body
        self.until, self.over, self.ended, self.got = until, over, 0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.got += data
        head, split, body = self.got.partition(b"\r\n\r\n")
        if not split or len(body) < int(head.lower().partition(b"content-length:")[2].split()[0]):
            return
        assert b'"state":"completed"' in body, body
        self.got = b""
        self.ended += 1
        if time.monotonic() < self.until:
            self.transport.write(self.request)
        else:
            self.transport.close()
            self.over.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(exc or ConnectionError("the daemon closed the connection"))


async def load(url: str, seconds: float, in_flight: int) -> int:
    """Keep so many runs going; gives how many ended. It costs little, so that what is measured is the daemon and the worker."""
    loop = asyncio.get_running_loop()
    host, _, port = url.removeprefix("http://").partition(":")
    until = time.monotonic() + seconds
    all_runs = []
    for _ in range(in_flight):
        over = loop.create_future()
        _, protocol = await loop.create_connection(lambda over=over: Runs(host, until, over), host, int(port))
        all_runs.append(protocol)
    await asyncio.gather(*(p.over for p in all_runs))
    return sum(p.ended for p in all_runs)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--handler", choices=["sync", "async"], default="sync")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--load", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        Worker("bench", coordinator_endpoint=args.worker, capacity=256).run_sync()
        return
    if args.load:
        print(asyncio.run(load(args.load, args.seconds, args.in_flight)))
        return
    with tempfile.TemporaryDirectory() as folder:
        daemon = subprocess.Popen(
            [args.binary, "serve", "--listen", "127.0.0.1:0", "--file", os.path.join(folder, "bench.db")],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert daemon.stdout is not None
        url = daemon.stdout.readline().split()[-1]
        worker = subprocess.Popen([sys.executable, __file__, args.binary, "--worker", url])
        try:
            SyncClient(url).register_workflow("chain", chain("noop" if args.handler == "sync" else "anoop"))
            began = time.monotonic()
            loaders = [
                subprocess.Popen(
                    [
                        sys.executable,
                        __file__,
                        args.binary,
                        "--load",
                        url,
                        "--seconds",
                        str(args.seconds),
                        "--in-flight",
                        str(args.in_flight),
                    ],
                    stdout=subprocess.PIPE,
                    text=True,
                )
            ]
            runs = sum(int(p.communicate()[0]) for p in loaders)
            took = time.monotonic() - began
            cpu = {name: cpu_seconds(p.pid) for name, p in (("daemon", daemon), ("worker", worker))}
        finally:
            for process in (worker, daemon):
                process.terminate()
                process.wait()
    steps = runs * STEPS
    print(
        json.dumps(
            {
                "steps_per_second": round(steps / took),
                "runs": runs,
                "seconds": round(took, 1),
                "in_flight": args.in_flight,
                "handler": args.handler,
                "cpu_us_per_step": {name: round(s / max(steps, 1) * 1e6) for name, s in cpu.items()},
            }
        )
    )


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, from /proc; 0 where there is none."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
