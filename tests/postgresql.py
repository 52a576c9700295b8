"""A PostgreSQL server for tests marked `db`: one for all processes of a pytest run, stopped when the run ends."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

#: The programs of Debian's package, which are not in the path.
_PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
#: Nothing needs to survive these servers.
_FAST = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nmax_wal_size = 256MB\n"
#: A folder in memory for those servers, if the system has it: each database has 300 files.
_MEMORY = Path("/dev/shm")
_NEEDED_BYTES = 2 * 1024**3
#: Stops the server and removes its folder when the process `$1` has ended.
_AFTERWARDS = '(tail --pid="$1" -f /dev/null; "$2/pg_ctl" -D "$3/data" -m immediate -w stop; rm -rf "$3") &'
#: This role has a password; all others need none.
LOCKED_ROLE = "locked"
_ACCESS = f"local all {LOCKED_ROLE} scram-sha-256\nlocal all all trust\nhost all all samenet trust\n"


class Cluster:
    """A running server. Databases are copies of a template, which takes 25 ms."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def shared(cls, shared: Path, process_id: int) -> Cluster:
        """Return the server of this pytest run, which has the folder `shared` and the process `process_id`.

        The first caller starts it.
        """
        with (shared / "postgresql").open("a+") as note:
            fcntl.flock(note, fcntl.LOCK_EX)
            note.seek(0)
            if not (folder := note.read()):
                folder = str(_start(process_id))
                note.write(folder)
        return cls(Path(folder))

    @classmethod
    def durable(cls, *, address: str = "") -> Cluster:
        """Start a server that keeps all commits when it is killed, and may listen at an address.

        It ends with this process.
        """
        return cls(_start(os.getpid(), options=f"listen_addresses = '{address}'\n", in_memory=False))

    def stop(self) -> None:
        """Stop the server in good order; it ends its connections."""
        _run(self._folder, "pg_ctl", "-w", "-m", "fast", "stop")

    def start(self) -> None:
        """Start the server again, and wait until it answers."""
        _run(self._folder, "pg_ctl", "-w", "-l", f"{self._folder}/log", "start")

    def kill(self) -> None:
        """Kill all processes of the server with SIGKILL."""
        processes = self._processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # it has ended with the first one
                process.kill()
        psutil.wait_procs(processes)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Stop all processes of the server with SIGSTOP; they go on afterwards."""
        processes = self._processes()
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def _processes(self) -> list[psutil.Process]:
        server = psutil.Process(int((self._folder / "data" / "postmaster.pid").read_text().split()[0]))
        return [server, *server.children(recursive=True)]

    def url(self, database: str, *, user: str = "cloudo") -> str:
        """Return the URL of a database."""
        return f"postgresql+psycopg://{user}@/{database}?host={self._folder}"

    def run(self, *statements: str) -> None:
        """Run statements that administer the server."""
        import psycopg

        with psycopg.connect(f"host={self._folder} user=cloudo dbname=postgres", autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """Create a database, and drop it afterwards; the value is its URL."""
        name = f"test_{uuid.uuid4().hex}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")


def _user() -> str | None:
    """Return the user that runs the server, None for this one: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    return next(one.pw_name for one in pwd.getpwall() if one.pw_name in ("postgres", "nobody"))


def _run(folder: Path, program: str, *arguments: str) -> None:
    command = [f"{_PROGRAMS}/{program}", "-D", f"{folder}/data", *arguments]
    subprocess.run(command, user=_user(), cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _start(process_id: int, *, options: str = _FAST, in_memory: bool = True) -> Path:
    has_room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _NEEDED_BYTES
    folder = Path(tempfile.mkdtemp(prefix="cloudo-postgresql-", dir=_MEMORY if in_memory and has_room else None))
    if (user := _user()) is not None:
        shutil.chown(folder, user)
        folder.chmod(0o711)
    _run(folder, "initdb", "-A", "trust", "-U", "cloudo", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
    (folder / "data" / "pg_hba.conf").write_text(_ACCESS)
    with (folder / "data" / "postgresql.conf").open("a") as settings:
        settings.write(f"unix_socket_directories = '{folder}'\nlisten_addresses = ''\nmax_connections = 300\n{options}")
    Cluster(folder).start()
    watch = ["sh", "-c", _AFTERWARDS, "sh", str(process_id), str(_PROGRAMS), str(folder)]
    subprocess.run(
        watch,
        user=user,
        cwd="/",
        check=True,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return folder


def is_installed() -> bool:
    """Return whether tests can use PostgreSQL. In CI they must."""
    return _PROGRAMS is not None or bool(os.environ.get("CI"))


def cluster(factory: pytest.TempPathFactory, worker_id: str) -> Cluster:
    """Return the server of this pytest run; skip the test where PostgreSQL is not installed."""
    if not is_installed():
        pytest.skip("tests marked `db` run on SQLite only; to run them on PostgreSQL too: apt-get install postgresql")
    is_alone = worker_id == "master"
    folder = factory.getbasetemp()
    return Cluster.shared(folder if is_alone else folder.parent, os.getpid() if is_alone else os.getppid())
