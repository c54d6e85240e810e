# SPDX-License-Identifier: BSD-2-Clause
"""The promise, shown: honest clients under five attacks, without Floodwall and with it.

Both times the same clients, attackers, wire and nginx, in a fresh lab. Without protection nginx is
the public server, configured as Debian 12 ships it (768 connections for each of its workers), and
the kernel has Debian's defaults, SYN cookies among them. With Floodwall the filter runs on the
interface and floodwalld listens in front of the same nginx, both with their default limits. What
either sends to the forged addresses of an attack is counted as answered.

Clients arrive at a fixed rate whatever happens, and a connection counts as a success only when the
whole page came within three seconds. The promise is kept when 99.5% of them succeed in every run
with Floodwall.
"""
import argparse
import json
import os
import signal
import sys
import time

from lab import CLIENTS_V4, CLIENTS_V6, DARK_V4, DARK_V6, EDGE_V4, EDGE_V6, Lab, LabError

V4, V6 = (f"{EDGE_V4}:80", CLIENTS_V4), (f"[{EDGE_V6}]:80", CLIENTS_V6)
PROMISE = 0.995
CLIENT_RATE, CLIENT_SECONDS, CLIENT_SOURCES = 100, 8, 800
LEAD_SECONDS = 3  # of attack before the first client comes
FLOOD_RATE = 500000  # packets a second
ATTACK_SECONDS = LEAD_SECONDS + CLIENT_SECONDS + 3

# Every limit is the default.
CONFIGURATION = """
filter { interfaces = {"eth0"}  cgroup = "@CGROUP@" }
listener web {
	bind = {"0.0.0.0:80", "[::]:80"}
	route "/" { upstream = "app" }
}
upstream app { server { address = "127.0.0.1:8000" } }
"""


class Case:
    """An attack: what to call it, whose addresses it is about, how to start it, what it offers."""

    def __init__(self, name, text, family, attack, offer):
        self.name, self.text, self.attack, self.offer = name, text, attack, offer
        self.target, self.clients = family

    def start(self, lab):
        return self.attack(lab, destination=self.target, seconds=ATTACK_SECONDS)


def flood(prefix):
    """SYNs of no connection, from forged addresses of @prefix."""
    return lambda lab, **options: lab.flood(source_prefix=prefix, rate=FLOOD_RATE, **options)


def connect(**attack):
    """Whole connections, held as long as the server lets them."""
    return lambda lab, **options: lab.attack(rate=5000, **attack, **options)


def offered_packets(result):
    return {"offered_pps": round(result["offered_pps"])}


CASES = [
    Case("syn_flood_spoofed_v4", "SYN flood, half a million a second, from a million forged addresses",
         V4, flood(DARK_V4), offered_packets),
    Case("syn_flood_spoofed_v6", "SYN flood, half a million a second, from forged IPv6 addresses of 4,096 sites",
         V6, flood(DARK_V6), offered_packets),
    Case("syn_flood_subnet", "SYN flood, half a million a second, from one /24",
         V4, flood("172.16.5.0/24"), offered_packets),
    Case("connect_and_hold", "10,000 connections from 50 addresses: half a request, then silence",
         V4, connect(kind="hold-request", source_prefix="10.66.0.0/16", sources=50, connections=10000),
         lambda result: {"attack_connections": 10000}),
    Case("slowloris", "4,000 connections from 200 addresses: a byte of header a second",
         V4, connect(kind="slow-header", source_prefix="10.77.0.0/16", sources=200, connections=4000),
         lambda result: {"attack_connections": 4000}),
]


def protect_none(lab):
    lab.nginx(["0.0.0.0:80", "[::]:80"])


def protect_floodwall(lab):
    lab.nginx(["127.0.0.1:8000"])
    lab.floodwalld(CONFIGURATION, attach=True)


def fate_none(lab):
    """How many of the attack's packets were answered, and what was dropped, why."""
    stack = lab.edge.stack()
    return stack["TcpExtSyncookiesSent"], {
        "kernel_listen_queue_full": stack["TcpExtListenDrops"],
        "nginx_out_of_connections": lab.nginx_alerts("worker_connections are not enough")}


