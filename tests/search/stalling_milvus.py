"""Milvus Lite's own server on loopback, reached as a cluster is, which stalls where it is told to."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from milvus_lite.adapter.grpc import server as milvus_server
from milvus_lite.adapter.grpc.servicer import MilvusServicer


class StallingMilvus(MilvusServicer):
    """Answers as Milvus Lite does, except for calls of the name `stalls_at`."""

    stalls_at = None
    released = threading.Event()

    def Search(self, request, context):  # noqa: N802
        self._stall("search")
        return super().Search(request, context)

    def Query(self, request, context):  # noqa: N802
        self._stall("query")
        return super().Query(request, context)

    def _stall(self, name):
        if StallingMilvus.stalls_at == name:
            StallingMilvus.released.wait(30)


@contextmanager
def served(folder, monkeypatch):
    """Yields the server and its address."""
    monkeypatch.setattr(milvus_server, "MilvusServicer", StallingMilvus)
    StallingMilvus.stalls_at, StallingMilvus.released = None, threading.Event()
    server, database, port = milvus_server.start_server_in_thread(str(folder / "milvus.db"))
    try:
        yield StallingMilvus, f"http://127.0.0.1:{port}"
    finally:
        StallingMilvus.released.set()
        server.stop(grace=2).wait()
        database.close()
