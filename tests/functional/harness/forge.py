# SPDX-License-Identifier: BSD-2-Clause
"""UDP datagrams that claim to come from wherever a test likes. All of it needs root."""

import contextlib
import socket
import struct

_ETH_P = {socket.AF_INET: 0x0800, socket.AF_INET6: 0x86DD}


def _family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _checksum(data):
    """RFC 1071."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(source, target, payload):
    """An IP packet with a UDP datagram; source and target are (host, port)."""
    family = _family(target[0])
    addresses = b"".join(socket.inet_pton(family, host) for host, _ in (source, target))
    length = 8 + len(payload)
    pseudo = addresses + struct.pack("!II", length, socket.IPPROTO_UDP)
    ports = struct.pack("!HHH", source[1], target[1], length)
    udp = ports + struct.pack("!H", _checksum(pseudo + ports + payload) or 0xFFFF) + payload
    if family == socket.AF_INET6:
        return struct.pack("!IHBB", 6 << 28, length, socket.IPPROTO_UDP, 64) + addresses + udp
    start = struct.pack("!BBHHHBB", 0x45, 0, 20 + length, 0, 0, 64, socket.IPPROTO_UDP)
    checksum = _checksum(start + addresses)
    return start + struct.pack("!H", checksum) + addresses + udp


def forge(source, target, payload=b"forged", inside=None):
    """Send through the kernel's routing, which looks at the target alone.

    For a source of 0.0.0.0 the kernel puts in an address of its own.
    """
    with inside.entered() if inside else contextlib.nullcontext():
        sock = socket.socket(_family(target[0]), socket.SOCK_RAW, socket.IPPROTO_RAW)
    with sock:
        sock.sendto(packet(source, target, payload), (target[0], 0))


def forge_frame(device, source, target, payload=b"forged", inside=None):
    """Put it on the wire of a device as it is, to whoever is at the other end."""
    protocol = _ETH_P[_family(target[0])]
    with inside.entered() if inside else contextlib.nullcontext():
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    with sock:
        everybody = (device, protocol, 0, 0, b"\xff" * 6)
        sock.sendto(packet(source, target, payload), everybody)
