#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Start, stop, reload, the service manager, and everything that can be wrong at the start."""
import contextlib
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import unittest

import harness
from harness import WHOCAND, row

LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ whocand: (error|warning|notice|info|debug): .+$")


def run(*flags, environment=None, **how):
    """A whocand that is expected to end by itself: its status and what it wrote."""
    done = subprocess.run([str(WHOCAND), *map(str, flags)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=harness.PATIENCE_S, check=False,
                          env={"PATH": os.environ["PATH"], **sanitizers(), **(environment or {})}, **how)
    return done.returncode, done.stdout, done.stderr


def sanitizers():
    return {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}


class CommandLine(harness.Case):
    def test_help_version_and_printed_files(self):
        status, out, err = run("--help")
        self.assertEqual((status, err), (0, ""))
        for flag in ("--state DIR", "--socket PATH", "--config FILE", "--listen HOST:PORT", "--join HOST:PORT",
                     "--office NAME", "--foreground", "--log-level LEVEL", "--check-config", "--version", "--help"):
            self.assertIn(flag, out)
        self.assertRegex(run("--version")[1], r"^whocand \d+\.\d+\.\d+\n$")
        self.assertEqual(run("--print-config")[1], (harness.ROOT / "packaging" / "whocan.conf").read_text())

    def test_a_configuration_can_be_checked(self):
        good = self.directory / "good.conf"
        good.write_text("[whocan]\nlisten = none\n")
        self.assertEqual(run("--check-config", "--config", good), (0, "The configuration is right.\n", ""))
        good.write_text("[whocan]\nlisten = none\ncolour = red\n")
        status, out, err = run("--check-config", "--config", good)
        self.assertEqual((status, out), (78, ""))
        self.assertIn(f"{good}:3: unknown key \"colour\"", err)
        good.write_text("[whocan]\nlanguages = english klingon\n")
        status, out, err = run("--check-config", "--config", good)
        self.assertEqual((status, out), (78, ""))
        self.assertIn("no stemmer for \"klingon\"; there are: ", err)
        words = self.directory / "our words"
        words.mkdir()
        (words / "a.ini").write_text("[vocabulary]\nformat = 1\nid = a\n[b]\nen Blogging\n")
        good.write_text(f"[whocan]\nvocabulary = {words}\n")
        status, out, err = run("--check-config", "--config", good)
        self.assertEqual((status, out), (78, ""))
        self.assertIn(f"{words}/a.ini:5: is neither \"key = value\" nor a comment", err)
        (words / "a.ini").write_text("[vocabulary]\nformat = 1\nid = a\n[b]\nen = Blogging\n")
        self.assertEqual(run("--check-config", "--config", good), (0, "The configuration is right.\n", ""))

    def test_an_ordinary_user_gets_xdg_directories(self):
        home = self.directory / "home"
        home.mkdir()
        runtime = self.directory / "run"
        runtime.mkdir(mode=0o700)
        if os.geteuid() == 0:
            uid, = harness.free_uids(1)
            for path in (home, runtime):
                os.chown(path, uid, uid)
            how = {"user": uid, "group": uid, "extra_groups": []}
        else:
            how = {}
        environment = {"HOME": str(home), "XDG_RUNTIME_DIR": str(runtime), "PATH": os.environ["PATH"], **sanitizers()}
        process = subprocess.Popen([str(WHOCAND), "--listen", "none"], env=environment, stderr=subprocess.DEVNULL, **how)
        try:
            path = runtime / "whocan" / "whocan.sock"
            harness.wait(path.exists, "the socket is there")
            with harness.Client(path) as client:
                self.assertEqual(client.call("node.status")["store"]["path"], f"{home}/.local/state/whocan")
        finally:
            process.terminate()
            self.assertEqual(process.wait(harness.PATIENCE_S), 0)
        self.assertEqual(stat.S_IMODE((home / ".local" / "state" / "whocan").stat().st_mode), 0o700)


class BadStart(harness.Case):
    """Each mistake is one line that says what to do, and changes nothing."""

    def fails(self, status, words, *flags, **how):
        got, out, err = run(*flags, **how)
        lines = [line for line in err.splitlines() if ": error: " in line]
        self.assertEqual((got, out, len(lines)), (status, "", 1), err)
        self.assertRegex(lines[0], LINE)
        self.assertIn(words, lines[0])
        return lines[0]

    def flags(self, **more):
        merged = {"state": self.directory / "state", "socket": self.directory / "s", "listen": "none", **more}
        return ["--config", "/dev/null"] + [f"--{k}={v}" for k, v in merged.items()]

    def test_flags(self):
        self.fails(78, "--colour: unknown flag", "--colour")
        self.fails(78, "is not HOST:PORT", *self.flags(listen="7411"))
        self.fails(78, "/nonexistent: cannot be read", "--config", "/nonexistent")
        self.assertFalse((self.directory / "state").exists())

    def test_a_socket_path_too_long(self):
        self.fails(78, "a Unix socket takes at most 107", *self.flags(socket="/tmp/" + "x" * 200))
        self.assertFalse((self.directory / "state").exists())

    def test_two_daemons_on_one_state_directory(self):
        leeds = self.daemon("leeds")
        self.fails(1, str(leeds.state), *self.flags(state=leeds.state))
        self.assertEqual(leeds.call("office.show")["name"], "leeds")

    def test_two_daemons_on_one_socket(self):
        leeds = self.daemon("leeds")
        self.fails(1, "another daemon answers on", *self.flags(socket=leeds.socket))
        self.assertEqual(leeds.call("office.show")["name"], "leeds")

    def test_something_else_at_the_place_of_the_socket(self):
        (self.directory / "s").write_text("precious")
        self.fails(1, "is not a socket", *self.flags())
        self.assertEqual((self.directory / "s").read_text(), "precious")

    def test_a_socket_directory_that_is_not_there(self):
        self.fails(1, "No such file or directory", *self.flags(socket=self.directory / "a" / "b" / "s"))

    def test_a_port_that_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            self.fails(1, f"cannot listen on {address}", *self.flags(listen=address))
        self.assertFalse((self.directory / "s").exists())

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
    def test_a_state_directory_of_another_user(self):
        state = self.directory / "state"
        state.mkdir(mode=0o700)
        owner, somebody = harness.free_uids(2)
        os.chown(state, owner, owner)
        self.fails(78, str(state), *self.flags())
        self.assertEqual(list(state.iterdir()), [])
        how = {"user": somebody, "group": somebody, "extra_groups": []}
        self.fails(78, str(state), *self.flags(socket="/nonexistent/s"), **how)

    def test_a_state_directory_that_others_can_read(self):
        state = self.directory / "state"
        state.mkdir()
        state.chmod(0o755)
        self.fails(78, str(state), *self.flags())

    def test_a_state_directory_without_a_parent(self):
        self.fails(78, "/a/b", *self.flags(state=self.directory / "a" / "b"))

    def test_a_language_that_nobody_speaks(self):
        self.fails(78, "no stemmer for \"klingon\"", *self.flags(languages="klingon"))

    def test_damaged_records(self):
        leeds = self.daemon("leeds")
        leeds.import_rows([row("alice")])
        leeds.stop()
        data = leeds.state / "records" / "data.mdb"
        content = data.read_bytes()
        data.write_bytes(b"\xff" * 8192 + content[8192:])
        self.fails(1, str(leeds.state), *self.flags(state=leeds.state))
        self.assertEqual(data.read_bytes()[8192:], content[8192:])


class Life(harness.Case):
    def test_it_starts_stops_and_starts_again(self):
        leeds = self.daemon("leeds")
        leeds.import_rows([row("alice", skills=["blogging"])])
        before = leeds.call("office.show")
        self.assertEqual(stat.S_IMODE(leeds.state.stat().st_mode), 0o700)
        leeds.stop()
        self.assertFalse(leeds.socket.exists())
        leeds.start()
        self.assertEqual(leeds.call("office.show"), before)
        self.assertEqual(leeds.handles("blogging"), ["alice@leeds"])

    def test_every_line_of_the_log_is_one_line(self):
        leeds = self.daemon("leeds")
        leeds.call("office.show")
        leeds.stop()
        for line in leeds.log().splitlines():
            self.assertRegex(line, LINE)

    def test_it_ends_on_an_interrupt_as_well(self):
        leeds = self.daemon("leeds")
        leeds.signal(signal.SIGINT)
        self.assertEqual(leeds.ended(), 0)

    def test_a_stale_socket_is_replaced(self):
        leeds = self.daemon("leeds")
        leeds.kill()
        self.assertTrue(leeds.socket.exists())
        leeds.start()

    def test_a_stop_answers_what_was_begun(self):
        leeds = self.daemon("leeds")
        with leeds.client() as client:
            client.call("office.show")
            ask = client.send("ask.create", {"text": "blogging", "wait_ms": 60000})
            ids = [client.send("people.import", {"rows": [row(f"p{i}-{k}") for k in range(100)]}) for i in range(20)]
            client.call_count = 0
            first = client.response()
            leeds.signal(signal.SIGTERM)
            responses = {first[1]: first}
            while (message := client.receive()) is not None:
                if message[0] == harness.RESPONSE:
                    responses[message[1]] = message
        self.assertEqual(leeds.ended(), 0)
        self.assertIn(ask, responses)
        accepted = sum((responses[i][3] or {}).get("accepted", 0) for i in ids if i in responses)
        leeds.start()
        self.assertGreaterEqual(leeds.status()["people"], accepted)

    def test_the_office_has_the_name_that_was_asked_for(self):
        leeds = self.daemon("leeds")
        self.assertEqual(leeds.call("office.show")["name"], "leeds")
        leeds.import_rows([row("alice", skills=["blogging"])])
        leeds.call("me.set", name="Root Example")
        leeds.stop()
        leeds.name = "leeds-north"
        leeds.start()
        self.assertEqual(leeds.call("office.show")["name"], "leeds-north")
        self.assertEqual(sorted(leeds.people()), ["alice@leeds-north", "root@leeds-north"])
        self.assertEqual(leeds.handles("blogging"), ["alice@leeds-north"])
        self.assertEqual(leeds.status()["offices_known"], 1)
        self.assertIn("2 people moved", leeds.log())

    def test_it_may_listen_on_nothing(self):
        leeds = self.daemon("leeds", listen="none")
        self.assertEqual(leeds.offices()["leeds"]["addresses"], [])

    def test_a_wildcard_advertises_what_others_can_reach(self):
        leeds = self.daemon("leeds", listen="0.0.0.0:0")
        for address in self.addresses(leeds):
            self.assertFalse(address.startswith("0.0.0.0"))
        york = self.daemon("york", flags=["--advertise", "york.example:7411"])
        self.assertEqual(self.addresses(york), ["york.example:7411"])

    def addresses(self, daemon):
        """Those of its own card, which it writes after the start."""
        return harness.wait(lambda: daemon.offices()[daemon.name]["addresses"], "the card is written", alive=[daemon])


class Reload(harness.Case):
    def reload(self, daemon, text, words):
        daemon.config_path.write_text(text)
        before = len(daemon.log())
        daemon.signal(signal.SIGHUP)
        harness.wait(lambda: words in daemon.log()[before:], words, alive=[daemon])
        return daemon.log()[before:]

    def test_a_reload_takes_over_what_it_can(self):
        # the harness gives a log level by flag: without it the file decides
        leeds = self.new_daemon("leeds", config="[whocan]\nlog_level = notice\n", listen="none")
        leeds.command_without = leeds.command
        leeds.command = lambda *more: [w for w in leeds.command_without(*more) if w not in ("--log-level", "debug")]
        leeds.start()
        self.assertNotIn(" info: ", leeds.log())
        log = self.reload(leeds, "[whocan]\nlog_level = info\nreplicate = no\n", "was read again")
        self.assertIn("replicate has changed: that takes effect at the next start", log)
        with leeds.client() as client, contextlib.suppress(ConnectionError):
            client.send_bytes(b"\xc1")
            client.receive()
        harness.wait(lambda: " info: closing a connection" in leeds.log(), "info is logged now")

    def test_a_wrong_file_changes_nothing(self):
        leeds = self.daemon("leeds", config="[whocan]\naccess = everyone\n")
        log = self.reload(leeds, "[whocan]\naccess = nobody\n", "stays as it was")
        self.assertIn("whocan.conf:2: access: \"nobody\" is not one of", log)
        self.assertEqual(leeds.call("office.show")["name"], "leeds")


class ServiceManager(harness.Case):
    """A fake one: a datagram socket for sd_notify, a socket handed over, a stream that is the journal."""

    def setUp(self):
        super().setUp()
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.directory / "notify"))
        self.notify.settimeout(harness.PATIENCE_S)
        self.addCleanup(self.notify.close)
        self.environment = {"NOTIFY_SOCKET": str(self.directory / "notify")}

    def until(self, words):
        """Read notifications until one has these words; all that came."""
        seen = []
        while not any(words in text for text in seen):
            seen.append(self.notify.recv(4096).decode())
        return seen

    def test_it_says_when_it_is_ready_reloads_and_stops(self):
        leeds = self.new_daemon("leeds", environment=self.environment)
        leeds.spawn()
        self.until("READY=1")
        leeds.call("office.show")  # ready means ready
        self.assertIn("STATUS=leeds of leeds", self.until("STATUS=leeds")[-1])
        leeds.signal(signal.SIGHUP)
        seen = self.until("READY=1")
        self.assertRegex(seen[0], r"RELOADING=1\nMONOTONIC_USEC=\d+")
        leeds.signal(signal.SIGTERM)
        self.until("STOPPING=1")
        self.assertEqual(leeds.ended(), 0)

    def test_it_feeds_the_watchdog(self):
        leeds = self.new_daemon("leeds", environment={**self.environment, "WATCHDOG_USEC": "100000"})
        leeds.spawn()
        self.until("WATCHDOG=1")
        self.until("WATCHDOG=1")

    def test_it_takes_a_socket_that_was_handed_over(self):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = self.directory / "handed"
        listener.bind(str(path))
        listener.listen()
        leeds = self.new_daemon("leeds", environment=self.environment)
        log = leeds.log_path.open("ab")
        # the shell knows its own process number, which LISTEN_PID must be
        leeds.process = subprocess.Popen(
            ["/bin/sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&%d' % listener.fileno(), "sh", *leeds.command()],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[listener.fileno()],
            env={**os.environ, **self.environment})
        log.close()
        listener.close()
        self.until("READY=1")
        with harness.Client(path) as client:
            self.assertEqual(client.call("office.show")["name"], "leeds")
        self.assertFalse(leeds.socket.exists())
        leeds.stop()
        self.assertTrue(path.exists())  # it is the service manager's

    def test_the_journal_gets_priorities(self):
        read_end, write_end = os.pipe()
        st = os.fstat(write_end)
        leeds = self.new_daemon("leeds", environment=self.environment)
        process = subprocess.Popen(leeds.command(), stdin=subprocess.DEVNULL, stderr=write_end,
                                   env={**os.environ, **self.environment, "JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"})
        leeds.process = process
        os.close(write_end)
        self.until("READY=1")
        leeds.stop()
        with os.fdopen(read_end) as log:
            lines = log.read().splitlines()
        self.assertTrue(lines)
        for line in lines:
            self.assertRegex(line, r"^<[3-7]>\S")


class Unit(unittest.TestCase):
    """The files of the service."""

    def test_the_unit_is_right_and_confined(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        unit = harness.ROOT / "packaging" / "whocan.service"
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr)

    def test_the_unit_names_the_exit_status_that_is_not_retried(self):
        text = (harness.ROOT / "packaging" / "whocan.service").read_text()
        for line in ("Type=notify", "RestartPreventExitStatus=78", "User=whocan", "StateDirectory=whocan"):
            self.assertIn(f"\n{line}\n", text)
        self.assertNotIn("\nPrivateUsers=yes", text)
        self.assertEqual(pathlib.Path(harness.ROOT / "packaging" / "whocan.sysusers").read_text().count("\nu whocan "), 1)


@unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
class Memory(harness.Case):
    """What is in the daemon's memory is for nobody else."""

    def setUp(self):
        super().setUp()
        [self.uid] = harness.free_uids(1)
        options = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "handle_segv=0:disable_coredump=0")))
        self.leeds = self.daemon("leeds", user=(self.uid, self.uid), environment={"ASAN_OPTIONS": options},
                                 wrapper=["prlimit", "--core=unlimited:unlimited"])

    def test_no_core_is_dumped(self):
        pid = self.leeds.process.pid
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        self.assertRegex(limits, r"Max core file size +0 +0 ")
        self.assert_dumps_no_core(pid)

    def test_no_core_is_dumped_where_the_limit_counts_for_nothing(self):
        # as when the kernel gives cores to a program (systemd-coredump), whatever the limit is
        pid = self.leeds.process.pid
        try:
            resource.prlimit(pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except PermissionError:
            self.skipTest("needs CAP_SYS_RESOURCE, to lift the limit of another process")
        self.assert_dumps_no_core(pid)

    def assert_dumps_no_core(self, pid):
        os.kill(pid, signal.SIGSEGV)
        _, status = os.waitpid(pid, 0)
        self.leeds.process.returncode = -signal.SIGSEGV  # it was waited for here
        self.assertTrue(os.WIFSIGNALED(status))
        self.assertFalse(os.WCOREDUMP(status))

    def test_another_process_of_its_account_cannot_read_it(self):
        pid = self.leeds.process.pid
        self.assertEqual(os.stat(f"/proc/{pid}/mem").st_uid, 0)  # not dumpable: it is not the account's own
        code = f"import sys\ntry:\n    open('/proc/{pid}/mem', 'rb')\nexcept PermissionError:\n    sys.exit(7)\n"
        done = subprocess.run(["/usr/bin/python3", "-c", code], user=self.uid, group=self.uid, extra_groups=[], cwd="/",
                              check=False)
        self.assertEqual(done.returncode, 7)

    def test_the_command_dumps_none_either(self):
        # keys and a passphrase pass through it
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self.directory / "silent"))
            server.listen()
            command = subprocess.Popen(["prlimit", "--core=unlimited:unlimited", str(harness.WHOCAN), "--socket",
                                        str(self.directory / "silent"), "status"], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.directory,
                                       env={**os.environ, "ASAN_OPTIONS": "handle_segv=0:disable_coredump=0"})
            with server.accept()[0]:
                os.kill(command.pid, signal.SIGSEGV)
                _, status = os.waitpid(command.pid, 0)
            command.returncode = -signal.SIGSEGV  # it was waited for here
        self.assertTrue(os.WIFSIGNALED(status))
        self.assertFalse(os.WCOREDUMP(status))


if __name__ == "__main__":
    harness.main()
