#!/usr/bin/env python3
"""What a page with the metrics of the host costs, beside node_exporter on the same machine.

  host_page.py [--curfew target/release/curfew] [--scrapes 300] [--rounds 4] [--long 10000] [--harness FOLDER] [--maps]

Three agents on loopback with a real upsd (as spine.py starts them), one of which is scraped; beside it node_exporter
with its default collectors and with those that Curfew has, each with and without gzip. They take turns in one run, since
machines are noisy. Prints resident memory before `--long` scrapes and after each tenth of them, then the time on a
processor and the latency of a scrape. With `--harness` the `scrape_bench.py` of that folder does the latter instead: it
asks as Prometheus does, and prints ratios; what follows `--` is handed to it. `--maps` tells what is resident, by mapping.
Needs nut-server and prometheus-node-exporter, the harness wrk too. A benchmark is not a test: it asserts nothing.
"""
import argparse, collections, http.client, os, statistics, subprocess, sys, time

import spine

OURS = """arp bonding conntrack cpu cpufreq diskstats dmi edac entropy filefd filesystem hwmon loadavg mdadm meminfo mountstats
netclass netdev netstat nfs nfsd nvme os powersupplyclass pressure rapl schedstat selinux sockstat softnet stat textfile
thermal_zone time timex udp_queues uname vmstat""".split()
EXPORTERS = {"node_exporter": (9191, []),
             "the same collectors": (9192, ["--collector.disable-defaults"] + [f"--collector.{name}" for name in OURS])}
PROMETHEUS = {"Accept": "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                        "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "Accept-Encoding": "gzip"}


def ticks(pid):
    """Seconds on a processor, of all threads, also of those that have ended."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def maps(pid):
    """Prints the mappings of a process of which most is resident."""
    resident, name = collections.Counter(), ""
    with open(f"/proc/{pid}/smaps") as file:
        for line in file:
            words = line.split()
            if words[0] == "Rss:":
                resident[name] += int(words[1])
            elif not words[0].endswith(":"):
                name = f"{os.path.basename(words[5]) if len(words) > 5 else 'anonymous'} {words[1]}"
    print(", ".join(f"{name} {size} KiB" for name, size in resident.most_common(12)))


def scrape(address, count, headers):
    """Returns the latencies, and the bytes of a page."""
    connection, times, size = http.client.HTTPConnection(*address, timeout=10), [], 0
    for _ in range(count):
        begun = time.perf_counter()
        connection.request("GET", "/metrics", headers=headers)
        size = len(connection.getresponse().read())
        times.append(time.perf_counter() - begun)
    connection.close()
    return times, size


def growth(address, pid, count):
    """Prints resident memory after each tenth of that many scrapes, asked for as Prometheus does."""
    sizes = [spine.memory(pid)]
    for _ in range(10):
        scrape(address, count // 10, PROMETHEUS)
        sizes.append(spine.memory(pid))
    print(f"resident MiB, idle and after each {count // 10} scrapes:", " ".join(f"{size:.2f}" for size in sizes), flush=True)


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--curfew", default="target/release/curfew")
    parser.add_argument("--scrapes", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--long", type=int, default=10000)
    parser.add_argument("--harness")
    parser.add_argument("--maps", action="store_true")
    parser.add_argument("more", nargs="*")
    options = parser.parse_args()
    rig = spine.Rig(os.path.abspath(options.curfew))
    try:
        rig.start_nut()
        rig.start_agents()
        targets = {"curfew": (spine.HOSTS["nfs"][0], 9100, rig.running["nfs"].pid)}
        for name, (port, more) in EXPORTERS.items():
            process = rig.spawn(name, ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"] + more)
            targets[name] = ("127.0.0.1", port, process.pid)
        time.sleep(3)
        if options.maps:
            maps(targets["curfew"][2])
        host, port, pid = targets["curfew"]
        growth((host, port), pid, options.long)
        if options.maps:
            maps(pid)
        if options.harness:
            command = [sys.executable, os.path.join(options.harness, "scrape_bench.py"), "--baseline", "node_exporter"]
            for name, (host, port, pid) in targets.items():
                name = name.replace(" ", "_")
                command += ["--target", f"name={name},url=http://{host}:{port}/metrics,pid={pid}"]
            subprocess.run(command + ["--out", os.path.join(rig.dir, "result.json")] + options.more, check=True)
            return
        used, times, sizes = {}, {}, {}
        for _ in range(options.rounds):
            for name, (host, port, pid) in targets.items():
                for label, headers in (("", {}), (" gzip", {"Accept-Encoding": "gzip"})):
                    begun = ticks(pid)
                    latencies, sizes[name + label] = scrape((host, port), options.scrapes, headers)
                    used[name + label] = used.get(name + label, 0) + ticks(pid) - begun
                    times.setdefault(name + label, []).extend(latencies)
        print(f"{'':26s} CPU ms   p50 ms   p99 ms     bytes")
        for name, latencies in times.items():
            cpu = used[name] / (options.rounds * options.scrapes) * 1000
            p99 = statistics.quantiles(latencies, n=100)[98]
            print(f"{name:26s} {cpu:6.2f} {statistics.median(latencies) * 1000:8.2f} {p99 * 1000:8.2f} {sizes[name]:9d}")
    finally:
        rig.close()


if __name__ == "__main__":
    main()
