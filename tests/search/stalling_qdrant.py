"""A Qdrant server on loopback that answers from a local collection, and stalls where it is told to."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from qdrant_client import QdrantClient, models


class StallingQdrant:
    """Speaks as much of Qdrant's HTTP as reading and searching need; `stalls_at` is the end of a path."""

    def __init__(self, folder):
        self.client = QdrantClient(path=str(folder), force_disable_check_same_thread=True)
        self.stalls_at = None
        self.searches = 0
        self.released = threading.Event()
        self.lock = threading.Lock()

    def answer(self, path, body):
        """Returns what the server says to a request."""
        name = path.split("/")[2]
        if path.endswith("/exists"):
            return {"exists": self.client.collection_exists(name)}
        if path.endswith("/scroll"):
            words = {"limit": body["limit"], "offset": body.get("offset"), "with_payload": body["with_payload"]}
            records, following = self.client.scroll(name, **words, with_vectors=body["with_vector"])
            return {"points": [record.model_dump() for record in records], "next_page_offset": following}
        if path.endswith("/query/batch"):
            self.searches += 1
            requests = [models.QueryRequest(**search) for search in body["searches"]]
            return [found.model_dump() for found in self.client.query_batch_points(name, requests=requests)]
        if path.endswith("/points"):
            records = self.client.retrieve(name, body["ids"], with_payload=["id"], with_vectors=True)
            return [record.model_dump() for record in records]
        return self.client.get_collection(name).model_dump(mode="json")


@contextmanager
def served(folder):
    """Yields the server and its address."""
    qdrant = StallingQdrant(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.reply(body)

        def do_GET(self):
            self.reply(None)

        def reply(self, body):
            path = self.path.split("?")[0]
            if qdrant.stalls_at is not None and path.endswith(qdrant.stalls_at):
                qdrant.released.wait(30)
                return
            with qdrant.lock:
                content = json.dumps({"result": qdrant.answer(path, body), "status": "ok", "time": 0.0}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield qdrant, f"http://127.0.0.1:{server.server_port}"
    finally:
        qdrant.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
        qdrant.client.close()
