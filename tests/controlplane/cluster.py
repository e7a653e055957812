"""A real control plane on loopback, as plain processes: etcd, API server, controllers, scheduler, KWOK."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

from .binaries import binary
from .detached import stop_processes, write_state
from .guardian import guardian, remove_folder
from .layout import STATE, Layout
from .process import Process, StartError, answers, clean_environment
from .rest import Resources
from .waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STAGES = Path(__file__).with_name("stages.yaml")
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
START_SECONDS = 90
UNDEFINED_SECONDS = 60
ATTEMPTS = 3
PORT_TAKEN = "address already in use"  # by somebody who started at the same moment
DEFAULT_SERVICE_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"


class KubectlError(Exception):
    """A kubectl command failed; carries what it wrote to standard error."""


class ControlPlane:
    """Starts a control plane as a context manager; ready when a pod can be created and scheduled.

    Args:
        folder: where its files go; must be empty or not exist, for it is removed with all that is in it
            when the control plane stops. A temporary one if not given.
        kwok: whether to simulate the nodes that have KWOK's annotation (see `fake_node`).
        detached: let the processes go on when this Python process ends; `stop_detached` ends them.
        api_server_flags: flags of kube-apiserver beside the usual ones.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        kwok: bool = True,
        detached: bool = False,
        api_server_flags: Sequence[str] = (),
    ) -> None:
        self._given_folder = folder
        self._kwok = kwok
        self._detached = detached
        self._api_server_flags = api_server_flags
        self._processes: dict[str, Process] = {}
        self._layout: Layout | None = None
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._detached:
            self.stop()

    @property
    def folder(self) -> Path:
        """Where everything is that belongs to this control plane."""
        return self._files.folder

    @property
    def logs(self) -> Path:
        """The folder of the log files, one per component: NAME.log."""
        return self._files.logs

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig of the administrator; certificates are embedded, so it may be copied."""
        return self._files.kubeconfig

    @property
    def server(self) -> str:
        """The API server's address, https://127.0.0.1:PORT."""
        return self._files.server

    @property
    def ca(self) -> Path:
        """The certificate of the authority that signed the API server's."""
        return self._files.authority.certificate

    @property
    def certificate(self) -> Path:
        """The administrator's client certificate."""
        return self._files.certificate

    @property
    def key(self) -> Path:
        """The key of the administrator's client certificate."""
        return self._files.key

    def start(self) -> None:
        """Start everything and wait until it is ready.

        Raises:
            StartError: a component failed; the end of its log is in the message.
            BuildError: a component could neither be found nor built.
        """
        for program in COMPONENTS if self._kwok else COMPONENTS[:-1]:
            binary(program)  # a build takes minutes: before any clock runs, and before there is anything to end
        self._start_on_free_ports()
        if self._detached:
            self.detach()

    def stop(self) -> None:
        """End everything, at once, and remove the files."""
        for process in reversed(self._processes.values()):
            process.kill()
        self._processes.clear()
        if self._folder is not None:
            remove_folder(self._folder)
            guardian().disown_folder(self._folder)
            self._folder = None

    def detach(self, *others: Process) -> None:
        """Let the processes go on when this Python process ends, and these others with them."""
        self._detached = True
        write_state(self._files.state, [*self._processes.values(), *others])
        guardian().disown_folder(self.folder)
        for process in [*self._processes.values(), *others]:
            process.release()

    @staticmethod
    def stop_detached(folder: Path) -> bool:
        """End the control plane, and whatever was detached with it, whose files are in this folder.

        Returns:
            Whether there was one.
        """
        found = stop_processes(folder / STATE)
        if found:
            remove_folder(folder)
        return found

    def kubectl(self, *args: str, input: str | None = None) -> str:  # noqa: A002 - as subprocess calls it
        """Run kubectl as the administrator; returns its standard output.

        Raises:
            KubectlError: it failed.
        """
        done = subprocess.run(
            [binary("kubectl"), *args],
            input=input,
            text=True,
            capture_output=True,
            check=False,
            env=clean_environment() | self._files.environment,
        )
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def undefine(self, *names: str) -> None:
        """Delete custom resource definitions, and with them all that is of their kinds; returns when they are gone.

        The API server that finds the storage of one not ready yet tries again only after five minutes, or when the
        definition changes: so those that are left are changed until none is.
        """
        self.kubectl("delete", "crd", *names, "--wait=false")
        wait_for(lambda: self._are_gone(names), UNDEFINED_SECONDS, pause=0.5)

    def _are_gone(self, names: Sequence[str]) -> bool:
        left = self.kubectl("get", "crd", *names, "--ignore-not-found", "-o", "name").split()
        with contextlib.suppress(KubectlError):  # it went meanwhile
            if left:
                self.kubectl("annotate", "--overwrite", *left, f"rightarch.dev/looked={time.time()}")
        return not left

    def context(self) -> ssl.SSLContext:
        """TLS settings with the administrator's client certificate, for any HTTP client."""
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client(self) -> httpx.Client:
        """A client of the REST interface, as the administrator; to be closed by the caller."""
        return httpx.Client(base_url=self.server, verify=self.context(), trust_env=False, timeout=30)

    def apply(self, *objects: dict[str, Any]) -> list[dict[str, Any]]:
        """Create or change objects by server-side apply; returns them as the server has them."""
        with self.client() as client:
            resources = Resources(client)
            return [resources.apply(item) for item in objects]

    def pause(self, name: str) -> None:
        """Keep a component from running until `resume`."""
        self._processes[name].pause()

    def resume(self, name: str) -> None:
        """Let a paused component go on."""
        self._processes[name].resume()

    @contextlib.contextmanager
    def without(self, name: str) -> Iterator[None]:
        """End a component as a crash would; it is started again when the block ends, however it ends."""
        self._processes[name].kill()
        try:
            yield
        finally:
            self.restart(name)

    def restart(self, name: str) -> None:
        """Start a component again, ending it first if it runs, and wait until it is ready."""
        process = self._processes[name]
        process.kill()
        process.start()
        process.wait_ready(START_SECONDS)

    @property
    def processes(self) -> dict[str, Process]:
        """The components, by name, in the order of their start."""
        return dict(self._processes)

    @property
    def _files(self) -> Layout:
        assert self._layout is not None, "the control plane was never started"
        return self._layout

    def _start_on_free_ports(self) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._start()
                break
            except BaseException as error:
                self.stop()
                if attempt == ATTEMPTS or PORT_TAKEN not in str(error):
                    raise

    def _start(self) -> None:
        self._folder = self._make_folder()
        guardian().own_folder(self._folder)
        self._layout = files = Layout(self._folder)
        self._add("etcd", *files.etcd())
        self._add("kube-apiserver", *files.api_server(self._api_server_flags), ca=self.ca)
        self._wait("etcd", "kube-apiserver")
        self._add("kube-controller-manager", *files.controllers(), ca=self.ca)
        self._add("kube-scheduler", *files.scheduler(), ca=self.ca)
        if self._kwok:
            self._add("kwok", *files.kwok(STAGES))
        self._wait(*self._processes)
        self._wait_service_account()

    def _make_folder(self) -> Path:
        if self._given_folder is None:
            return Path(tempfile.mkdtemp(prefix="rightarch-")).resolve()
        folder = self._given_folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise StartError(f"{folder} is not empty: another control plane may be using it")
        return folder

    def _add(self, name: str, command: list[str], ready: str, ca: Path | None = None) -> None:
        process = Process(
            name,
            [binary(command[0]), *command[1:]],
            log=self._files.logs / f"{name}.log",
            ready=ready,
            ca=ca,
            environment=self._files.environment,
            folder=self._files.home,
        )
        self._processes[name] = process
        process.start()

    def _wait(self, *names: str) -> None:
        for name in names:
            self._processes[name].wait_ready(START_SECONDS)

    def _wait_service_account(self) -> None:
        """Pods can't be created before the namespace has its default service account."""
        with self.client() as client:
            try:
                wait_for(lambda: answers(client, DEFAULT_SERVICE_ACCOUNT), START_SECONDS)
            except TimeoutError:
                problem = "made no default service account"
                raise StartError(self._processes["kube-controller-manager"].report(problem)) from None
