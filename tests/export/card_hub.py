"""A small Hugging Face Hub on loopback that takes commits: the write API that huggingface_hub speaks."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.loopback import serving


@dataclass
class WritableHub:
    """Repositories by name, each path → content; a commit to one whose name ends in -full gets 403."""

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    commits: int = 0
    url: str = ""

    @contextmanager
    def running(self) -> Iterator[WritableHub]:
        with serving(type("Handler", (_Handler,), {"hub": self})) as self.url:
            yield self


class _Handler(BaseHTTPRequestHandler):
    hub: WritableHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.send(200, {})

    def do_GET(self) -> None:
        self.send(200, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        path = self.path.partition("?")[0]
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            self.hub.repos.setdefault(name, {})
            self.hub.private.setdefault(name, asked.get("visibility") == "private")
            self.send(200, {"url": f"{self.hub.url}/{name}", "id": name})
        elif path == "/api/validate-yaml":
            self.send(200, {"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = [{"path": file["path"], "uploadMode": "regular"} for file in json.loads(body)["files"]]
            self.send(200, {"files": [file | {"shouldIgnore": False} for file in files]})
        elif "/commit/" in path:
            self.commit(path.split("/api/models/")[1].split("/commit/")[0], body)
        else:
            self.send(404, {"error": f"unknown {path}"})

    def commit(self, name: str, body: bytes) -> None:
        if name.endswith("-full"):
            self.send(403, {"error": "no"})
            return
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.hub.repos[name][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        self.hub.commits += 1
        oid = "c0ffee" * 6 + "c0de"
        self.send(200, {"commitOid": oid, "commitUrl": f"{self.hub.url}/{name}/commit/{oid}", "success": True})

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass

    def send(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
