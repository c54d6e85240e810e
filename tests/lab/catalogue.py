# SPDX-License-Identifier: BSD-2-Clause
"""The attacks that an edge has to stand: one row each, for the lab's stories and for the bench.

Attackers have complete connections, from many networks (a /24 each), and come by the first interface
of the edge; honest clients come by the second, from a prefix that no attacker is in. Nobody but
those who ask for more than a source may have is over a limit of his own: what helps against the
others is a deadline, a budget, or a choice of whom to let go.
"""
import signal

from lab import BUILD, CLIENTS_V4, EDGE_V4, INTERNET_V4, Lab

ATTACKERS = "10.64.0.0/10"
PLAIN, TLS = f"{EDGE_V4}:80", f"{EDGE_V4}:443"
ROUTE_TABLE = 100
LARGE = 256 << 10  # bytes at /large: more than a socket holds for one who does not read
# An attempt to take all connections: how many, from how many sources.
HOARD = {"connections": 6000, "sources": 600}
FLOOD = {"connections": 200, "sources": 100}
SLOW = "slowhttptest"
SLOW_PREFIX, SLOW_SOURCES = "10.96", 100
CLIENT_SOURCES = 60000
# For how long an attacker waits for an answer to his SYN before he begins anew. Thousands of them are one kernel here, which
# would send the SYNs of all again at one moment, a second later, and keep its CPU from everybody for up to 10 ms.
KNOCK_SECONDS = 0.9
# Sources of slowhttptest, which knows but one address, on their way out.
TRANSLATION = """
table ip lab {{
	chain raw {{ type filter hook output priority raw; ip saddr != {own} notrack; }}
	chain raw_in {{ type filter hook prerouting priority raw; ip daddr != {slow} notrack; }}
	chain out {{ type nat hook postrouting priority srcnat;
		ip saddr {own} snat to numgen inc mod {count} map {{ {sources} }}; }}
}}
"""


class Attack:
    """@kind: of attack.c, or arguments of slowhttptest. @reasons: what Floodwall answers it with, one
    of them at least. @floods: bound by CPU time. @whole: what it is about is how many there are."""

    def __init__(self, name, kind, *reasons, tls=False, floods=False, whole=False, text="", **options):
        self.name, self.kind, self.reasons, self.text = name, kind, set(reasons), text
        self.tls, self.floods, self.whole, self.options = tls, floods, whole, options
        self.target = TLS if tls else PLAIN

    def __repr__(self):
        return self.name

    def start(self, lab, seconds, scale=1.0, **limits):
        """@scale: of the catalogue's numbers of connections and sources. @limits: of attack.c, for who
        wants less than all it can."""
        if isinstance(self.kind, list):
            lab.spread()
            count = int(HOARD["connections"] * scale)
            return lab.internet.start(SLOW, *self.kind, "-c", count, "-r", count, "-l", int(seconds + 1),
                                      "-u", f"http://{EDGE_V4}{self.options['path']}", name=SLOW)
        options = {"rate": 0, "retry": 0.2, "knock": KNOCK_SECONDS, "spread": True, **limits, **self.options}
        for name in ("connections", "sources"):
            options[name] = int(options[name] * scale)
        covered = self.tls and self.kind != "hold" and not self.kind.startswith("tls-")
        return lab.attack(kind=self.kind, destination=self.target, source_prefix=ATTACKERS, tls=covered,
                          seconds=seconds, **options)

    def stop(self, process):
        """Ends it; what attack.c says of it, or nothing."""
        if isinstance(self.kind, list):
            process.kill(signal.SIGKILL)
            return {}
        process.kill(signal.SIGTERM)
        return process.result()


def over_tls(name, kind, *reasons, **options):
    return Attack(name, kind, *reasons, tls=True, **options)


# At a cap somebody makes room, long before a deadline comes; near it nobody is kept who is DONE.
NEW, IDLE, BUSY, DONE = "evicted_new", "evicted_idle", "evicted_slow", "done"

