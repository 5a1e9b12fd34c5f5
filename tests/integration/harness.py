# SPDX-License-Identifier: Apache-2.0
"""Starts real daemons for tests, and talks to them.

    class Some(harness.Case):
        def test_it(self):
            leeds = self.daemon("leeds")             # a running whocand that stands alone
            with leeds.client() as c:                # MessagePack-RPC by Debian's python3-msgpack
                c.call("people.find", query="blog")

            a, b, c = self.offices("leeds", "york", "hull")    # one organisation, all linked

Everything lives in one directory that is removed at the end of each test, every daemon listens on
free ports of loopback, and nothing waits by sleeping: wait() looks at a condition until it holds or
a deadline passes. When a test fails, the logs of its daemons are printed.
"""
import contextlib
import itertools
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import msgpack

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("WHOCAN_BUILD", ROOT / "build" / "dev"))
WHOCAND = BUILD / "daemon" / "whocand"
WHOCAN = BUILD / "cli" / "whocan"

# Sanitizers and valgrind are slow, and so is a machine with much to do: how long a condition may take
# that normally holds at once. No test measures time with it.
PATIENCE_S = float(os.environ.get("WHOCAN_PATIENCE_S", "60"))

REQUEST, RESPONSE, NOTIFICATION = 0, 1, 2


def wait(condition, what, patience_s=None, alive=()):
    """Call condition() until it gives something true, and return that. Fails when the deadline passes
    or when one of the daemons in `alive` ends."""
    patience_s = PATIENCE_S if patience_s is None else patience_s
    deadline = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        for daemon in alive:
            if daemon.process.poll() is not None:
                raise AssertionError(f"{daemon.name} ended while waiting for {what}")
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience_s:g} s: {what} (last: {value!r})")
        time.sleep(0.01)  # between two looks at the condition


class RpcError(Exception):
    """An error response. code, message and detail are as docs/socket.md has them."""

    def __init__(self, error):
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.code = error.get("code")
        self.message = error.get("message")
        self.detail = error.get("detail", {})


