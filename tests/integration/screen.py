# SPDX-License-Identifier: Apache-2.0
"""A program on a terminal of its own, and what a person would see there."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

PATIENCE_S = float(os.environ.get("WHOCAN_PATIENCE_S", "60"))

SEQUENCE = re.compile(r"\x1b\[(\d*)([A-Za-z])")


class Screen:
    """As much of a terminal as the command uses: it fails on anything else."""

    def __init__(self, columns=80):
        self.columns = columns
        self.lines = [""]
        self.row = self.column = 0

    def _put(self, character):
        assert self.column < self.columns, "a line is wider than the screen"
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[:self.column] + character + line[self.column + 1:]
        self.column += 1

    def _sequence(self, number, letter):
        if letter == "A":
            self.row -= int(number or 1)
            assert self.row >= 0, "moved above the first line"
        elif letter == "J":
            self.lines[self.row] = self.lines[self.row][:self.column]
            del self.lines[self.row + 1:]
        elif letter == "K":
            self.lines[self.row] = self.lines[self.row][:self.column]
        else:
            assert letter == "m", f"a terminal sequence that is not expected: {letter}"

    def feed(self, text):
        """Take what is whole; returns what must wait for more."""
        at = 0
        while at < len(text):
            character = text[at]
            if character == "\x1b":
                found = SEQUENCE.match(text, at)
                if not found:
                    return text[at:]
                self._sequence(*found.groups())
                at = found.end()
                continue
            if character == "\n":
                self.row += 1
                if self.row == len(self.lines):
                    self.lines.append("")
            elif character == "\r":
                self.column = 0
            else:
                assert character >= " ", f"a control character: {character!r}"
                self._put(character)
            at += 1
        return ""

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.lines).rstrip("\n")


class Terminal:
    """Runs a command with all of its descriptors on a terminal (or some: stdout, stderr)."""

    def __init__(self, command, environment, stdout=True, stderr=True, rows=24, columns=80):
        try:
            self.master, slave = pty.openpty()
        except OSError as error:
            raise unittest.SkipTest(f"this machine has no terminals to give: {error}") from error
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen = Screen(columns)
        self.raw = ""
        self._rest = ""
        self._bytes = b""
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave if stdout else subprocess.PIPE,
            stderr=slave if stderr else subprocess.PIPE, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**environment, "TERM": "xterm-256color"})
        os.close(slave)

    def _read(self, timeout_s):
        if not select.select([self.master], [], [], timeout_s)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the other end is closed
            data = b""
        self._bytes += data
        text = self._bytes.decode(errors="ignore") if data else self._bytes.decode()
        self._bytes = b"" if not data else self._bytes[len(text.encode()):]
        self.raw += text
        self._rest = self.screen.feed(self._rest + text)
        return bool(data)

    def until(self, text):
        """Wait until the screen shows a text."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.screen.text:
            assert time.monotonic() < deadline, f"{text!r} never appeared:\n{self.screen.text}"
            assert self._read(1) or text in self.screen.text, f"ended without {text!r}:\n{self.screen.text}"
        return self

    def type(self, text):
        os.write(self.master, text.encode())
        return self

    def interrupt(self):
        os.killpg(self.process.pid, signal.SIGINT)

    def echoes(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def end(self):
        """Wait for its end; the exit status."""
        deadline = time.monotonic() + PATIENCE_S
        while self._read(1):
            assert time.monotonic() < deadline, f"did not end:\n{self.screen.text}"
        status = self.process.wait(PATIENCE_S)
        assert self._rest == "", f"an unfinished sequence: {self._rest!r}"
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        os.close(self.master)
