"""Clients and workers with an access token, over a unix socket and over TLS, against a real daemon."""

from __future__ import annotations

import asyncio
import pathlib
import shutil
import subprocess
import tempfile

import pytest
from conftest import Daemon

from agnt5 import Agnt5Error, Client, FlowDefinition, SyncClient, Unauthorized, UnknownAnswer, Unreachable, Worker, task_step

ONE = FlowDefinition([task_step("a", service_name="svc", handler_name="h")])


async def work(url: str, folder: pathlib.Path) -> None:
    """Make tokens, run a step with a worker's, and be refused what it does not allow."""
    async with Client(url) as nobody:
        root = (await nobody.create_token("root", "admin"))["token"]
        with pytest.raises(Unauthorized, match="no access token"):
            await nobody.list_workers()
    async with Client(url, api_key=root) as client:
        kept = folder / "worker.token"
        kept.write_text((await client.create_token("svc", "worker:svc"))["token"] + "\n")
        await client.register_workflow("w", ONE)
        worker = Worker("svc", coordinator_endpoint=url, token_file=kept, functions={"h": lambda: "done"}, workflows={})
        running = asyncio.create_task(worker.run())
        await client.start_workflow("w", None, "r")
        assert (await client.wait("r", 30))["state"] == "completed"
        assert (await client.get_history("r"))[0]["data"]["by"] == "root"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        with pytest.raises(Agnt5Error, match="needs the scope worker:other"):
            await Worker("other", coordinator_endpoint=url, token_file=kept, functions={"h": lambda: 1}, workflows={}).run()
        with SyncClient(url, token_file=kept) as sync, pytest.raises(Unauthorized, match="needs the scope read"):
            sync.list_workflows()
        events = SyncClient(url, api_key=root).follow_events("r")
        assert next(events)["kind"] == "RunStarted"
        events.close()
        await client.revoke_token("svc")
    with SyncClient(url, token_file=kept) as sync, pytest.raises(Unauthorized, match="was revoked"):
        sync.list_workflows()


async def test_a_unix_socket(tmp_path: pathlib.Path) -> None:
    short = pathlib.Path(tempfile.mkdtemp(prefix="agnt5"))  # the path of a socket must be short
    daemon = Daemon(tmp_path, f"unix:{short}/s")
    try:
        await work(f"unix:{short}/s", tmp_path)
    finally:
        daemon.stop()
        shutil.rmtree(short)
    with SyncClient(f"unix:{short}/s", patience=0) as sync, pytest.raises(Unreachable, match=f"at unix:{short}/s"):
        sync.get_version()


async def test_tls(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goroot = subprocess.run(["go", "env", "GOROOT"], check=True, capture_output=True, text=True).stdout.strip()
    maker = ["go", "run", f"{goroot}/src/crypto/tls/generate_cert.go", "--host", "127.0.0.1", "--ca", "--ecdsa-curve", "P256"]
    subprocess.run(maker, check=True, cwd=tmp_path, capture_output=True)
    daemon = Daemon(tmp_path, None, "--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    url = daemon.url.replace("http://", "https://")
    try:
        with SyncClient(url, patience=0) as sync, pytest.raises(Unreachable, match=r"certificate.*AGNT5_CA_FILE names"):
            sync.get_version()
        with SyncClient(daemon.url, patience=0) as sync, pytest.raises(UnknownAnswer, match="use https"):
            sync.get_version()
        monkeypatch.setenv("AGNT5_CA_FILE", str(tmp_path / "cert.pem"))
        await work(url, tmp_path)
    finally:
        daemon.stop()


def test_a_secret_in_an_address_is_not_repeated() -> None:
    for bad in ("http://ann:hunter2@127.0.0.1:9", "127.0.0.1:9/?key=hunter2", "http://127.0.0.1:9/#hunter2"):
        with pytest.raises(ValueError, match="AGNT5_API_KEY") as caught:
            SyncClient(bad)
        assert "hunter2" not in str(caught.value)


def test_the_path_of_a_socket_is_short() -> None:
    with pytest.raises(ValueError, match=r"the path of a unix socket has at most .* this one has 201"):
        SyncClient("unix:/" + 200 * "x")


def test_a_token_in_a_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError):
        SyncClient("http://127.0.0.1:9", token_file=tmp_path / "none")
    (tmp_path / "t").write_text(" \n")
    with pytest.raises(ValueError, match="is empty"):
        SyncClient("http://127.0.0.1:9", token_file=tmp_path / "t")
    (tmp_path / "t").write_text("two words\n")
    with pytest.raises(ValueError, match="without spaces") as caught:
        SyncClient("http://127.0.0.1:9", token_file=tmp_path / "t")
    assert "two" not in str(caught.value)
    with pytest.raises(ValueError, match="not the name of a file") as caught:
        SyncClient("http://127.0.0.1:9", token_file="agt_PLANTED")
    assert "PLANTED" not in str(caught.value)
    with pytest.raises(ValueError, match="one of them"):
        SyncClient("http://127.0.0.1:9", api_key="a", token_file=tmp_path / "t")


def put(file: pathlib.Path, text: str) -> None:
    """Replace a token's file, as those who rotate one do."""
    (file.parent / "next").write_text(text + "\n")
    (file.parent / "next").replace(file)


async def test_a_tokens_file_is_read_again(daemon: Daemon, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "token"
    async with Client(daemon.url) as nobody:
        root = (await nobody.create_token("root", "admin"))["token"]
    async with Client(daemon.url, api_key=root) as client:
        put(file, (await client.create_token("one", "worker:svc"))["token"])
        await client.register_workflow("w", ONE)
        began, go = asyncio.Event(), asyncio.Event()

        async def h() -> str:
            began.set()
            await go.wait()
            return "done"

        worker = Worker("svc", coordinator_endpoint=daemon.url, token_file=file, functions={"h": h}, workflows={})
        running = asyncio.create_task(worker.run())
        await client.start_workflow("w", None, "r")
        await asyncio.wait_for(began.wait(), 30)
        put(file, (await client.create_token("two", "worker:svc"))["token"])
        await client.revoke_token("one")
        go.set()
        assert (await client.wait("r", 30))["state"] == "completed"
        await client.start_workflow("w", None, "r2")
        assert (await client.wait("r2", 30))["state"] == "completed"
        own = tmp_path / "reader"
        put(own, (await client.create_token("reader", "read"))["token"])
        async with Client(daemon.url, token_file=own) as other:
            with SyncClient(daemon.url, token_file=own) as sync:
                assert len(sync.list_workflows()) == 2 and len(await other.list_workflows()) == 2
                put(own, (await client.create_token("reader2", "read"))["token"])
                await client.revoke_token("reader")
                assert len(sync.list_workflows()) == 2 and len(await other.list_workflows()) == 2
                assert [event async for event in other.follow_events("r")]
                assert list(sync.follow_events("r"))
        await client.revoke_token("two")
        with pytest.raises(Agnt5Error, match=r"refuses .*was revoked"):
            await running
        with pytest.raises(Agnt5Error, match=r"refuses this worker: no access token was sent .*AGNT5_API_KEY"):
            await Worker("svc", coordinator_endpoint=daemon.url, functions={"h": lambda: 1}, workflows={}).run()
    assert "does not answer" not in caplog.text
