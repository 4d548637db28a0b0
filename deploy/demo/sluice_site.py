# SPDX-License-Identifier: Apache-2.0
"""A whole site on this machine: test pool, broker, agent, with keys, ports and configuration of its own.

Used by the demo, the end-to-end tests and the benchmarks, so that all of them run the same binaries in
the same way. Needs Python's standard library only.
"""
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATA = os.path.join(ROOT, "deploy", "demo")
MODEL = "all-MiniLM-L6-v2"


class SiteError(Exception):
    pass


class Refused(SiteError):
    """The broker answered with an HTTP error."""

    def __init__(self, status, body):
        super().__init__(f"HTTP {status}: {body[:300]}")
        self.status = status
        self.body = body


def threads(pid):
    """Name, state, CPU time and where the kernel waits, of each thread: what a process that hangs is at."""
    lines = []
    try:
        for task in sorted(os.listdir(f"/proc/{pid}/task"), key=int):
            with open(f"/proc/{pid}/task/{task}/stat") as stat, open(f"/proc/{pid}/task/{task}/wchan") as wchan:
                name, rest = stat.read().split("(", 1)[1].rsplit(")", 1)
                fields = rest.split()
                ticks = int(fields[11]) + int(fields[12])
                lines.append(f"  {task} {name} {fields[0]} {ticks / os.sysconf('SC_CLK_TCK'):.2f} s {wchan.read()}")
    except OSError as error:
        lines.append(f"  {error}")
    return "\n".join(lines)


def free_port():
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def alive(pid):
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, TypeError):
        return False
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


# Recorded prices are played thousands of times as fast as they were: every step may be a jump.
NO_JUMPS = "feeds:\n  jump: 0\n"