CATALOGUE = [
    # Holding what others need.
    Attack("hold", "hold", NEW, "header_timeout", **HOARD, text="connects and says nothing"),
    Attack("hold_anew", "hold-anew", NEW, "header_timeout", "source_conduct", interval=1, abort=True, **HOARD,
           text="half a request, and begins anew after a second, told or not"),
    Attack("idle_hoard", "idle", IDLE, DONE, "keepalive_timeout", **HOARD, text="one request, then silence"),
    over_tls("idle_hoard_tls", "idle", IDLE, DONE, "keepalive_timeout", **HOARD, text="the same over TLS"),
    Attack("slow_header", "slow-header", NEW, "header_timeout", interval=0.1, **HOARD,
           text="a byte of header every 100 ms"),
    Attack("slow_body", "slow-body", BUSY, "body_timeout", "receive_rate", interval=0.1,
           path="/upload", **HOARD, text="a byte of body every 100 ms"),
    Attack("slow_read", "slow-read", BUSY, "write_timeout", "send_rate", path="/large", **HOARD,
           text="asks for a large answer and takes nothing of it"),
    Attack("sources_5000", "hold-request", NEW, "header_timeout", connections=10000, sources=5000,
           whole=True, text="5,000 sources at once, half a request each, twice"),
    Attack("slowhttptest_header", ["-H", "-i", 1], NEW, "header_timeout", path="/", text="slowhttptest -H"),
    Attack("slowhttptest_body", ["-B", "-i", 1, "-s", 8192], BUSY, "body_timeout", "receive_rate",
           path="/upload", text="slowhttptest -B"),
    Attack("slowhttptest_read", ["-X", "-n", 1, "-w", 1, "-y", 64, "-z", 5, "-k", 3],
           BUSY, "write_timeout", "send_rate", path="/large", text="slowhttptest -X"),
    Attack("slowhttptest_range", ["-R"], path="/large", text="slowhttptest -R"),
    # TLS, stopped at each message.
    over_tls("tls_silent", "hold", NEW, "handshake_timeout", **HOARD, text="connects, and no ClientHello"),
    over_tls("tls_half_hello", "tls-half-hello", NEW, "handshake_timeout", **HOARD,
             text="half a ClientHello"),
    over_tls("tls_no_answer", "tls-hello", NEW, "handshake_timeout", **HOARD,
             text="takes the server's flight, and answers nothing"),
    over_tls("tls_unfinished", "tls-unfinished", NEW, "handshake_timeout", **HOARD,
             text="all but the last bytes of Finished"),
    # Asking for too much.
    over_tls("tls_handshakes", "tls-handshakes", "source_handshake_rate", floods=True, **FLOOD,
             text="complete handshakes, over and over"),
    over_tls("tls_aborted", "tls-abort", "source_handshake_rate", "client_closed", floods=True,
             abort=True, **FLOOD, text="handshakes that end after the server's part"),
    Attack("connections", "churn", "source_syn_rate", "verified_syn_rate", "cookie_sent", floods=True,
           abort=True, **FLOOD, text="connects and resets, over and over"),
    Attack("requests", "requests", "source_request_rate", "request_flood", floods=True, **FLOOD,
           text="the next request as soon as one is answered"),
    Attack("pipelining", "pipeline", "source_request_rate", "request_flood", floods=True, **FLOOD,
           text="requests as fast as the socket takes them"),
    # Too large.
    Attack("big_target", "big-target", "target_too_long", floods=True, **FLOOD,
           text="a target that never ends"),
    Attack("big_field", "big-field", "field_too_large", "header_too_large", floods=True, **FLOOD,
           text="a header field that never ends"),
    Attack("many_fields", "many-fields", "too_many_fields", floods=True, **FLOOD,
           text="header fields without end"),
    Attack("many_cookies", "many-cookies", "too_many_cookies", "field_too_large", floods=True, **FLOOD,
           text="cookies without end"),
    Attack("chunk_extension", "chunk-extension", "bad_chunk", path="/upload", floods=True, **FLOOD,
           text="a chunk extension without end"),
    Attack("tiny_chunks", "tiny-chunks", "chunk_overhead", path="/upload", floods=True, **FLOOD,
           text="a body in chunks of one byte"),
    Attack("big_body", "big-body", "body_too_large", path="/upload", floods=True, **FLOOD,
           text="a body larger than any"),
    # HTTP/2, over TLS.
    over_tls("h2_hoard", "h2-idle", NEW, "keepalive_timeout", "header_timeout", **HOARD,
             text="begins a connection and asks nothing"),
    over_tls("h2_requests", "h2-requests", "source_request_rate", "http2_errors", "http2_protocol",
             floods=True, **FLOOD, text="requests as fast as the socket takes them"),
    over_tls("h2_rapid_reset", "h2-rapid-reset", "http2_resets", "request_flood", floods=True, **FLOOD,
             text="asks and takes it back (CVE-2023-44487)"),
    over_tls("h2_provoked_reset", "h2-provoked-reset", "http2_errors", "http2_protocol", floods=True, **FLOOD,
             text="asks, and makes the server take it back (MadeYouReset, CVE-2025-8671)"),
    over_tls("h2_continuation", "h2-continuation", "http2_empty", "header_too_large", "too_many_fields",
             floods=True, **FLOOD, text="a header of CONTINUATION frames without end (CVE-2024-27316)"),
    over_tls("h2_settings", "h2-settings", "http2_control", floods=True, **FLOOD,
             text="SETTINGS without end (CVE-2019-9515)"),
    over_tls("h2_ping", "h2-ping", "http2_control", floods=True, **FLOOD,
             text="PINGs, whose answers nobody reads (CVE-2019-9512)"),
    over_tls("h2_empty", "h2-empty", "http2_empty", floods=True, path="/upload", **FLOOD,
             text="DATA frames with nothing in them (CVE-2019-9518)"),
    over_tls("h2_priority", "h2-priority", "http2_control", floods=True, **FLOOD,
             text="priorities, rearranged without end (CVE-2019-9513)"),
    over_tls("h2_bomb", "h2-bomb", BUSY, "http2_bomb", "write_timeout", "header_too_large", connections=1000,
             sources=100, text="requests that are small on the wire and large in memory, answers kept waiting"),
    over_tls("h2_bomb_large", "h2-bomb-large", "http2_bomb", "header_too_large", "too_many_fields",
             floods=True, **FLOOD, text="headers of thirty megabytes in eight kilobytes"),
    over_tls("h2_drip", "h2-drip", BUSY, "http2_control", "http2_protocol", "send_rate", path="/large",
             interval=0.1, connections=500, sources=100,
             text="large answers, a byte of window at a time (CVE-2019-9511)"),
]


