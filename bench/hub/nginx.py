"""The contender in C: nginx with nchan, unprivileged, all of its files in a folder that goes with it."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil

from bench.hub.board import board
from bench.hub.peers import PeerMissing, nchan

START_S: Final = 10.0
_CONFIG: Final = """\
load_module {module};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 19000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  nchan_shared_memory_size 256M;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /sub {{
      nchan_subscriber websocket;
      nchan_channel_id board;
      nchan_subscriber_first_message newest;
      nchan_websocket_ping_interval 0;
    }}
    location = /pub {{
      nchan_publisher http;
      nchan_channel_id board;
      nchan_message_buffer_length 1;
    }}
  }}
}}
"""


class Nginx:
    """One running nginx; `pid` is its one worker, which does the work. Raises PeerMissing."""

    def __init__(self) -> None:
        program, module = nchan()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self._folder = Path(tempfile.mkdtemp(prefix="bench-nginx-"))
        self._folder.chmod(0o755)  # started by root, its worker is nobody
        config = self._folder / "nginx.conf"
        config.write_text(_CONFIG.format(module=module, folder=self._folder, port=self.port))
        self._process = subprocess.Popen(
            [str(program), "-p", str(self._folder), "-c", str(config), "-e", str(self._folder / "error.log")],
            stderr=subprocess.DEVNULL,
        )
        self._payload = board().json
        try:
            self._publisher = self._connected()
            self.pid = psutil.Process(self._process.pid).children()[0].pid
        except BaseException:
            self.stop()
            raise

    def _connected(self) -> http.client.HTTPConnection:
        until = time.monotonic() + START_S
        while True:
            publisher = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                publisher.connect()
            except ConnectionError:
                if time.monotonic() > until or self._process.poll() is not None:
                    log = self._folder / "error.log"
                    words = log.read_text().strip().splitlines() if log.exists() else []
                    raise PeerMissing(f"nginx did not start: {words[-1] if words else 'no word of why'}") from None
                time.sleep(0.05)
            else:
                return publisher

    def prepare(self) -> None:
        """Nothing: there is no garbage to collect."""

    def fire(self) -> None:
        """One message to all subscribers, over the publisher's own connection."""
        self._publisher.request("POST", "/pub", self._payload, {"Content-Type": "application/json"})
        answer = self._publisher.getresponse()
        answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"nchan answered {answer.status} to a message")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
