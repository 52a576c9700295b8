"""The kernels of dashboard pages: one per page, which ends with its page.

A closing page sends a beacon, which is quick but unreliable (a browser that crashes sends none). Each kernel is
therefore also watched, and ends after a while without a connection.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from jupyter_core.paths import jupyter_runtime_dir
from jupyter_core.utils import ensure_async
from jupyter_server.serverapp import WILDCARD_IPS, ServerApp
from tornado.web import HTTPError
from voila.tornado.execution_request_handler import ExecutionRequestHandler

#: Timeout for a page to connect to its kernel: enough for a cold browser on a busy machine.
_FIRST_SECONDS: Final = 60.0
#: Timeout for a page to reconnect, such as after a reload or a change of network.
_AWAY_SECONDS: Final = 20.0
_POLL_INTERVAL_SECONDS: Final = 2.0


class PageKernels:
    """Starts kernels for pages and ends those that no page uses any more."""

    def __init__(self, server_app: ServerApp, *, workspace: Path, mint_token: Callable[[str], str]) -> None:
        self._server = server_app
        self._workspace = workspace
        self._mint_token = mint_token
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._folder: Path | None = None

    async def start(self, kernel_name: str, *, user_name: str) -> str:
        """Start a kernel in the workspace that calls this server as the user. Return the kernel's id."""
        token_file = self._write_token(user_name)
        env = {**os.environ, "CLOUDO_URL": self._url(), "CLOUDO_TOKEN_FILE": str(token_file)}
        try:
            self._workspace.mkdir(parents=True, exist_ok=True)
            kernel_id: str = await ensure_async(
                self._kernels.start_kernel(kernel_name=kernel_name, cwd=str(self._workspace), env=env)
            )
        except BaseException:
            token_file.unlink(missing_ok=True)
            raise
        # A kernel restarted after a crash is empty and of no use to its page.
        watch = self._watches[kernel_id] = asyncio.create_task(self._watch(kernel_id, token_file))
        self._kernels.add_restart_callback(kernel_id, watch.cancel, "restart")
        return kernel_id

    async def end(self, kernel_id: str) -> None:
        """End a kernel, if it still runs."""
        ExecutionRequestHandler._execution_data.pop(kernel_id, None)
        if kernel_id in self._kernels:
            await ensure_async(self._kernels.shutdown_kernel(kernel_id, now=True))

    @property
    def _kernels(self) -> Any:
        return self._server.kernel_manager

    async def _watch(self, kernel_id: str, token_file: Path) -> None:
        """Wait until the kernel has ended or no page has been connected for too long; then clean up."""
        seen_at, patience = time.monotonic(), _FIRST_SECONDS
        try:
            while time.monotonic() - seen_at < patience:
                await asyncio.sleep(_POLL_INTERVAL_SECONDS)
                try:
                    is_used = self._kernels.kernel_model(kernel_id)["connections"] > 0
                except HTTPError:  # it has ended
                    return
                if is_used:
                    seen_at, patience = time.monotonic(), _AWAY_SECONDS
        finally:
            token_file.unlink(missing_ok=True)
            self._watches.pop(kernel_id, None)
            await self.end(kernel_id)

    def _write_token(self, user_name: str) -> Path:
        """Write the token to a file of the user's own. The kernel's children would inherit a variable."""
        if self._folder is None:
            runtime = Path(jupyter_runtime_dir())
            runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix="cloudo-", dir=runtime))
            atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        descriptor, path = tempfile.mkstemp(dir=self._folder)  # mode 0600
        with os.fdopen(descriptor, "w") as file:
            file.write(self._mint_token(user_name))
        return Path(path)

    def _url(self) -> str:
        """Return the server's URL for processes on this machine."""
        server = self._server
        if server.sock:
            return str(server.connection_url)
        host = "127.0.0.1" if server.ip in ("", *WILDCARD_IPS) else server.ip
        host = f"[{host}]" if ":" in host else host
        return f"{'https' if server.certfile else 'http'}://{host}:{server.port}{server.base_url}"
