"""A real HTTP server on loopback that speaks the chat-completions protocol, and can speak it badly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """What the server sends; `stall_s` keeps the socket open without a word, `drip` with blanks."""

    text: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    finish_reason: str = "stop"
    stall_s: float = 0.0
    drip: bool = False
    break_off: bool = False


def refusal(status: int, message: str, **headers: str) -> Answer:
    body = json.dumps({"error": {"message": message, "type": "error", "code": None}})
    return Answer(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


class ChatServer:
    """Answers with `behave(request, number)`; keeps what it was sent, and when."""

    def __init__(self, behave: Callable[[dict[str, Any], int], Answer], count_tokens: Callable[[str], int] = len):
        self.behave = behave
        self.count_tokens = count_tokens
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.input_tokens = self.output_tokens = 0
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                outer.serve(self)

            def log_message(self, *words):
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # clients that are killed break connections off

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self) -> ChatServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def calls(self) -> int:
        return len(self.requests)

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        request = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
            self.times.append(time.monotonic())
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self._send(handler, request, self.behave(request, number))
        finally:
            with self._lock:
                self._at_once -= 1

    def _send(self, handler: BaseHTTPRequestHandler, request: dict[str, Any], answer: Answer) -> None:
        if answer.stall_s:
            self._closing.wait(answer.stall_s)
            handler.close_connection = True
            return
        body = (answer.body if answer.body is not None else self._completion(request, answer)).encode()
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Type", "application/json")
        if answer.drip:
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            while not self._closing.wait(0.05):
                handler.wfile.write(b"1\r\n \r\n")
            return
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2] if answer.break_off else body)
        handler.close_connection = answer.break_off

    def _completion(self, request: dict[str, Any], answer: Answer) -> str:
        prompt = sum(self.count_tokens(message["content"]) + 4 for message in request["messages"])
        written = self.count_tokens(answer.text)
        with self._lock:
            self.input_tokens += prompt
            self.output_tokens += written
        message = {"role": "assistant", "content": answer.text}
        return json.dumps(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 0,
                "model": request["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
                "usage": {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written},
            }
        )
