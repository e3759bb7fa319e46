#!/usr/bin/env python3
"""What the spine costs and how fast it is, on real upsd + dummy-ups and three agents on loopback.

  spine.py [--curfew target/release/curfew] [--runs 5] [--idle 60] [--reaction DIR]

Prints binary size, start-up time, resident memory, idle CPU, the time from the reading that meets
the trigger to the declaration latched on all hosts, and the cost of node_exporter and upsmon beside
it where they are installed. Needs nut-server; root only if upsd insists on it. Nothing leaves
127.0.0.0/8, and only processes started here are ended. A benchmark is not a test: it asserts nothing.
"""
import argparse, json, os, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

HOSTS = {"nfs": ("127.0.0.13", []), "k8s-1": ("127.0.0.11", ["nfs"]), "k8s-2": ("127.0.0.12", ["nfs", "k8s-1"])}
UPSD_PORT = 34993
# As the unit and the service of the extension have it.
MALLOC = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072"}
DEBOUNCE = 1.0
DEV = """device.mfr: EATON
ups.mfr: EATON
ups.model: 5E 1100i
ups.status: OL
ups.load: 8
battery.charge: 100
battery.runtime: 3160
"""


def boot():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wait(what, condition, limit=30.0, step=0.002):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        got = condition()
        if got:
            return got
        time.sleep(step)
    sys.exit(f"spine.py: waited {limit:.0f} s for {what}, in vain")


class Nut:
    """A raw connection to upsd."""

    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", UPSD_PORT), 5)
        self.file = self.socket.makefile("rw", newline="\n")

    def ask(self, line):
        self.file.write(line + "\n")
        self.file.flush()
        return self.file.readline().strip()

    def login(self):
        self.ask("USERNAME admin"), self.ask("PASSWORD pw")
        return self

    def set(self, name, value):
        answer = self.ask(f'SET VAR eaton {name} "{value}"')
        if not answer.startswith("OK"):
            sys.exit(f"spine.py: upsd refuses to set {name}: {answer}")

    def status(self):
        return self.ask("GET VAR eaton ups.status")


