"""A kernel that binds `transport://ip:port` whatever the transport is, as the kernels of R and Go do."""

from __future__ import annotations

from typing import Any

from ipykernel.kernelapp import IPKernelApp


class TcpKernelApp(IPKernelApp):
    """ipykernel's application with the addresses of those kernels."""

    def _try_bind_socket(self, s: Any, port: int) -> int:
        s.bind(f"{self.transport}://{self.ip}:{port}")
        return port


if __name__ == "__main__":
    TcpKernelApp.launch_instance()
