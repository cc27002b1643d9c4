# SPDX-License-Identifier: BSD-2-Clause
"""Reads the daemon's log while it is being written."""

import json
import re

from .pace import wait_until


class LogFile:
    """The lines of one log file; records are those that are JSON objects."""

    def __init__(self, path):
        self.path = path

    def text(self):
        try:
            return self.path.read_bytes().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            return ""

    def lines(self):
        """Complete lines only: the last may still be on its way."""
        return self.text().split("\n")[:-1]

    def records(self):
        result = []
        for line in self.lines():
            line = re.sub(r"^<\d>", "", line)
            if line.startswith("{"):
                try:
                    result.append(json.loads(line))
                except ValueError:
                    continue
        return result

    def find(self, message=None, **fields):
        """Records whose message matches the expression and that have these fields."""
        return [
            record
            for record in self.records()
            if (message is None or re.search(message, record.get("message", "")))
            and all(record.get(key) == value for key, value in fields.items())
        ]

    def mentions(self, text):
        """Records that have the text in their message or in any field."""
        return [
            record
            for record in self.records()
            if any(text in str(value) for value in record.values())
        ]

    def wait_mentions(self, text, deadline=5):
        """The same once there is one: a thread of the daemon writes them."""
        return wait_until(lambda: self.mentions(text), deadline, f"{text!r} in the log")

    def wait_for(self, message=None, deadline=5, count=1, **fields):
        """Wait until there are `count` such records and return them."""
        wait_until(
            lambda: len(self.find(message, **fields)) >= count,
            deadline,
            f"{count} log line(s) with {message!r} {fields}; the log:\n{self.text()[-4000:]}",
        )
        return self.find(message, **fields)
