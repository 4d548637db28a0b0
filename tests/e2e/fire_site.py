# SPDX-License-Identifier: Apache-2.0
"""The site that is set on fire: broker and agent in two network namespaces with a cable between them, their
data on small disks of their own, their wall clocks behind a shim. What this machine does not allow is left
out, and `missing` says why."""
import os
import signal
import struct
import subprocess
import time

from sluice_site import Site, SiteError, alive

BROKER_IP, AGENT_IP = "10.77.0.1", "10.77.0.2"
NOBODY = "02:00:00:00:00:99"  # no interface has it: a packet sent there reaches nobody
MIB = 1 << 20
NAMES = ("pool", "broker", "agent")
# For a namespace each of network, mounts and processes; the last so that nothing survives the test.
PRIVATE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
INSIDE = "SLUICE_FIRE_INSIDE"


def private_command():
    """The prefix that runs a program in namespaces of its own and an empty reason, or nothing and why not."""
    said = ""
    for prefix in (PRIVATE, PRIVATE[:1] + ["--user", "--map-root-user"] + PRIVATE[1:]):
        try:
            done = subprocess.run(prefix + ["ip", "link", "set", "lo", "up"], capture_output=True, text=True)
        except OSError as e:
            return None, str(e)
        if done.returncode == 0:
            return prefix, ""
        said = said or done.stderr.strip() or f"exit code {done.returncode}"
    return None, said


def sh(*args):
    done = subprocess.run(args, capture_output=True, text=True)
    if done.returncode:
        raise SiteError(f"{' '.join(args)}: {done.stderr.strip()}")