class Client:
    """One connection to the socket. call() waits for its response; send() and receive() do one half."""

    def __init__(self, path, patience_s=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.connect(str(path))  # blocks while the queue of the listener is full
        except OSError:
            self.socket.close()
            raise
        self.socket.settimeout(PATIENCE_S if patience_s is None else patience_s)
        self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
        self.last_id = 0
        self.notifications = []  # (method, params) in the order in which they came

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send(self, method, params=None, msgid=None):
        """Send a request and return its id. params: a dict, or a list to be sent as it is."""
        if msgid is None:
            self.last_id += 1
            msgid = self.last_id
        if params is None:
            params = []
        elif isinstance(params, dict):
            params = [params]
        self.send_bytes(msgpack.packb([REQUEST, msgid, method, params]))
        return msgid

    def receive(self):
        """The next message, or None at the end of the connection."""
        while True:
            for message in self.unpacker:
                return message
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:  # it closed before it had read all that was sent
                return None
            if not data:
                return None
            self.unpacker.feed(data)

    def response(self, msgid=None):
        """The next response (of that id). Notifications on the way are kept in .notifications."""
        while True:
            message = self.receive()
            if message is None:
                raise ConnectionError("the daemon closed the connection")
            if message[0] == NOTIFICATION:
                self.notifications.append((message[1], message[2][0]))
            elif message[1] is None:  # the last word of a connection that is being closed
                raise RpcError(message[2])
            elif msgid is None or message[1] == msgid:
                return message
            else:
                raise AssertionError(f"a response to {message[1]}, not to {msgid}")

    def call(self, method, **params):
        """The result of a request; RpcError when it is an error."""
        message = self.response(self.send(method, params))
        if message[2] is not None:
            raise RpcError(message[2])
        return message[3]

    def ask(self, text, wait_ms=None):
        """ask.create: the list of its ask.answer notifications, and the result."""
        params = {"text": text}
        if wait_ms is not None:
            params["wait_ms"] = wait_ms
        before = len(self.notifications)
        result = self.call("ask.create", **params)
        return [p for m, p in self.notifications[before:] if m == "ask.answer"], result


class Daemon:
    """A whocand with a state directory, a socket and a log of its own."""

    def __init__(self, case, name, flags=(), config=None, listen="127.0.0.1:0", environment=None,
                 user=None, wrapper=(), log_level="debug"):
        self.case = case
        self.name = name
        self.directory = case.directory / name
        self.directory.mkdir(mode=0o755, exist_ok=True)
        self.state = self.directory / "state"
        self.socket = self.directory / "s"
        self.log_path = self.directory / "log"
        self.config_path = self.directory / "whocan.conf"
        self.config_path.write_text(config or "[whocan]\n")
        self.flags = list(flags)
        self.listen = listen
        self.environment = dict(environment or {})
        self.user = user  # (uid, gid) to run as
        self.wrapper = list(wrapper)  # a command to run it under
        self.log_level = log_level
        self.process = None

    def command(self, *more):
        command = [*self.wrapper, str(WHOCAND), "--config", str(self.config_path), "--state", str(self.state),
                   "--socket", str(self.socket), "--office", self.name, "--log-level", self.log_level,
                   "--vocabulary", "none"]  # whatever the machine has
        if self.listen:
            command += ["--listen", self.listen]
        return [*command, *self.flags, *more]

    def spawn(self, *more):
        """Start it and do not wait until it is ready."""
        environment = {k: v for k, v in os.environ.items()
                       if not k.startswith(("WHOCAN_", "XDG_", "NOTIFY_", "LISTEN_", "JOURNAL_", "WATCHDOG_"))}
        environment.update(self.environment)
        log = self.log_path.open("ab")
        how = {}
        if self.user:
            os.chown(self.directory, *self.user)
            how = {"user": self.user[0], "group": self.user[1], "extra_groups": []}
        with log:
            self.process = subprocess.Popen(self.command(*more), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment, start_new_session=True, **how)
        return self

    def start(self, *more):
        """Start it and wait until it answers on its socket."""
        self.spawn(*more)
        wait(self.answers, f"{self.name} answers", alive=[self])
        if self.listen == "127.0.0.1:0":
            self.listen = self.address()  # and the same after a restart, where the others expect it
        return self

    def answers(self):
        try:
            with self.client() as client:
                client.call("office.show")
        except (OSError, ConnectionError, RpcError):
            return False
        return True

    def client(self, **more):
        return Client(self.socket, **more)

    def call(self, method, **params):
        """One request on a connection of its own."""
        with self.client() as client:
            return client.call(method, **params)

    def connections(self):
        """How many connections to its socket are open, on its side."""
        lines = [line.split() for line in pathlib.Path("/proc/net/unix").read_text().splitlines()]
        return sum(len(w) > 7 and w[7] == str(self.socket) and w[5] == "03" for w in lines)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def signal(self, number):
        self.process.send_signal(number)

    def ended(self, patience_s=None):
        """Wait for its end and return its exit status."""
        return self.process.wait(PATIENCE_S if patience_s is None else patience_s)

    def stop(self):
        """SIGTERM; its end must be clean."""
        self.signal(signal.SIGTERM)
        status = self.ended()
        if status != 0:
            raise AssertionError(f"{self.name} ended with {status}")

    def kill(self):
        self.signal(signal.SIGKILL)
        self.ended()

    def restart(self, *more):
        self.stop()
        return self.start(*more)

    # ---- looking ----

    def status(self):
        return self.call("node.status")

    def offices(self):
        return {o["name"]: o for o in self.call("offices.list")["offices"]}

    def address(self):
        """HOST:PORT on which other offices reach it: the one of its log, because its card may be a moment behind."""
        port = re.findall(r"listening on \S+, port (\d+)", self.log())[-1]
        return f"127.0.0.1:{port}"

    def people(self, **params):
        """Everybody of an office, as rows by handle."""
        with self.client() as client:
            client.call("people.export", **params)
            return {row["handle"]: row for _, p in client.notifications for row in p["people"]}

    def handles(self, query, **params):
        return [p["handle"] for p in self.call("people.find", query=query, **params)["people"]]

    def import_rows(self, rows, batch=200):
        """people.import in batches; nothing may be refused."""
        with self.client() as client:
            for at in range(0, len(rows), batch):
                result = client.call("people.import", rows=rows[at:at + batch])
                if result["refused"]:
                    raise AssertionError(f"refused: {result['refused'][:3]}")


class Organisation:
    """An organisation's key file, and invitations by the whocan command."""

    def __init__(self, directory, name="Borough Council"):
        self.key = directory / "organisation.key"
        self.passphrase = directory / "passphrase"
        self.passphrase.write_text("correct horse battery staple\n")
        self.passphrase.chmod(0o600)
        self._run("org", "create", name)

    def _run(self, *words):
        done = subprocess.run([str(WHOCAN), *words, "--key", str(self.key), "--passphrase-file", str(self.passphrase)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=PATIENCE_S, check=False)
        if done.returncode != 0:
            raise AssertionError(f"whocan {' '.join(words)}: {done.stderr}")
        return done.stdout

    def run(self, *words):
        """What a command of whocan with the key file says on standard output."""
        return self._run(*words)

    def invite(self, office, *flags):
        """The line that an office joins with."""
        lines = [line for line in self._run("org", "invite", office, *flags).splitlines()
                 if line.startswith("whocan-invite-1:")]
        if len(lines) != 1:
            raise AssertionError(f"no invitation in what whocan org invite {office} said")
        return lines[0]


class Case(unittest.TestCase):
    """A test with daemons."""

    def setUp(self):
        # short, because the path of a Unix socket has 107 bytes at most
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="whocan-"))
        self.directory.chmod(0o755)
        self.daemons = []
        self.addCleanup(self._clean_up)

    def _clean_up(self):
        for daemon in self.daemons:
            if daemon.process and daemon.process.poll() is None:
                daemon.process.kill()
                daemon.process.wait()
        if self._failed():
            for daemon in self.daemons:
                print(f"--- log of {daemon.name}\n{daemon.log()[-20000:]}", file=sys.stderr)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _failed(self):
        result = getattr(self._outcome, "result", None)
        problems = getattr(result, "failures", []) + getattr(result, "errors", [])
        old = getattr(self._outcome, "errors", [])  # until Python 3.10 they are collected here first
        return any(test is self for test, _ in problems) or any(error for _, error in old)

    def new_daemon(self, name, **how):
        """A daemon that is not started yet."""
        daemon = Daemon(self, name, **how)
        self.daemons.append(daemon)
        return daemon

    def daemon(self, name="leeds", **how):
        """A running daemon that stands alone."""
        return self.new_daemon(name, **how).start()

    def organisation(self, name="Borough Council"):
        return Organisation(self.directory, name)

    def offices(self, *names, organisation=None, linked=True, **how):
        """Running daemons of one organisation, each told where the ones before it listen. They know each
        other, and with `linked` have links to all others."""
        organisation = organisation or self.organisation()
        daemons, joins = [], []
        for name in names:
            flags = [*how.get("flags", ()), *joins]
            daemon = self.daemon(name, **{**how, "flags": flags})
            daemon.call("office.join", invite=organisation.invite(name))
            joins += ["--join", daemon.address()]
            daemons.append(daemon)
        if linked:
            wait_linked(daemons)
        return daemons

    @contextlib.contextmanager
    def refused(self, code, field=None):
        """The block must end in an error response with that code."""
        with self.assertRaises(RpcError) as caught:
            yield caught
        self.assertEqual((caught.exception.code, caught.exception.detail.get("field")), (code, field),
                         caught.exception.message)
        self.assertNotIn("\n", caught.exception.message)