class Rig:
    def __init__(self, curfew):
        self.dir, self.curfew, self.running = tempfile.mkdtemp(prefix="curfew-bench-"), curfew, {}

    def spawn(self, name, argv, **kw):
        log = open(os.path.join(self.dir, name + ".log"), "ab")
        self.running[name] = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **kw)
        return self.running[name]

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.dir, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def start_nut(self):
        run = os.path.join(self.dir, "run")
        os.makedirs(run, 0o700)
        self.write("ups.dev", DEV)
        self.write("ups.conf", f"maxretry = 3\npollinterval = 1\n[eaton]\n driver = dummy-ups\n mode = dummy-once\n port = {self.dir}/ups.dev\n")
        self.write("upsd.conf", f"LISTEN 127.0.0.1 {UPSD_PORT}\n")
        self.write("upsd.users", "[admin]\n password = pw\n actions = SET\n instcmds = ALL\n")
        env = dict(os.environ, NUT_CONFPATH=self.dir, NUT_STATEPATH=run, NUT_ALTPIDPATH=run, NUT_PIDPATH=run)
        user = ["-u", "root"] if os.geteuid() == 0 else []
        for name, program in (("driver", ["/lib/nut/dummy-ups", "-a", "eaton"]), ("upsd", ["/lib/nut/upsd"])):
            if not os.path.exists(program[0]):
                sys.exit(f"spine.py: {program[0]} is missing: apt-get install nut-server")
            self.spawn(name, program + user + ["-F"], env=env)
            if name == "driver":
                wait("the driver's socket", lambda: os.path.exists(run + "/dummy-ups-eaton"))

        def answers():
            try:
                return "OL" in Nut().status()
            except OSError:
                return False

        wait("upsd", answers)
        # dummy-once plays its file twice right after the start (facts/nut.md 7.2).
        time.sleep(4)

    def start_agents(self):
        lines = ["[cluster]", 'name = "bench"', "[[ups]]", 'name = "eaton"', 'owner = "nfs"', f'upsd = "127.0.0.1:{UPSD_PORT}"']
        for name, (address, needs) in HOSTS.items():
            stop = '["/bin/true"]'
            lines += ["[[host]]", f'name = "{name}"', f'address = "{address}"', 'system = "command"', 'ups = ["eaton"]',
                      f"needs = {json.dumps(needs)}", "[host.command]", f"stop = {stop}", f"hold = {stop}", f"reboot = {stop}"]
        lines += ["[shutdown]", f'debounce = "{DEBOUNCE:.0f}s"', 'stop-timeout = "20s"', 'off-proof = "session"']
        path = self.write("cluster.toml", "\n".join(lines) + "\n")
        subprocess.run([self.curfew, "pki", "init", self.dir + "/pki", "--cluster", "bench"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([self.curfew, "pki", "issue", "--dir", self.dir + "/pki", *HOSTS], check=True, stdout=subprocess.DEVNULL)
        started = {}
        for name, (address, _) in HOSTS.items():
            begun = time.monotonic()
            self.spawn(name, [self.curfew, "run", "--cluster", path, "--host", name, "--state", f"{self.dir}/state-{name}",
                              "--pki", f"{self.dir}/pki/{name}"], env=dict(os.environ, **MALLOC))
            wait(f"{name} on HTTP", lambda: alive(address), step=0.001)
            started[name] = time.monotonic() - begun
        wait("all sessions", lambda: all(sessions(address) == 2 for address, _ in HOSTS.values()), step=0.05)
        return started

    def history(self, name):
        try:
            with open(f"{self.dir}/state-{name}/history.jsonl") as file:
                return [json.loads(line) for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def stop(self, *names):
        for name in names or list(self.running):
            process = self.running.pop(name)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def close(self):
        self.stop()
        shutil.rmtree(self.dir)


def get(address, path):
    with socket.create_connection((address, 9100), 2) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer.decode()


def alive(address):
    try:
        return " 200 " in get(address, "/livez").splitlines()[0]
    except (OSError, IndexError):
        return False


def sessions(address):
    return sum(line.startswith("curfew_peer_up{") and line.endswith(" 1") for line in get(address, "/metrics").splitlines())


def memory(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


def cpu(pid):
    with open(f"/proc/{pid}/schedstat") as file:
        return sum(cpu_of_task(pid, task) for task in os.listdir(f"/proc/{pid}/task")) or int(file.read().split()[0]) / 1e9


def cpu_of_task(pid, task):
    try:
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:
            return int(file.read().split()[0]) / 1e9
    except FileNotFoundError:
        return 0.0


def one_outage(curfew):
    """Returns (visible -> declared, declared -> latched everywhere) in seconds."""
    rig = Rig(curfew)
    try:
        rig.start_nut()
        rig.start_agents()
        admin, look = Nut().login(), Nut()
        admin.set("ups.status", "OB LB")
        wait("OB LB", lambda: "LB" in look.status(), step=0.0005)
        visible = boot()

        def latched():
            moments = {}
            for name in HOSTS:
                for entry in rig.history(name):
                    if entry["event"] in ("declared", "latched"):
                        moments.setdefault(name, entry["boot_ms"] / 1000)
            return moments if len(moments) == len(HOSTS) else None

        moments = wait("the declaration", latched, step=0.02)
        return min(moments.values()) - visible, max(moments.values()) - min(moments.values())
    finally:
        rig.close()


def idle(curfew, seconds):
    rig = Rig(curfew)
    try:
        rig.start_nut()
        started = rig.start_agents()
        beside = {}
        for name, argv in (("node_exporter", ["prometheus-node-exporter", "--web.listen-address=127.0.0.1:9190"]),):
            if shutil.which(argv[0]):
                beside[name] = rig.spawn(name, argv).pid
        pids = {name: rig.running[name].pid for name in HOSTS} | beside
        time.sleep(5)
        before = {name: cpu(pid) for name, pid in pids.items()}
        time.sleep(seconds)
        print(f"\nidle for {seconds:.0f} s        resident MiB   CPU % of a core   start-up ms")
        for name, pid in pids.items():
            share = (cpu(pid) - before[name]) / seconds * 100
            start = f"{started[name] * 1000:8.0f}" if name in started else "       -"
            print(f"  {name:20s} {memory(pid):10.1f} {share:15.3f} {start:>13s}")
    finally:
        rig.close()


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--curfew", default="target/release/curfew")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--idle", type=float, default=60)
    options = parser.parse_args()
    curfew = os.path.abspath(options.curfew)
    print(f"binary               {os.path.getsize(curfew) / 2**20:10.1f} MiB")
    idle(curfew, options.idle)
    rows = [one_outage(curfew) for _ in range(options.runs)]
    for label, values, beyond in (("OB LB visible -> declared", [row[0] for row in rows], 1 + DEBOUNCE),
                                  ("declared -> latched everywhere", [row[1] for row in rows], 0)):
        print(f"{label:32s} p50 {statistics.median(values) * 1000:7.0f} ms, max {max(values) * 1000:7.0f} ms"
              + (f"  (poll + debounce: {beyond * 1000:.0f} ms at the most)" if beyond else ""))


if __name__ == "__main__":
    main()
