"""Repositories by HTTP, as GitHub and GitLab serve private ones: who has no token is refused."""

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.repository import ENVIRONMENT


@contextmanager
def served(folder: Path, token: str) -> Iterator[str]:
    """Serves the bare repositories of a folder; returns the server's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, _, credentials = self.headers.get("Authorization", "").partition(" ")
            if kind != "Basic" or base64.b64decode(credentials).decode().split(":")[1] != token:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="repositories"')
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            variables = {
                "GIT_PROJECT_ROOT": str(folder),
                "GIT_HTTP_EXPORT_ALL": "yes",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REMOTE_USER": "somebody",
                "REQUEST_METHOD": self.command,
            }
            completed = subprocess.run(
                ["git", "http-backend"],
                input=self.body(),
                env={**os.environ, **ENVIRONMENT, **variables},
                check=True,
                capture_output=True,
            )
            head, _, body = completed.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the names are the library's

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            return b"".join(chunks)

        def log_message(self, *_: object) -> None:
            """Keeps quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