def whocan(daemon, *words, stdin=None):
    """What the command did: returncode, stdout, stderr."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("WHOCAN_", "XDG_"))}
    return subprocess.run([str(WHOCAN), "--socket", str(daemon.socket), *map(str, words)], input=stdin,
                          stdin=None if stdin else subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE_S * 2, check=False, env=clean)


def wait_linked(daemons):
    """Until every office has a link to every other."""
    names = {d.name for d in daemons}
    for daemon in daemons:
        wait(lambda d=daemon: {o["name"] for o in d.offices().values() if o["state"] in ("self", "linked")} >= names,
             f"{daemon.name} is linked with all others", alive=daemons)


def wait_same_people(daemons, count):
    """Until every office knows so many people."""
    for daemon in daemons:
        wait(lambda d=daemon: d.status()["people"] == count, f"{daemon.name} knows {count} people", alive=daemons)


def free_uids(count):
    """Uids in the range of people that no account of this machine has. Skips the test where other accounts
    cannot come to the programs."""
    for path in (WHOCAND, *WHOCAND.parents):
        if not path.stat().st_mode & 0o001:
            raise unittest.SkipTest(f"other accounts may not enter {path}: they cannot run what is tested")
    return list(itertools.islice((uid for uid in range(50000, 60000) if not _has_account(uid)), count))


def _has_account(uid):
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


class Accounts:
    """An account database of its own for a daemon: /etc/passwd and /etc/group with more in them, seen by that
    daemon alone. `wrapper` is the command to run it under. Skips the test where that cannot be had. sources() says
    what answers for accounts, as /etc/nsswitch.conf does: files, until it is called.

        accounts = harness.Accounts(self.directory, alice=50001)
        leeds = self.daemon("leeds", wrapper=accounts.wrapper)
        accounts.group("web", 50100, "alice")                # whenever it is called
    """

    SCRIPT = ('mount --bind "$1" /etc/passwd && mount --bind "$2" /etc/group && mount --bind "$3" /etc/nsswitch.conf && '
              'shift 3 && exec "$@"')

    def __init__(self, directory, **uids):
        self.directory = directory
        for name in ("passwd", "group"):
            (directory / name).write_bytes(pathlib.Path("/etc", name).read_bytes())
            (directory / name).chmod(0o644)
        self.sources("files")
        self.wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", self.SCRIPT, "sh",
                        str(directory / "passwd"), str(directory / "group"), str(directory / "nsswitch.conf")]
        if subprocess.run([*self.wrapper, "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode:
            raise unittest.SkipTest("this machine lets nobody have an account database of their own (unshare, mount)")
        for login, uid in uids.items():
            self.add(login, uid)

    def add(self, login, uid):
        """An account, in place of one that has this name."""
        self._rewrite("passwd", login, [f"{login}:x:{uid}:{uid}:{login}:/nonexistent:/bin/sh\n"])

    def remove(self, login):
        self._rewrite("passwd", login, [])

    def sources(self, names):
        (self.directory / "nsswitch.conf").write_text(f"passwd: {names}\ngroup: {names}\n")

    def group(self, name, gid, *members):
        """A group with these members and no others."""
        self._rewrite("group", name, [f"{name}:x:{gid}:{','.join(members)}\n"])

    def _rewrite(self, file, name, lines):
        path = self.directory / file  # in place: what is mounted is this inode
        lines = [line for line in path.read_text().splitlines(True) if not line.startswith(name + ":")] + lines
        path.write_text("".join(lines))


def row(login, **fields):
    """A row of a person, with a name made of the login."""
    return {"handle": login, "name": login.capitalize() + " Example", **fields}


main = unittest.main
