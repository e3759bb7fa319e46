#!/usr/bin/env python3
"""From `OB LB` in upsd to the stop command of the first host, beside upsmon, in one run.

  reaction.py HARNESS [--curfew target/release/curfew] [upsmon_reaction.py's own options]

HARNESS is the folder of upsmon_reaction.py. Adds two agents to its scenarios: one with the defaults
(debounce 5 s) and one as eager as a tuned upsmon (debounce 0.1 s). The host that is measured has no
dependents, so its stop is the first of a plan; its owner is not running, which must not matter.
"""
import json, os, sys, tempfile

CLUSTER = """[cluster]
name = "bench"
[[ups]]
name = "{{UPS}}"
owner = "nfs"
upsd = "127.0.0.1:{{PORT}}"
[[host]]
name = "nfs"
address = "127.0.0.13"
system = "dry-run"
ups = ["{{UPS}}"]
[[host]]
name = "k8s"
address = "{address}"
system = "command"
ups = ["{{UPS}}"]
needs = ["nfs"]
[host.command]
stop = ["{{SHUTDOWNCMD}}"]
[shutdown]
debounce = "{debounce}"
off-proof = "session"
"""


def scenario(name, curfew, address, debounce):
    run = [curfew, "run", "--cluster", "{DIR}/cluster.toml", "--host", "k8s", "--state", "{DIR}/state", "--pki", "{DIR}/pki"]
    text = CLUSTER.format(address=address, debounce=debounce)
    client = {"name": "k8s", "role": "secondary", "ready_s": 3, "cmd": run, "files": {"cluster.toml": text}}
    return {"name": name, "clients": [client]}


def main():
    if len(sys.argv) < 2 or not os.path.exists(os.path.join(sys.argv[1], "upsmon_reaction.py")):
        sys.exit(__doc__)
    harness, rest = sys.argv[1], sys.argv[2:]
    curfew = "target/release/curfew"
    if "--curfew" in rest:
        at = rest.index("--curfew")
        curfew = rest[at + 1]
        del rest[at : at + 2]
    curfew = os.path.abspath(curfew)
    scenarios = [scenario("curfew_default", curfew, "127.0.0.21", "5s"), scenario("curfew_tuned", curfew, "127.0.0.22", "100ms")]
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(scenarios, file)
    script = os.path.join(harness, "upsmon_reaction.py")
    os.execv(sys.executable, [sys.executable, script, "--agent", file.name, *rest])


if __name__ == "__main__":
    main()
