"""Stands in for a kernel that the fork server made, so that whoever started it sees an ordinary process.

Run as `python -I -S fork_client.py SOCKET ARGUMENTS...`. Signals are passed on; the kernel's end is this process's end,
and the end of this process, even by kill -9, is the kernel's.
"""

import json
import os
import select
import signal
import socket
import sys


def main() -> int:
    parent = os.getppid()
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(sys.argv[1])
    except OSError:
        return 1
    request = {"argv": sys.argv[2:], "env": dict(os.environ), "cwd": os.getcwd()}
    server.sendall(json.dumps(request).encode() + b"\n")
    signal.signal(signal.SIGINT, lambda *_: server.sendall(b"I"))
    signal.signal(signal.SIGTERM, lambda *_: server.sendall(b"T"))
    answer = b""
    while not answer.endswith(b"\n"):
        readable, _, _ = select.select([server], [], [], 0.5)
        if os.getppid() != parent:
            return 1
        if readable:
            try:
                chunk = server.recv(100)
            except OSError:
                return 1
            if not chunk:
                return 1
            answer += chunk
    code = int(answer)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main())