class Range(Lab):
    """A lab in which attackers and clients come by different wires."""

    def __init__(self):
        super().__init__(apart=True)

    def _join(self):
        super()._join()
        # All but the clients use the first wire, and what comes back by it is heard.
        edge, internet = self.edge, self.internet
        internet("ip", "link", "set", "dev", "eth0", "xdpdrv", "off")
        internet("ip", "link", "set", "dev", "eth0", "xdpdrv", "object", BUILD / "bpf/flood.bpf.o",
                 "program", "internet")
        internet("ip", "route", "replace", EDGE_V4, "dev", "eth0")
        internet("ip", "route", "add", EDGE_V4, "dev", "eth1", "table", ROUTE_TABLE)
        internet("ip", "rule", "add", "from", CLIENTS_V4, "lookup", ROUTE_TABLE)
        edge("ip", "route", "add", ATTACKERS, "via", INTERNET_V4, "dev", "eth0")

    def spread(self):
        """What comes from the internet's own address comes from many: slowhttptest has but one."""
        sources = ", ".join(f"{i} : {SLOW_PREFIX}.{i}.1" for i in range(SLOW_SOURCES))
        self.internet("nft", "-f", "-", text=TRANSLATION.format(
            own=INTERNET_V4, slow=f"{SLOW_PREFIX}.0.0/16", count=SLOW_SOURCES, sources=sources))

    def origin(self):
        """Pages of 64 bytes, a large one, and a place that takes bodies, and answers when they are whole."""
        process = self.nginx(["127.0.0.1:8000"], worker_connections=20000,
                             extra="keepalive_requests 1000000; access_log off; "
                             "location /upload { proxy_pass http://127.0.0.1:8000/; }")
        for root in self.home.glob("nginx-*/root"):
            (root / "large").write_bytes(bytes(LARGE))
        return process

    def legitimate(self, attack, **options):
        """Clients who want what the attack takes: newcomers all."""
        return self.clients(destination=attack.target, source_prefix=CLIENTS_V4, tls=attack.tls,
                            sources=CLIENT_SOURCES, **options)
