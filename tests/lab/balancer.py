# SPDX-License-Identifier: BSD-2-Clause
"""PROXY headers as balancers write them, and balancers of other makes in front of the proxy or behind
it."""
import ipaddress
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"


def line(source, port=1234, destination="192.0.2.80", destination_port=80):
    """Version 1."""
    family = 6 if ":" in source else 4
    return f"PROXY TCP{family} {source} {destination} {port} {destination_port}\r\n".encode()


def block(source, port=1234, destination=None, destination_port=80, attributes=b""):
    """Version 2."""
    source = ipaddress.ip_address(source)
    destination = ipaddress.ip_address(destination or ("192.0.2.80" if source.version == 4 else "2001:db8::80"))
    addresses = source.packed + destination.packed + struct.pack("!HH", port, destination_port)
    return SIGNATURE + bytes([0x21, 0x11 if source.version == 4 else 0x21]) + \
        struct.pack("!H", len(addresses) + len(attributes)) + addresses + attributes


def attribute(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


LOCAL = SIGNATURE + b"\x20\0\0\0"


def read(peer):
    """The header that a server was sent: its bytes, and whose connection it says this is."""
    start = peer.take(5)
    if start == b"PROXY":
        text = start + peer.until(b"\r\n")
        _, _, source, destination, port, destination_port = text.decode().split()
        return text, (source, int(port)), (destination, int(destination_port)), {}
    head = start + peer.take(11)
    assert head[:12] == SIGNATURE, f"not a PROXY header: {head!r}"
    rest = peer.take(struct.unpack("!H", head[14:])[0])
    size = {0x11: 4, 0x21: 16}[head[13]]
    addresses = [str(ipaddress.ip_address(rest[at:at + size])) for at in (0, size)]
    ports = struct.unpack("!HH", rest[2 * size:2 * size + 4])
    return head + rest, (addresses[0], ports[0]), (addresses[1], ports[1]), attributes(rest[2 * size + 4:])


def attributes(data):
    found = {}
    while data:
        kind, size = struct.unpack("!BH", data[:3])
        found[kind], data = data[3:3 + size], data[3 + size:]
    return found


def haproxy(lab, text, ports):
    """HAProxy with these frontends and backends, on the edge."""
    path = lab.home / f"haproxy-{ports[0]}.cfg"
    path.write_text("global\n\tlog stdout len 4096 format raw local0\ndefaults\n\tlog global\n\ttimeout client 30s\n"
                    "\ttimeout server 30s\n\ttimeout connect 5s\n" + text)
    process = lab.edge.start("haproxy", "-db", "-f", path)
    lab.wait_listening(process, [f"127.0.0.1:{port}" for port in ports])
    return process


def nginx(lab, text, ports):
    """nginx with these blocks (http, stream), on the edge."""
    path = lab.home / f"nginx-{ports[0]}.conf"
    path.write_text(f"load_module {NGINX_STREAM};\ndaemon off;\nmaster_process off;\npid {lab.home}/nginx-{ports[0]}.pid;\n"
                    f"error_log stderr;\nevents {{ worker_connections 512; }}\n{text}")
    process = lab.edge.start("nginx", "-p", lab.home, "-e", "stderr", "-c", path)
    lab.wait_listening(process, [f"127.0.0.1:{port}" for port in ports])
    return process
