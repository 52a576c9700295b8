"""A real, small mail server (RFC 5321, 3207, 4954) that tests let Cloudo write to: it keeps what comes."""

from __future__ import annotations

import base64
import email
import email.policy
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage


@dataclass
class Mailbox:
    """What came so far, and how the server behaves."""

    host: str = "localhost"
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    receivers: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    #: With a context it offers STARTTLS, and takes a login with this password only.
    tls: ssl.SSLContext | None = None
    password: str | None = None
    #: So many times it says first that it is busy.
    busy: int = 0


@contextmanager
def mailbox(tls: ssl.SSLContext | None = None, password: str | None = None) -> Iterator[Mailbox]:
    """Listen until the block is left."""
    kept = Mailbox(tls=tls, password=password)

    class Handler(socketserver.StreamRequestHandler):
        def finish(self) -> None:
            self.rfile.close()
            self.wfile.close()

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            self.say("220 localhost")
            while line := self.rfile.readline().decode().strip():
                if not self.answer(line.split(" ")[0].upper(), line):
                    break
            if isinstance(self.request, ssl.SSLSocket):  # of which the server does not know
                self.request.close()

        def answer(self, verb: str, line: str) -> bool:
            if verb == "EHLO":
                is_plain = kept.tls is not None and not isinstance(self.request, ssl.SSLSocket)
                self.say("250-localhost")
                self.say("250-STARTTLS" if is_plain else "250-AUTH PLAIN" if kept.password else "250-8BITMIME")
                self.say("250 SMTPUTF8")
            elif verb == "STARTTLS" and kept.tls is not None:
                self.say("220 go ahead")
                self.finish()
                self.request = kept.tls.wrap_socket(self.request, server_side=True)
                self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)
            elif verb == "AUTH":
                _, name, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
                kept.logins.append(name)
                self.say("235 welcome" if password == kept.password else "535 wrong password")
            elif verb == "MAIL" and kept.busy:
                kept.busy -= 1
                self.say("451 busy")
            elif verb == "RCPT":
                is_refused = "nobody@" in line
                kept.receivers += [] if is_refused else [line.split("<")[1].split(">", maxsplit=1)[0]]
                self.say("550 there is no nobody" if is_refused else "250 fine")
            elif verb == "DATA":
                self.say("354 go ahead")
                lines = []
                while (text := self.rfile.readline()) != b".\r\n":
                    lines.append(text.removeprefix(b"."))
                kept.mails.append(email.message_from_bytes(b"".join(lines), policy=email.policy.default))
                self.say("250 taken")
            else:
                self.say("221 bye" if verb == "QUIT" else "250 fine")
            return verb != "QUIT"

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A caller that went away is no error of the test."""

    with Server(("127.0.0.1", 0), Handler) as server:
        kept.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield kept
        server.shutdown()
        thread.join()
