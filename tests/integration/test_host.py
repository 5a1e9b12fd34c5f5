#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""whocan --host, through a real sshd on loopback with keys and a configuration of its own."""
import getpass
import json
import os
import pathlib
import pty
import shutil
import signal
import socket
import subprocess
import unittest

import harness
from harness import row

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin")
MISSING = [name for name, found in (("sshd", SSHD), ("ssh", shutil.which("ssh")), ("ssh-keygen", shutil.which("ssh-keygen")))
           if not found]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)}")
class Host(harness.Case):
    def setUp(self):
        super().setUp()
        self.leeds = self.daemon("leeds")
        self.leeds.import_rows([row("alice", skills=["blogging"], title="Librarian"), row("bob", skills=["welding"])])
        self.bin = self.directory / "bin"  # what is in the PATH over there
        self.bin.mkdir()
        (self.bin / "whocan").symlink_to(harness.WHOCAN)
        self.start_sshd()

    def start_sshd(self):
        d = self.directory
        for name in ("host", "mine"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", d / name], check=True)
        (d / "authorized").write_text((d / "mine.pub").read_text())
        self.port = free_port()
        sanitizers = " ".join(f'"{k}={v}"' for k, v in os.environ.items() if k.endswith("SAN_OPTIONS"))
        (d / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {d}/host\nAuthorizedKeysFile {d}/authorized\nPidFile none\n"
            f"UsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nPrintMotd no\n"
            f'SetEnv "PATH={self.bin}:/usr/bin:/bin" "WHOCAN_SOCKET={self.leeds.socket}" {sanitizers}\n')
        (d / "ssh_config").write_text(
            f"Host there\n  HostName 127.0.0.1\n  Port {self.port}\n  User {getpass.getuser()}\n  IdentityFile {d}/mine\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {d}/known\n  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n"
            f"Host closed\n  HostName 127.0.0.1\n  Port {free_port()}\n  LogLevel ERROR\n")
        if os.geteuid() == 0:
            pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's privilege separation wants it
        log = (d / "sshd.log").open("w")
        sshd = subprocess.Popen([SSHD, "-D", "-e", "-f", str(d / "sshd_config")], stdin=subprocess.DEVNULL, stderr=log)
        log.close()
        self.addCleanup(sshd.wait)
        self.addCleanup(sshd.terminate)

        def listens():
            if sshd.poll() is not None:
                raise unittest.SkipTest(f"sshd does not run here: {(d / 'sshd.log').read_text().strip()}")
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) == 0
        harness.wait(listens, "sshd listens")

    def environment(self, **more):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("WHOCAN_", "XDG_", "SSH_"))}
        return {**environment, "HOME": str(self.directory), "XDG_DATA_HOME": str(self.directory / "data"),
                "WHOCAN_SSH": f"ssh -F {self.directory}/ssh_config", **more}

    def whocan(self, *words, host="there", **environment):
        flags = ["--host", host] if host is not None else []
        return subprocess.run([str(harness.WHOCAN), *words, *flags], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=harness.PATIENCE_S, env=self.environment(**environment), check=False)

    def good(self, *words, **how):
        done = self.whocan(*words, **how)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        return done.stdout

    def test_find_ask_and_edit(self):
        self.assertIn("alice@leeds", self.good("find", "blogging"))
        self.assertIn("bob@leeds", self.good("find", "welding", host=None, WHOCAN_HOST="there"))
        lines = [json.loads(line) for line in self.good("ask", "--json", "blogging").splitlines()]
        self.assertEqual([p["handle"] for line in lines for p in line.get("people", [])], ["alice@leeds"])
        if os.geteuid() == 0:  # an account with a login that is a handle, and access
            self.good("me", "set", "title", "Head of Everything")
            self.assertIn("Head of Everything", self.good("me"))
            self.assertEqual(self.leeds.call("me.show")["person"]["title"], "Head of Everything")

    def test_large_answers_pass_whole(self):
        people = [row(f"p{i}", ask_me_about="x" * 900) for i in range(3000)]
        self.leeds.import_rows(people)
        out = self.good("export", "--format", "jsonl")
        self.assertEqual(len(out.splitlines()), 3002)

    def test_exit_codes_are_those_of_the_command(self):
        done = self.whocan("show", "zoe")
        self.assertEqual(done.returncode, 4)
        self.assertIn("nobody is known as zoe@leeds", done.stderr)
        self.assertEqual(self.whocan("find").returncode, 2)

    def test_what_goes_wrong_is_said(self):
        for host, words in (("closed", "ssh could not reach closed"), ("-oProxyCommand=touch x", "takes the name of a machine"),
                            ("a@-b", "takes the name of a machine"), ("-v@b", "takes the name of a machine"), ("", "takes the name of a machine"),
                            ("a;b", "takes the name of a machine")):
            done = self.whocan("find", "blogging", host=host)
            self.assertEqual(done.returncode, 3 if host == "closed" else 2, done)
            self.assertIn(words, done.stderr)
        done = self.whocan("find", "x", "--socket", "/nowhere")
        self.assertEqual(done.returncode, 2)
        done = self.whocan("find", "x", WHOCAN_SSH="/no/such/ssh")
        self.assertEqual(done.returncode, 3)
        self.assertIn("cannot run /no/such/ssh", done.stderr)
        (self.bin / "whocan").unlink()
        done = self.whocan("find", "blogging")
        self.assertEqual(done.returncode, 3)
        self.assertIn("whocan is not installed on there", done.stderr)
        for script, words in (("exit 2", "has another version"), ("echo whocan-relay 2 9.9", "closed the connection")):
            (self.bin / "whocan").write_text(f"#!/bin/sh\n{script}\n")
            (self.bin / "whocan").chmod(0o755)
            done = self.whocan("find", "blogging")
            self.assertEqual(done.returncode, 3)
            self.assertIn(words, done.stderr)
            (self.bin / "whocan").unlink()

    def test_no_daemon_over_there(self):
        self.leeds.stop()
        done = self.whocan("find", "blogging")
        self.assertEqual(done.returncode, 3)
        self.assertIn("no daemon answers on there", done.stderr)

    def test_what_a_login_script_prints_is_skipped(self):
        (self.bin / "whocan").unlink()
        (self.bin / "whocan").write_text(f"#!/bin/sh\necho 'Welcome to the council'\nexec {harness.WHOCAN} \"$@\"\n")
        (self.bin / "whocan").chmod(0o755)
        self.assertIn("alice@leeds", self.good("find", "blogging"))

    def test_ctrl_c_ends_an_ask_and_keeps_what_came(self):
        """The whole process group gets the signal, as from a terminal."""
        organisation = self.organisation()
        self.leeds.call("office.join", invite=organisation.invite("leeds"))
        york = self.daemon("york", flags=["--join", self.leeds.address()])
        york.call("office.join", invite=organisation.invite("york"))
        harness.wait_linked([self.leeds, york])
        york.kill()  # so that the ask waits for its answer
        ask = subprocess.Popen([str(harness.WHOCAN), "ask", "--json", "--wait", "60", "blogging", "--host", "there"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=self.environment(), start_new_session=True)
        self.addCleanup(ask.stdout.close)
        self.addCleanup(ask.stderr.close)
        first = ""
        while "alice@leeds" not in first:  # the answer of the office over there
            first = ask.stdout.readline()
            self.assertTrue(first)
        os.killpg(ask.pid, signal.SIGINT)
        rest, problems = ask.communicate(timeout=harness.PATIENCE_S)
        self.assertEqual((ask.returncode, problems), (130, ""))
        self.assertIn("offices_heard", rest)  # the last line: it ended in good order
        harness.wait(lambda: self.leeds.connections() == 0, "the relay has gone")

    def test_the_relay_is_not_for_people(self):
        master, slave = pty.openpty()
        done = subprocess.run([str(harness.WHOCAN), "relay"], stdin=slave, stdout=slave, stderr=subprocess.PIPE, text=True,
                              env=self.environment(WHOCAN_SOCKET=str(self.leeds.socket)), timeout=harness.PATIENCE_S,
                              check=False)
        os.close(master)
        os.close(slave)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--host", done.stderr)


if __name__ == "__main__":
    harness.main()
