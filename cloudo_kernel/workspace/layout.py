"""The layout of a workspace, and its user's name. Finds and names folders; creates them only on request."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass, field
from pathlib import Path

from cloudo_kernel.errors import WorkspaceNotFound
from cloudo_kernel.security import outbound_http


@dataclass(frozen=True)
class Workspace:
    """A folder with `flows/`, `executions/`, maybe `dashboards/`, and the hidden `.cloudo/`."""

    root: Path
    #: Networks of this machine and private networks that notifications of flows and schedules may call.
    allowed_private_networks: tuple[outbound_http.Network, ...] = field(
        default_factory=outbound_http.networks_of_environment
    )

    @property
    def flows(self) -> Path:
        """Return the folder of the workspace's own flows."""
        return self.root / "flows"

    @property
    def dashboards(self) -> Path:
        """Return the folder of people's own dashboards."""
        return self.root / "dashboards"

    @property
    def executions(self) -> Path:
        """Return the folder of the executed notebooks."""
        return self.root / "executions"

    @property
    def state(self) -> Path:
        """Return the folder of the database and of the workers' files."""
        return self.root / ".cloudo"

    @property
    def database_url(self) -> str:
        """Return the URL of the store: `CLOUDO_DATABASE_URL`, else SQLite below the workspace."""
        return os.environ.get("CLOUDO_DATABASE_URL") or f"sqlite:///{self.state / 'cloudo.sqlite'}"

    @property
    def key_file(self) -> Path:
        """Return the key file, which seals secrets: `CLOUDO_KEY_FILE`, else one below the workspace.

        Workspaces that share a store, such as those of several servers, need the same key file.
        """
        return Path(os.environ.get("CLOUDO_KEY_FILE") or self.state / "key")

    def create(self) -> None:
        """Create the folders; only the owner can read `.cloudo/`."""
        self.flows.mkdir(parents=True, exist_ok=True)
        self.state.mkdir(mode=0o700, exist_ok=True)
        ignore = self.state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")

    @classmethod
    def at(cls, folder: str | Path | None) -> Workspace:
        """Return the workspace in an existing folder, or without one that of `find`. Raises `WorkspaceNotFound`."""
        if folder is None:
            return cls.find()
        root = Path(folder).expanduser().resolve()
        if not root.is_dir():
            raise WorkspaceNotFound(str(root))
        return cls(root)

    @classmethod
    def find(cls, start: Path | None = None) -> Workspace:
        """Return `CLOUDO_WORKSPACE`, else the nearest folder from `start` upwards that contains `.cloudo/`.

        Raises `WorkspaceNotFound`.
        """
        if start is None and (named := os.environ.get("CLOUDO_WORKSPACE")):
            return cls(Path(named).expanduser().resolve())
        here = (start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if (folder / ".cloudo").is_dir():
                return cls(folder)
        raise WorkspaceNotFound(str(here))


def executed_notebook(flow_name: str | None, execution_id: str) -> str:
    """Return the path of an executed notebook below the workspace; a script has no flow name."""
    return f"executions/{flow_name or '_script'}/{execution_id}.ipynb"


def default_user_name() -> str:
    """Return the login name of the operating system's user, for where no server provides a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return f"user-{os.getuid()}"