class Site:
    """options: clean_every, difficulty, dwell, threshold, hash_factor, speed, loop, split_cpu, cpu,
    launch_ms, stop_word, default_bid, pool_url, pool_user, log_level, ttl, fake_devices, rated,
    tenants_extra, policy, step, against, policy_extra, log_decisions, safe_mode, policy_file, power, feeds_extra,
    policy_document, document (texts of the policy document), fake_gpus, agent_extra."""

    def __init__(self, build, out, model_dir, **options):
        self.build = os.path.abspath(build)
        self.out = os.path.abspath(out)
        self.model_dir = os.path.abspath(model_dir)
        self.options = options
        self.env = {}
        self.url = None
        self.admin_key = None
        self.tenant_key = None

    # ---- files ----

    def path(self, *parts):
        return os.path.join(self.out, *parts)

    def binary(self, name):
        places = {"sluice-broker": "broker/shell", "sluice-agent": "agent/shell", "sluice": "broker/cli",
                  "sluice-test-pool": "tests/pool"}
        return os.path.join(self.build, places[name], name)

    def run(self, *args):
        done = subprocess.run(args, capture_output=True, text=True)
        if done.returncode:
            raise SiteError(f"{' '.join(args)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip()

    def prepare(self):
        os.makedirs(self.path("feeds"), exist_ok=True)
        os.makedirs(self.path("logs"), exist_ok=True)
        for name in ("hashprice.csv", "power.csv"):
            with open(os.path.join(DATA, name)) as f, open(self.path("feeds", name), "w") as g:
                g.write(f.read())
        broker_public = self.run(self.binary("sluice-broker"), "keygen", "--out", self.path("broker.key"))
        agent_public = self.run(self.binary("sluice-agent"), "keygen", "--out", self.path("agent.key"))
        with open(self.path("allowed-agents"), "w") as f:
            f.write(f"# the demo's one agent\n{agent_public}\n")
        self.agents_port = free_port()
        self.http_port = free_port()
        self.pool_port = free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.pool_log = self.path("pool.log")
        self.store = self.path("broker", "store.db")
        self.write_broker_config()
        self.write_policy()
        self.write_agent_config(broker_public)
        self.env = {"SLUICE_URL": self.url, "ADMIN_KEY": "", "TENANT_KEY": "", "BROKER_PID": "",
                    "AGENT_PID": "", "POOL_PID": "", "POOL_LOG": self.pool_log, "STORE": self.store,
                    "FEED_DIR": self.path("feeds")}
        self.write_env()
        self.write_scripts()

    def write_broker_config(self):
        o = self.options
        with open(self.path("broker.yaml"), "w") as f:
            f.write(f"""# Written by the demo.
data_dir: {self.path('broker')}
log_level: {o.get('log_level', 'info')}
log_decisions: {o.get('log_decisions', 'false')}
agents:
  listen: tcp://127.0.0.1:{self.agents_port}
  key_file: {self.path('broker.key')}
  allowed_file: {self.path('allowed-agents')}
  join_listen: tcp://127.0.0.1:{o.get('join_port', 0)}
  lease_ttl: {o.get('ttl', '5s')}
  safe_mode: {o.get('safe_mode', 'hash')}
http:
  listen: 127.0.0.1:{self.http_port}
policy:
  file: "{o.get('policy_file', 'policy.yaml')}"
# On a CPU the real hashprice is worth about a millionth of any lease rate: it is scaled by this factor,
# and nothing else is scaled.
hash_factor: {o.get('hash_factor', 10000000)}
power:
  {o.get('power', 'tariff: feed')}
feeds:
  - id: hashprice
    role: hashprice
    unit: usd_per_ph_day
    path: {self.path('feeds', 'hashprice.csv')}
    column: hashprice_usd_per_ph_day
    speed: {o.get('speed', 864000)}
    loop: {o.get('loop', 'true')}
    age_max: {o.get('age_max', '1h')}
  - id: power
    role: power
    unit: usd_per_mwh
    path: {self.path('feeds', 'power.csv')}
    column: usd_per_mwh
    speed: {o.get('power_speed', 36000)}
    loop: true
    age_max: 1h
{o.get('feeds_extra', '').replace('FEEDS', self.path('feeds'))}tenants:
  - id: demo
    default_bid: {o.get('default_bid', '10')}
{o.get('tenants_extra', '')}models:
  - id: {MODEL}
{o.get('broker_extra', '')}""")

    def write_policy(self):
        """By thresholds unless told otherwise: a bid moves a device by figures that stand in the test."""
        o = self.options
        with open(self.path("policy.yaml"), "w") as f:
            f.write(f"""# Written by the demo.
policy: {o.get('policy', 'threshold')}
step: {o.get('step', '1s')}
against:
  interval: {o.get('against', '10s')}
threshold:
  advantage: {o.get('threshold', '2')}
  dwell: {o.get('dwell', '300ms')}
  horizon: 10s
{o.get('policy_document', NO_JUMPS)}{o.get('document', '')}{o.get('policy_extra', '')}""")

    def write_agent_config(self, broker_public):
        o = self.options
        pool = o.get("pool_url") or f"stratum+tcp://127.0.0.1:{self.pool_port}"
        rated = o.get("rated")
        watts = "" if not rated else f"""  rated_watts:
    idle: {rated[0]}
    hash: {rated[1]}
    infer: {rated[2]}
"""
        # Tests start many agents on the same devices: what one tuned and compiled serves the next.
        cache = o.get("cache_dir", os.environ.get("SLUICE_TEST_CACHE", ""))
        cache_line = f"cache_dir: {cache}\n" if cache else ""
        with open(self.path("agent.yaml"), "w") as f:
            f.write(f"""# Written by the demo.
node: demo-node
data_dir: {self.path('agent')}
{cache_line}broker:
  endpoint: tcp://127.0.0.1:{self.agents_port}
  server_key: "{broker_public}"
  key_file: {self.path('agent.key')}
pool:
  url: {pool}
  user: {o.get('pool_user', 'sluice.demo')}
devices:
  split_cpu: {o.get('split_cpu', 2)}
  cpu: {o.get('cpu', 'auto')}
{watts}models:
  - id: {MODEL}
    path: {os.path.join(self.model_dir, MODEL + '.gguf')}
    max_tokens: 256
launch: {o.get('launch_ms', 50)}ms
stop_word: {o.get('stop_word', 'auto')}
{o.get('agent_extra', '')}""")

    def write_env(self):
        temporary = self.path("env.tmp")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            for key, value in self.env.items():
                f.write(f"{key}={shlex.quote(str(value))}\n")
        os.replace(temporary, self.path("env"))

    def read_env(self):
        with open(self.path("env")) as f:
            for line in f:
                key, _, value = line.strip().partition("=")
                self.env[key] = shlex.split(value)[0] if value and value != "''" else ""

    def commands(self):
        o = self.options
        pool = [self.binary("sluice-test-pool"), "--port", str(self.pool_port), "--log", self.pool_log,
                "--difficulty", str(o.get("difficulty", "0.0002")), "--clean-every",
                o.get("clean_every", "12s")]
        agent = [self.binary("sluice-agent"), "--config", self.path("agent.yaml")]
        if o.get("fake_devices"):
            agent += ["--fake-devices", str(o["fake_devices"])]
        if o.get("fake_gpus"):
            agent += ["--fake-gpus", o["fake_gpus"]]
        return {"broker": [self.binary("sluice-broker"), "--config", self.path("broker.yaml")],
                "agent": agent, "pool": pool}

    def write_scripts(self):
        for name, command in self.commands().items():
            script = self.path(f"restart-{name}.sh")
            variable = f"{name.upper()}_PID"
            with open(script, "w") as f:
                f.write(f"""#!/bin/bash
# Starts the demo's {name} again, exactly as it was started first, and writes its pid into env.
set -eu
here={shlex.quote(self.out)}
pid=$(sed -n "s/^{variable}=//p" "$here/env" | tr -d "'")
runs() {{ [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && [ "$(ps -o stat= -p "$pid" 2>/dev/null | cut -c1)" != Z ]; }}
for _ in $(seq 50); do # one that was killed a moment ago may still be at its end
  runs || break
  sleep 0.1
done
if runs; then
  echo "restart-{name}.sh: it still runs as process $pid; stop it first" >&2
  exit 1
fi
# A process group of its own, but not a session: Linux shares the CPU between sessions first, and
# then the agent's niceness would count for nothing against the broker.
set -m
nohup {' '.join(shlex.quote(c) for c in command)} >>"$here/logs/{name}.log" 2>&1 </dev/null &
pid=$!
exec 9>"$here/env.lock"
flock 9
umask 077
sed "s/^{variable}=.*/{variable}=$pid/" "$here/env" >"$here/env.new.$$"
mv "$here/env.new.$$" "$here/env"
echo "{name} runs as process $pid"
""")
            os.chmod(script, 0o755)

    # ---- processes ----

    def start(self, name):
        self.run(self.path(f"restart-{name}.sh"))
        self.read_env()

    def pid(self, name):
        text = self.env.get(f"{name.upper()}_PID", "")
        return int(text) if text else None

    def check_alive(self, name):
        if not alive(self.pid(name)):
            raise SiteError(f"the {name} ended; last lines of {self.path('logs', name + '.log')}:\n"
                            + self.log_tail(name))

    def log_tail(self, name, lines=8):
        try:
            with open(self.path("logs", name + ".log"), errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError:
            return ""

    def kill(self, name, number=signal.SIGKILL):
        pid = self.pid(name)
        if alive(pid):
            os.kill(pid, number)

    def stop(self, name, timeout_s=60):
        """SIGTERM and wait. True when it ended in time; a process that hangs is killed."""
        pid = self.pid(name)
        if not alive(pid):
            return True
        os.kill(pid, signal.SIGTERM)
        if self.wait_for(lambda: not alive(pid), timeout_s):
            return True
        print(f"the {name} does not stop; its threads:\n{threads(pid)}\n{self.log_tail(name)}", file=sys.stderr)
        os.kill(pid, signal.SIGKILL)
        return False

    def stop_all(self):
        return [name for name in ("agent", "broker", "pool") if not self.stop(name)]

    @staticmethod
    def wait_for(condition, timeout_s, every_s=0.1):
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            value = condition()
            if value:
                return value
            time.sleep(every_s)
        return None

    def start_pool(self):
        if self.options.get("pool_url"):
            return
        self.start("pool")
        if not self.wait_for(lambda: self.port_open(self.pool_port), 10):
            self.check_alive("pool")
            raise SiteError("the test pool does not answer")

    def start_broker(self):
        self.start("broker")
        self.wait_broker()

    def wait_broker(self):
        if not self.wait_for(self.healthy, 20):
            self.check_alive("broker")
            raise SiteError("the broker does not answer:\n" + self.log_tail("broker"))
        with open(self.path("broker", "operator.key")) as f:
            self.admin_key = f.read().strip()
        self.env["ADMIN_KEY"] = self.admin_key
        self.write_env()

    def start_agent(self, devices_timeout_s=240):
        """Starts the agent and waits until its devices are offered."""
        self.start("agent")
        ready = self.wait_for(self.devices_ready, devices_timeout_s, 0.5)
        self.check_alive("agent")
        if not ready:
            raise SiteError("no device was offered:\n" + self.log_tail("agent"))
        return ready

    def make_tenant(self, tenant="demo"):
        answer = self.api("POST", "/api/v1/keys", {"tenant": tenant, "label": "demo"})
        self.tenant_key = answer["key"]
        self.env["TENANT_KEY"] = self.tenant_key
        self.write_env()

    @staticmethod
    def port_open(port):
        with socket.socket() as s:
            s.settimeout(1)
            return s.connect_ex(("127.0.0.1", port)) == 0

    def healthy(self):
        try:
            with urllib.request.urlopen(self.url + "/healthz", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def devices_ready(self):
        self.check_alive("agent")
        try:
            devices = self.devices()
        except (SiteError, OSError):
            return None
        good = [d for d in devices if d["models"] and not d["trouble"] and d["hashrate_hs"]]
        return devices if devices and len(good) == len(devices) else None

    # ---- API ----

    def raw(self, method, path, body=None, key=None, headers=None, timeout=30):
        data = None
        head = {"Authorization": f"Bearer {key or self.admin_key}"}
        if isinstance(body, (dict, list)):
            data = json.dumps(body).encode()
            head["Content-Type"] = "application/json"
        elif body is not None:
            data = body
        head.update(headers or {})
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=head)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.read()
        except urllib.error.HTTPError as e:
            raise Refused(e.code, e.read().decode(errors="replace")) from None
        except urllib.error.URLError as e:
            raise SiteError(f"{path}: {e.reason}") from None

    def api(self, method, path, body=None, key=None, **more):
        return json.loads(self.raw(method, path, body, key, **more))

    def devices(self):
        page = self.api("GET", "/api/v1/devices")
        devices = page["devices"]
        while page["next"]:
            page = self.api("GET", "/api/v1/devices?limit=1000&after=" + urllib.parse.quote(page["next"]))
            devices += page["devices"]
        return devices

    def upload(self, content, name="batch.jsonl"):
        boundary = "sluice-demo-boundary"
        body = (f"--{boundary}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
                f"--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n"
                f"Content-Type: application/jsonl\r\n\r\n").encode() + content + \
            f"\r\n--{boundary}--\r\n".encode()
        return self.api("POST", "/v1/files", body, self.tenant_key, headers={
            "Content-Type": f"multipart/form-data; boundary={boundary}"})["id"]

    def submit(self, texts, bid=None, prefix="line"):
        lines = [json.dumps({"custom_id": f"{prefix}-{i}", "method": "POST", "url": "/v1/embeddings",
                             "body": {"model": MODEL, "input": text}}) for i, text in enumerate(texts)]
        body = {"input_file_id": self.upload("\n".join(lines).encode() + b"\n"),
                "endpoint": "/v1/embeddings", "completion_window": "24h"}
        if bid is not None:
            body["metadata"] = {"sluice.bid_usd_per_mtok": bid}
        return self.api("POST", "/v1/batches", body, self.tenant_key)["id"]

    def batch(self, batch_id):
        return self.api("GET", f"/v1/batches/{batch_id}", key=self.tenant_key)

    def bid(self, batch_id, usd_per_mtok):
        return self.api("POST", f"/api/v1/batches/{batch_id}/bid", {"bid_usd_per_mtok": usd_per_mtok},
                        self.tenant_key)

    def append_price(self, usd_per_ph_day, name="hashprice.csv"):
        with open(self.path("feeds", name), "a") as f:
            f.write(f"2026-01-01T00:00:00Z,{usd_per_ph_day}\n")

    def pool_counts(self):
        counts = {"accepted": 0, "stale": 0, "rejected": 0}
        if os.path.exists(self.pool_log):
            with open(self.pool_log) as f:
                for line in f:
                    try:
                        counts[json.loads(line)["result"]] += 1
                    except (ValueError, KeyError):
                        pass
        return counts


def decimal_usd(nano):
    """nano-USD per million tokens -> the decimal text of a bid."""
    return f"{nano // 10**9}.{nano % 10**9:09d}"