def fate_floodwall(lab):
    return sum(service["answered"] for service in lab.status()["services"]), lab.drops()


PROTECTIONS = {"none": (protect_none, fate_none), "floodwall": (protect_floodwall, fate_floodwall)}


def run(case, protection):
    protect, fate = PROTECTIONS[protection]
    with Lab() as lab:
        protect(lab)
        attack = case.start(lab)
        time.sleep(LEAD_SECONDS)
        clients = lab.clients(destination=case.target, source_prefix=case.clients, rate=CLIENT_RATE,
                              sources=CLIENT_SOURCES, seconds=CLIENT_SECONDS).result()
        attack.kill(signal.SIGTERM)
        offer = case.offer(attack.result())
        answered, dropped = fate(lab)
        dropped["wire_full"] = lab.edge.wire()["rx"]["dropped"]
    return {"attack": case.name, "protection": protection, **offer,
            "legit_attempts": clients["attempts"], "legit_ok": clients["ok"],
            "p50_ms": clients["p50_ms"], "p99_ms": clients["p99_ms"],
            "answered": answered,
            "dropped": {reason: count for reason, count in dropped.items() if count}}


def kept(run_result):
    return run_result["legit_ok"] >= PROMISE * run_result["legit_attempts"]


def is_starved(run_result):
    """Whether most of the flood never came to the edge, for want of CPU time on this machine."""
    sent = run_result.get("offered_pps", 0) * ATTACK_SECONDS
    return run_result["dropped"].get("wire_full", 0) > sent / 2


def row(result):
    if "offered_pps" in result:
        offered = f"{result['offered_pps'] / 1e6:.2f} M packets/s"
    else:
        offered = f"{result['attack_connections']:,} connections"
    latency = ["-" if result[key] is None else f"{result[key]:.1f} ms" for key in ("p50_ms", "p99_ms")]
    most = sorted(result["dropped"].items(), key=lambda item: -item[1])[:4]
    if result["answered"]:
        most.insert(0, ("answered", result["answered"]))
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in most) or "nothing"
    success = 100 * result["legit_ok"] / result["legit_attempts"]
    return [result["attack"], result["protection"], offered, f"{success:.1f}%", *latency, reasons]


def print_table(results):
    rows = [["attack", "protection", "offered", "clients served", "p50", "p99", "answered; dropped, and why"]]
    rows += [row(result) for result in results]
    widths = [max(len(line[column]) for line in rows) for column in range(len(rows[0]))]
    for number, line in enumerate(rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
        elif number % len(PROTECTIONS) == 0 and number < len(rows) - 1:
            print()


def main():
    parser = argparse.ArgumentParser(description="Real clients under real attacks, without "
                                     "Floodwall and with it.")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    arguments = parser.parse_args()
    # Ctrl-C and SIGTERM end the running lab as any other exception does.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    results = []
    for case in CASES:
        print(f"\n{case.text}", flush=True)
        for protection in PROTECTIONS:
            print(f"  protection {protection}: attack for {LEAD_SECONDS} s, then "
                  f"{CLIENT_RATE * CLIENT_SECONDS} clients in {CLIENT_SECONDS} s …",
                  end=" ", flush=True)
            results.append(run(case, protection))
            print(f"{results[-1]['legit_ok']} served", flush=True)
    promise = all(kept(result) for result in results if result["protection"] == "floodwall")
    print("\n'none' is nginx as Debian ships it, with the kernel's own SYN cookies; 'floodwall' is "
          "the same nginx behind Floodwall's defaults.\n")
    print_table(results)
    if any(is_starved(result) for result in results):
        print("\nwire_full is what this machine had no time to deliver to the edge: of some floods most. "
              "Something else\nkeeps it busy (uptime), so that these figures say little of either.")
    print(f"\nThe promise ({100 * PROMISE:g}% of clients served under every attack) is "
          f"{'kept' if promise else 'NOT kept'}.")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"runs": results, "kept": promise}, file, indent=1)
            file.write("\n")
    return 0 if promise else 1


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("demo: run as root: it makes network namespaces and loads BPF programs")
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ndemo: interrupted; nothing is left behind", file=sys.stderr)
        sys.exit(130)
    except LabError as error:
        sys.exit(f"demo: {error}")
