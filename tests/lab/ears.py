# SPDX-License-Identifier: BSD-2-Clause
"""Hears what an address answers on a wire, whole bursts of it, without a stack that meddles.

    with Ears("eth0") as ears:
        ears.send(frames)
        time.sleep(1)
        for length, segment in ears.heard(edge, port): ...
"""
import errno
import socket
import time

from scapy.all import Ether, IP, IPv6, TCP

SO_RCVBUFFORCE, ETH_P_ALL = 33, 3


class Ears:
    def __init__(self, interface):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.bind((interface, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, frames):
        """As fast as the wire takes them."""
        for frame in frames:
            while True:
                try:
                    self.socket.send(frame)
                    break
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    time.sleep(0.001)

    def heard(self, address, port):
        """(length of the frame, TCP layer) of all that came from there until now."""
        found = []
        try:
            while True:
                frame = self.socket.recv(65536, socket.MSG_DONTWAIT)
                packet = Ether(frame)
                if TCP in packet and packet[TCP].sport == port and packet[IPv6 if ":" in address else IP].src == address:
                    found.append((len(frame), packet[TCP]))
        except BlockingIOError:
            return found
