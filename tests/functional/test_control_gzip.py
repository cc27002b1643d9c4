# SPDX-License-Identifier: BSD-2-Clause
"""Answers are compressed where that is asked for, and there alone."""

import gzip

import pytest

from harness import parse_metrics

ROUTES = ["/metrics", "/stats", "/connections", "/config", "/sources"]


@pytest.mark.parametrize("target", ROUTES)
def test_gzip_is_made_where_it_is_asked_for(launch, target):
    daemon = launch()
    plain = daemon.control.get(target)
    packed = daemon.control.get(target, {"Accept-Encoding": "gzip"})
    assert (plain.status, packed.status) == (200, 200)
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    for reply in (plain, packed):
        assert reply.headers["vary"] == "Accept-Encoding"
        assert int(reply.headers["content-length"]) == len(reply.body)
        assert reply.headers["content-type"] == plain.headers["content-type"]
    text = gzip.decompress(packed.body)
    assert text[:1] == plain.body[:1] and text[-1:] == b"\n" == plain.body[-1:]
    assert abs(len(text) - len(plain.body)) < 100  # figures move


def test_metrics_of_many_listeners_are_a_tenth(launch):
    listeners = [{"name": f"l{n}", "address": "tcp://127.0.0.1:0"} for n in range(60)]
    daemon = launch(listeners=listeners)
    packed = daemon.control.get("/metrics", {"Accept-Encoding": "gzip"})
    text = gzip.decompress(packed.body).decode()
    assert len(packed.body) < len(text) / 10
    samples = parse_metrics(text)
    assert len([key for key in samples if key[0] == "echod_connections"]) == 60


def test_head_tells_what_get_would(launch):
    daemon = launch()
    reply = daemon.control.request("HEAD", "/config", {"Accept-Encoding": "gzip"})
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["content-encoding"] == "gzip"
    length = len(daemon.control.get("/config", {"Accept-Encoding": "gzip"}).body)
    assert int(reply.headers["content-length"]) == length


@pytest.mark.parametrize(
    "accepted, packed",
    [
        (["gzip"], True),
        (["x-gzip"], True),
        (["GZip ; q=0.001"], True),
        (["deflate, gzip;q=1.0, *;q=0.5"], True),
        (["br", "gzip"], True),
        (["*"], True),
        (["identity;q=0.5, gzip;q=0.5"], True),
        (["identity;q=0, gzip"], True),
        (["identity;q=0, *"], True),
        ([], False),
        ([""], False),
        (["identity"], False),
        (["br, deflate, zstd"], False),
        (["gzip;q=0"], False),
        (["gzip;q=0.0, *"], False),
        (["*;q=0"], False),
        (["gzip;q=much"], False),
        (["gzip;q=0.2, identity;q=0.8"], False),
        (["gzipped"], False),
        ([";q=1,,;"], False),
    ],
)
def test_the_client_chooses(launch, accepted, packed):
    daemon = launch()
    lines = "".join(f"Accept-Encoding: {value}\r\n" for value in accepted)
    data = f"GET /metrics HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode()
    head, _, body = daemon.control.raw(data).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert (b"Content-Encoding: gzip" in head) == packed
    assert (body[:2] == b"\x1f\x8b") == packed
