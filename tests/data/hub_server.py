"""A small Hugging Face Hub on loopback: the file API that huggingface_hub speaks, over a local folder."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.loopback import serving

_API = re.compile(r"/api/datasets/([^/]+/[^/]+)/(revision|tree)/([^/?]+)")
_FILE = re.compile(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass
class Hub:
    """Datasets by name, each a folder; `cut_after` breaks the connection inside every longer file."""

    datasets: dict[str, Path]
    cut_after: int | None = None
    url: str = ""
    requests: list[str] = field(default_factory=list)

    def commit(self, name: str) -> str:
        return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()

    def revisions(self, name: str) -> dict[str, str]:
        return {"main": self.commit(name), "v1": self.commit(name), self.commit(name): self.commit(name)}

    @contextmanager
    def running(self, port: int = 0) -> Iterator[Hub]:
        with serving(type("Handler", (_Handler,), {"hub": self}), port) as self.url:
            yield self


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        self.hub.requests.append(f"{self.command} {self.path} {self.headers.get('Range', '')}".strip())

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if api := _API.fullmatch(path):
            self.answer_api(*api.groups())
        elif file := _FILE.fullmatch(path):
            self.answer_file(*file.groups())
        else:
            self.send(200 if path == "/" else 404, b"")

    def commit_of(self, name: str, revision: str) -> str | None:
        if name not in self.hub.datasets:
            self.send(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif revision not in self.hub.revisions(name):
            self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        else:
            return self.hub.revisions(name)[revision]
        return None

    def answer_api(self, name: str, what: str, revision: str) -> None:
        commit = self.commit_of(name, revision)
        if commit is None:
            return
        folder = self.hub.datasets[name]
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = {str(path.relative_to(folder)): path for path in files}
        if what == "revision":
            body: object = {"id": name, "sha": commit, "siblings": [{"rfilename": one} for one in names]}
        else:
            body = [
                {"type": "file", "path": one, "size": path.stat().st_size, "oid": _oid(path)}
                for one, path in names.items()
            ]
        self.send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def answer_file(self, name: str, revision: str, file: str) -> None:
        commit = self.commit_of(name, revision)
        if commit is None:
            return
        path = self.hub.datasets[name] / file
        if not path.is_file():
            self.send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        content = path.read_bytes()
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_oid(path)}"', "Accept-Ranges": "bytes"}
        start = re.fullmatch(r"bytes=(\d+)-\d*", self.headers.get("Range", ""))
        if start:
            headers["Content-Range"] = f"bytes {start[1]}-{len(content) - 1}/{len(content)}"
            self.send(206, content[int(start[1]) :], headers)
        else:
            self.send(200, content, headers)

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.hub.cut_after
        if cut is not None and len(body) > cut:
            self.wfile.write(body[:cut])
            self.wfile.flush()
            self.close_connection = True
        else:
            self.wfile.write(body)


def _oid(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
