"""One supervised child process: started, waited for, paused, stopped, and never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Self

import httpx

from .guardian import guardian, kill_group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

TAIL_LINES = 25
POLL_SECONDS = 0.02
ANSWER_SECONDS = 10
HELD_PORTS = 200
"""As many files stay open; who was given the ports before these has long bound them."""

_held: deque[int] = deque()
"""The sockets that hold them."""


class StartError(Exception):
    """A process ended before it was ready, or was not ready in time; carries the end of its log."""


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on, and that nobody else is given meanwhile.

    It stays bound here, and with Linux that keeps the kernel from handing it out to whoever asks for any port, in this
    process or another: until a server listens on it, and while one is down. A server may bind it all the same, as
    long as it sets SO_REUSEADDR, which all do that may be restarted; connections are refused until it listens.
    """
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    port: int = holder.getsockname()[1]
    if sys.platform == "linux":
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after bind: it may share, and was given its own
        _held.append(holder.detach())
        if len(_held) > HELD_PORTS:
            os.close(_held.popleft())
    else:
        holder.close()
    return port


class Process:
    """A child in a session and process group of its own, its output in a log file.

    Args:
        name: what errors call it.
        command: program and arguments.
        log: file that receives standard output and error; appended to when the process is restarted.
        ready: URL that answers 200 when the process is ready, or a function that says so; nothing means
            ready at once.
        ca: certificate of the authority that signed the certificate of an HTTPS `ready`.
        environment: variables beside those of this process; nothing inherits a proxy or a kubeconfig.
        folder: working folder.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        ready: str | Callable[[], bool] | None = None,
        ca: Path | None = None,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.command = [str(part) for part in command]
        self.log = log
        self.folder = folder
        self.environment = clean_environment() | dict(environment or {})
        self._ready = ready
        self._ca = ca
        self._child: subprocess.Popen[bytes] | None = None
        self._owned = False  # whether a signal may be sent: the ids of what has gone may be used anew

    def __enter__(self) -> Self:
        """Start, and wait until ready."""
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id, which is the id of its group as well."""
        assert self._child is not None, f"{self.name} was never started"
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_status(self) -> int | None:
        """Its exit status (a signal as a negative number); None while it runs."""
        return self._child.poll() if self._child else None

    def start(self) -> None:
        """Start the process; returns at once."""
        assert not self.running, f"{self.name} is running already"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        keeper = guardian()
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                keeper.announced(self.command),
                stdin=keeper.pipe,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=self.folder,
                start_new_session=True,
            )
        self._owned = True
        keeper.own_group(self.pid)  # the child says so too, but perhaps not before this process ends orderly

    def wait_ready(self, seconds: float = 90) -> None:
        """Return when the process is ready.

        Raises:
            StartError: it has ended, or `seconds` have passed.
        """
        deadline = time.monotonic() + seconds
        with contextlib.ExitStack() as stack:
            is_ready = self._check(stack)
            while True:
                is_last = time.monotonic() > deadline  # asked before the look, which a stalled machine gets once more
                if is_ready() and self.running:  # a stranger at the same port may answer for the dead
                    return
                if not self.running:
                    raise StartError(self.report(f"ended with status {self.exit_status} before it was ready"))
                if is_last:
                    raise StartError(self.report(f"was not ready within {seconds:g} s"))
                time.sleep(POLL_SECONDS)

    def stop(self, seconds: float = 10) -> None:
        """Ask the process to end, and kill its group when `seconds` have passed or its leader has ended."""
        if self.running:
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)  # a paused process hears nothing else
            with contextlib.suppress(subprocess.TimeoutExpired):
                assert self._child is not None
                self._child.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """End the process group at once, without warning, as a crash would."""
        if not self._owned:
            return
        kill_group(self.pid)
        assert self._child is not None
        self._child.wait()
        guardian().disown_group(self.pid)
        self._owned = False

    def pause(self) -> None:
        """Stop the process from running until `resume` (SIGSTOP); returns once all of its threads have stopped."""
        self._signal(signal.SIGSTOP)
        while self._child is not None and self._child.poll() is None and not _is_stopped(self._child.pid):
            time.sleep(0.001)

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def release(self) -> None:
        """Let the process go on after this Python process has ended; somebody else must end it."""
        guardian().disown_group(self.pid)
        self._owned = False
        assert self._child is not None
        self._child.returncode = 0  # or Popen would warn, when collected, of a child that was not waited for

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of the log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def report(self, problem: str) -> str:
        """A message for people: who, what, and what the log says last."""
        return f"{self.name} {problem}. The end of {self.log}:\n{self.tail() or '(nothing)'}"

    def _signal(self, number: signal.Signals) -> None:
        if self._owned:
            kill_group(self.pid, number)

    def _check(self, stack: contextlib.ExitStack) -> Callable[[], bool]:
        if self._ready is None:
            return lambda: True
        if not isinstance(self._ready, str):
            return self._ready
        context = ssl.create_default_context(cafile=self._ca) if self._ca else False
        client = stack.enter_context(httpx.Client(verify=context, trust_env=False, timeout=ANSWER_SECONDS))
        url = self._ready
        return lambda: answers(client, url)


def answers(client: httpx.Client, url: str) -> bool:
    """Whether a GET of this URL is answered by 200, now."""
    try:
        return client.get(url).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def clean_environment() -> dict[str, str]:
    """This process's environment without what would lead a component elsewhere than told."""
    strangers = {"KUBECONFIG", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "GOMAXPROCS"}
    return {name: value for name, value in os.environ.items() if name.upper() not in strangers}


def _is_stopped(child: int) -> bool:
    """Whether a child has stopped, as its parent is told once: all its threads; the news stays for others to read."""
    return os.waitid(os.P_PID, child, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
