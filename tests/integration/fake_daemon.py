# SPDX-License-Identifier: Apache-2.0
"""A daemon made of canned answers, for what the real one does not do on request.

It speaks docs/socket.md over a Unix socket: answers that come slowly, in pieces or not at
all, refusals of every kind, garbage, and a connection that ends in the middle.
"""
import os
import socket
import threading

import msgpack


class Refusal(Exception):
    """Raised by a handler: becomes the error of the response."""

    def __init__(self, code, message, detail=None):
        super().__init__(message)
        self.error = {"code": code, "message": message}
        if detail is not None:
            self.error["detail"] = detail


class HangUp(Exception):
    """Raised by a handler: the connection ends without a response."""


class Connection:
    """What a handler sees of the connection that a request came on."""

    def __init__(self, daemon, sock, msgid):
        self.daemon = daemon
        self.sock = sock
        self.msgid = msgid

    def send(self, data):
        self.sock.sendall(data)

    def notify(self, method, **params):
        self.send(msgpack.packb([2, method, [{"request": self.msgid, **params}]]))

    def wait_for(self, method, timeout=10):
        """Wait until the client calls another method; True when it did."""
        return self.daemon.called(method).wait(timeout)


class FakeDaemon:
    """handlers: method name -> function(connection, params) that returns the result.

    `calls` holds (method, params) in the order in which they came.
    """

    def __init__(self, path, handlers):
        self.path = str(path)
        self.handlers = handlers
        self.calls = []
        self.errors = []
        self.concurrent = True  # else a request is answered before the next one is taken
        self._events = {}
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._connections = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        for sock in [self._listener, *self._connections]:
            self._hang_up(sock)
            sock.close()
        for thread in self._threads:
            thread.join(10)
        if os.path.exists(self.path):
            os.unlink(self.path)
        if self.errors:
            raise self.errors[0]

    def called(self, method):
        """An event that is set once the method was called."""
        with self._lock:
            return self._events.setdefault(method, threading.Event())

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock):
        unpacker = msgpack.Unpacker(raw=False)
        while True:
            try:
                data = sock.recv(65536)
            except OSError:
                return
            if not data:
                return
            unpacker.feed(data)
            for message in unpacker:
                thread = threading.Thread(target=self._answer, args=(sock, message), daemon=True)
                thread.start()
                if not self.concurrent:
                    thread.join()

    @staticmethod
    def _hang_up(sock):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended already
            pass

    def _answer(self, sock, message):
        kind, msgid, method, params = message
        assert kind == 0
        params = params[0] if params else {}
        with self._lock:
            self.calls.append((method, params))
        self.called(method).set()
        error = result = None
        try:
            handler = self.handlers.get(method)
            if handler is None:
                raise Refusal("METHOD", f"there is no method {method}")
            result = handler(Connection(self, sock, msgid), params)
        except Refusal as refusal:
            error = refusal.error
        except OSError:  # the client went first, or close() came
            return
        except HangUp:
            self._hang_up(sock)
            return
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append(error)  # close() raises it where the test sees it
            self._hang_up(sock)
            return
        try:
            sock.sendall(msgpack.packb([1, msgid, error, result]))
        except OSError:
            pass
