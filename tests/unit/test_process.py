"""A supervised child: when it counts as ready, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.controlplane import CertificateAuthority, Process, StartError, free_port, wait_for
from tests.controlplane.detached import started, stop_processes, write_state

ROOT = Path(__file__).parents[2]
SERVER = "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, bind='127.0.0.1', port={})"


def state(pid: int) -> str:
    """The kernel's letter for what a process does (T: stopped)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def shell(script: str, folder: Path) -> Process:
    """A process that runs a shell script."""
    return Process("script", ["/bin/sh", "-c", script], log=folder / "script.log", folder=folder)


def test_it_is_ready_when_its_address_answers(tmp_path: Path) -> None:
    """And gone after the block."""
    port = free_port()
    command = [sys.executable, "-c", SERVER.format(port)]
    ready = f"http://127.0.0.1:{port}/"
    with Process("server", command, log=tmp_path / "log", ready=ready, folder=tmp_path) as server:
        assert httpx.get(ready, trust_env=False, timeout=60).status_code == 200
        assert server.running
    assert server.exit_status == -signal.SIGTERM
    with pytest.raises(httpx.ConnectError):
        httpx.get(ready, trust_env=False)


@pytest.mark.skipif(sys.platform != "linux", reason="only there is a port held that somebody else may listen on")
def test_a_free_port_is_nobody_else_s() -> None:
    """It is refused to strangers, and connections are until a server of ours listens, which may come and go."""
    address = ("127.0.0.1", free_port())
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(address)
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        with socket.create_server(address), socket.create_connection(address):
            pass


def test_the_end_of_the_log_is_in_the_error(tmp_path: Path) -> None:
    """Only the end: the reason is there."""
    process = Process(
        "teapot",
        ["/bin/sh", "-c", "seq 1000; echo short and stout >&2; exit 3"],
        log=tmp_path / "log",
        ready=lambda: False,
    )
    with pytest.raises(StartError) as caught, process:
        pass
    assert "teapot ended with status 3 before it was ready" in str(caught.value)
    assert str(caught.value).endswith("999\n1000\nshort and stout")
    assert "\n900\n" not in str(caught.value)


def test_it_is_given_up_after_a_while(tmp_path: Path) -> None:
    """A process that never becomes ready is an error as well."""
    process = Process("sleeper", ["sleep", "60"], log=tmp_path / "log", ready=lambda: False)
    process.start()
    with pytest.raises(StartError, match=r"was not ready within 0\.1 s"):
        process.wait_ready(0.1)
    process.stop()


def test_stopping_ends_the_whole_group(tmp_path: Path) -> None:
    """Children of the child too, also those that heed no signal."""
    process = shell("trap '' TERM; sleep 60 & echo $! > pid; wait; sleep 60", tmp_path)
    process.start()
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    grandchild = int((tmp_path / "pid").read_text())
    process.stop(0.1)
    assert process.exit_status == -signal.SIGKILL
    wait_for(lambda: not started(grandchild))


def test_stopping_lets_it_take_its_leave(tmp_path: Path) -> None:
    """SIGTERM comes first, also to one that is paused."""
    process = shell("trap 'echo bye; exit 0' TERM; echo up; sleep 60 & wait", tmp_path)
    process.start()
    wait_for(lambda: "up" in process.tail())
    process.pause()
    wait_for(lambda: state(process.pid) == "T")
    process.stop()
    assert process.exit_status == 0
    assert process.tail().endswith("\nbye")


def test_a_paused_process_goes_on_when_resumed(tmp_path: Path) -> None:
    """SIGSTOP and SIGCONT."""
    process = Process("sleeper", ["sleep", "60"], log=tmp_path / "log")
    with process:
        process.pause()
        wait_for(lambda: state(process.pid) == "T")
        process.resume()
        wait_for(lambda: state(process.pid) == "S")


def test_it_can_be_started_again_and_the_log_goes_on(tmp_path: Path) -> None:
    """What a crash said stays readable."""
    process = shell("echo hello; exec sleep 60", tmp_path)
    process.start()
    wait_for(lambda: process.tail() == "hello")
    process.kill()
    process.start()
    wait_for(lambda: process.tail() == "hello\nhello")
    process.kill()
    assert process.exit_status == -signal.SIGKILL


def test_no_proxy_and_no_kubeconfig_is_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A component must do as it was told, on every machine; standard input is empty."""
    monkeypatch.setenv("https_proxy", "http://proxy.test")
    monkeypatch.setenv("KUBECONFIG", "/home/someone/.kube/config")
    process = shell('cat; echo "[$https_proxy$KUBECONFIG]"', tmp_path)
    process.start()
    wait_for(lambda: not process.running)
    assert process.tail() == "[]"
    process.kill()


def test_a_child_of_a_thread_lives_on_after_the_thread(tmp_path: Path) -> None:
    """And yet dies with Python, however that ends."""
    code = f"""
import os, signal, threading, time
from pathlib import Path
from tests.controlplane import Process
process = Process("sleeper", ["sleep", "61"], log=Path({str(tmp_path)!r}) / "log")
thread = threading.Thread(target=process.start)
thread.start()
thread.join()
time.sleep(0.2)
assert process.running
print(process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    wait_for(lambda: not started(int(done.stdout)))


def test_python_ends_its_children_when_it_just_ends(tmp_path: Path) -> None:
    """Without a block, without stop(): still nothing is left, and nothing is warned of."""
    code = f"""
from pathlib import Path
from tests.controlplane import Process
process = Process("sleeper", ["sleep", "62"], log=Path({str(tmp_path)!r}) / "log")
process.start()
print(process.pid)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    wait_for(lambda: not started(int(done.stdout)))


def test_a_released_process_is_ended_by_what_was_written_down(tmp_path: Path) -> None:
    """A process that has the id of one that ended meanwhile is not touched."""
    process = Process("sleeper", ["sleep", "63"], log=tmp_path / "log")
    process.start()
    written = tmp_path / "processes.json"
    write_state(written, [process])
    forged = written.read_text().replace(started(process.pid), "1")
    (tmp_path / "older.json").write_text(forged)
    process.release()
    assert stop_processes(tmp_path / "older.json")
    assert started(process.pid)
    assert stop_processes(written)
    wait_for(lambda: not started(process.pid))
    os.waitpid(process.pid, 0)


def test_issued_certificates_serve_both_sides(tmp_path: Path) -> None:
    """Python's own TLS accepts them, strictly, by name and by address."""
    authority = CertificateAuthority(tmp_path)
    certificate, key = authority.issue("server", ["registry.test", "127.0.0.1"])
    again, _ = authority.issue("server")
    assert certificate != again
    assert key.stat().st_mode & 0o077 == 0
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.certificate)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=authority.certificate)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    client.load_cert_chain(*authority.issue("someone", [], "somewhere"))
    for name in ("registry.test", "127.0.0.1"):
        assert _handshake(client, server, name) == "somewhere"
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        _handshake(client, server, "other.test")


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> str:
    """Both ends in memory; returns the organization in the client's certificate."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True)]
    for _ in range(5):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    subject = ends[1].getpeercert()
    assert subject is not None
    return str(dict(part[0] for part in subject["subject"])["organizationName"])  # type: ignore[misc] # typeshed has no shape for it