class FireSite(Site):
    def __init__(self, build, out, models, history, disk_mib, **options):
        super().__init__(build, out, models, **options)
        self.history = history
        self.disk_mib = disk_mib
        self.missing = {}
        self.processes = {}
        self.expected = set()  # names of processes that may be gone
        self.holder = None
        self.tenant_keys = {}
        self.steps_ns = {"broker": 0, "agent": 0}
        self.started = {}

    # ---- what is made before the site ----

    def prepare(self):
        self.make_network()
        for name in ("broker", "agent"):
            self.make_disk(name)
        self.shim = os.path.join(self.build, "tests", "e2e", "libclockstep.so")
        if not os.path.exists(self.shim):
            raise SiteError(f"{self.shim} is not built: build the target `clockstep`")
        for name in self.steps_ns:
            self.step_clock(name, 0)
        super().prepare()

    def make_network(self):
        if not os.environ.get(INSIDE):
            self.missing["cut"] = self.missing["oneway"] = \
                "no network namespaces: " + (private_command()[1] or "not started by fire.py")
            return
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        here = os.readlink("/proc/self/ns/net")
        path = f"/proc/{self.holder.pid}/ns/net"
        if not self.wait_for(lambda: os.readlink(path) != here, 10, 0.01):
            raise SiteError("no second network namespace")
        sh("ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", str(self.holder.pid))
        sh("ip", "addr", "add", BROKER_IP + "/24", "dev", "cable")
        sh("ip", "link", "set", "cable", "up")
        sh(*self.there("ip", "addr", "add", AGENT_IP + "/24", "dev", "cable"))
        sh(*self.there("ip", "link", "set", "cable", "up"))
        sh(*self.there("ip", "link", "set", "lo", "up"))

    def there(self, *command):
        """As run on the agent's side of the cable."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", *command] if self.holder else list(command)

    def make_disk(self, name):
        os.makedirs(self.path(name), exist_ok=True)
        if not os.environ.get(INSIDE):
            self.missing["disk"] = "no mount namespace: " + (private_command()[1] or "not started by fire.py")
            return
        sh("mount", "-t", "tmpfs", "-o", f"size={self.disk_mib}m,mode=0700", "tmpfs", self.path(name))

    def write_broker_config(self):
        super().write_broker_config()
        self.use_cable("broker.yaml")

    def write_agent_config(self, broker_public):
        super().write_agent_config(broker_public)
        self.use_cable("agent.yaml")

    def use_cable(self, name):
        if not self.holder:
            return
        with open(self.path(name)) as f:
            text = f.read()
        with open(self.path(name), "w") as f:
            f.write(text.replace(f"tcp://127.0.0.1:{self.agents_port}", f"tcp://{BROKER_IP}:{self.agents_port}"))

    # ---- processes ----

    def start(self, name):
        """Like the site's own scripts, without a shell: the time of the exec counts."""
        command = self.commands()[name]
        env = dict(os.environ)
        if name in self.steps_ns:
            env.update(LD_PRELOAD=self.shim, SLUICE_CLOCKSTEP=self.path("clock-" + name))
        if name != "broker":
            command = self.there(*command)
        with open(self.path("logs", name + ".log"), "a") as log:
            self.started[name] = time.monotonic()
            self.processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                    env=env, process_group=0)
        self.expected.discard(name)
        self.env[f"{name.upper()}_PID"] = self.processes[name].pid

    def start_pool(self):
        self.start("pool")
        if not self.wait_for(lambda: os.path.exists(self.pool_log), 10):
            self.check_alive("pool")
            raise SiteError("the test pool opens no log")

    def kill(self, name, number=signal.SIGKILL):
        if number == signal.SIGKILL:
            self.expected.add(name)
        super().kill(name, number)
        if number == signal.SIGKILL:
            self.processes[name].wait()

    def stop(self, name, timeout_s=20):
        self.expected.add(name)
        process = self.processes.get(name)
        if process is None:
            return True
        if alive(process.pid):
            os.kill(process.pid, signal.SIGCONT)
        good = super().stop(name, timeout_s)
        process.wait()
        return good

    def unexpected_ends(self):
        """Programs that ended and were not killed; each is told once."""
        found = []
        for name, process in self.processes.items():
            if name not in self.expected and process.poll() is not None:
                self.expected.add(name)
                found.append({"target": name, "code": process.returncode, "log": self.log_tail(name, 4)})
        return found

    def end(self):
        self.stop_all()
        if self.holder:
            self.holder.kill()
            self.holder.wait()
            subprocess.run(["ip", "link", "del", "cable"], capture_output=True)
        for name in ("broker", "agent"):
            if os.path.ismount(self.path(name)):
                sh("umount", self.path(name))

    # ---- faults ----

    def step_clock(self, name, offset_ns):
        """Writes in place: the program has the file mapped."""
        self.steps_ns[name] = offset_ns
        fd = os.open(self.path("clock-" + name), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(fd, struct.pack("=q", offset_ns), 0)
        finally:
            os.close(fd)

    def cable(self, state):
        sh("ip", "link", "set", "cable", state)

    def deaf(self, name, on):
        """Nothing reaches `name` any more, while what it sends arrives: the other side's packets for it carry
        the address of nobody. Needs no packet filter of the kernel."""
        side, address = (self.there, BROKER_IP) if name == "broker" else ((lambda *c: list(c)), AGENT_IP)
        if on:
            sh(*side("ip", "neigh", "replace", address, "lladdr", NOBODY, "nud", "permanent", "dev", "cable"))
        else:
            sh(*side("ip", "neigh", "del", address, "dev", "cable"))

    def fill_disk(self, name):
        filler = self.path(name, "filler")
        with open(filler, "wb", buffering=0) as f:
            block = bytes(MIB)
            for size in (MIB, 4096):
                try:
                    while f.write(block[:size]) == size:
                        pass
                except OSError:
                    pass

    def free_disk(self, name):
        try:
            os.unlink(self.path(name, "filler"))
        except FileNotFoundError:
            pass

    # ---- tenants ----

    def make_tenants(self, names):
        for name in names:
            self.make_tenant(name)
            self.tenant_keys[name] = self.tenant_key
