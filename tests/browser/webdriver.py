# SPDX-License-Identifier: BSD-2-Clause
"""Drives a headless Chromium through chromedriver: WebDriver over HTTP, nothing but the library."""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import urllib.error
import urllib.request

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_FLAGS = """
    --headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync
    --disable-default-apps --disable-extensions --disable-dev-shm-usage --disable-breakpad
    --force-color-profile=srgb --hide-scrollbars --window-size=1280,900
""".split()
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Space": " ", "Escape": "\ue00c", "ArrowLeft": "\ue012"}


class WebDriverError(Exception):
    """What the driver answered instead of a value."""


class Element:
    """An element of the page; it goes stale with the document."""

    def __init__(self, browser, identity):
        self._browser = browser
        self.reference = {_ELEMENT: identity}
        self._path = f"/element/{identity}"

    @property
    def text(self):
        return self._browser.call("GET", self._path + "/text")

    def property(self, name):
        return self._browser.call("GET", f"{self._path}/property/{name}")

    def attribute(self, name):
        return self._browser.call("GET", f"{self._path}/attribute/{name}")

    def style(self, name):
        return self._browser.call("GET", f"{self._path}/css/{name}")

    def shown(self):
        return self._browser.call("GET", self._path + "/displayed")

    def click(self):
        self._browser.call("POST", self._path + "/click", {})

    def type(self, text):
        self._browser.call("POST", self._path + "/value", {"text": text})


class Browser:
    """One Chromium with a fresh profile in DIRECTORY, and the driver that started it."""

    def __init__(self, directory, chromium, chromedriver, patience=30):
        self.directory = pathlib.Path(directory)
        self.patience = patience
        self._log = open(self.directory / "chromedriver.log", "wb")
        # the home folder of whoever runs the tests stays as it is
        home = {"HOME": str(self.directory), "XDG_CONFIG_HOME": str(self.directory / "config")}
        # port 0: the driver picks one that is free and says which
        self._driver = subprocess.Popen(
            [chromedriver, "--port=0", "--log-level=WARNING"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=self.directory,
            env=dict(os.environ, **home),
        )
        self._session = None
        try:
            self._url = self._read_url()
            self._session = self._start(chromium)
        except BaseException:
            self.close()
            raise

    def _read_url(self):
        for line in self._driver.stdout:
            words = line.decode().split()
            if b"started successfully" in line and words[-1].rstrip(".").isdigit():
                return f"http://127.0.0.1:{words[-1].rstrip('.')}"
        raise WebDriverError("chromedriver ended before it listened")

    def _start(self, chromium):
        profile = self.directory / "profile"
        options = {"binary": chromium, "args": [*_FLAGS, f"--user-data-dir={profile}"]}
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        body = {"capabilities": {"alwaysMatch": capabilities}}
        return self._request("POST", "/session", body)["sessionId"]

    def _request(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._url + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=self.patience) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise WebDriverError(f"{path}: {value['error']}: {value['message']}") from None

    def call(self, method, path, body=None):
        """One command of the WebDriver protocol within the session."""
        return self._request(method, f"/session/{self._session}{path}", body)

    def cdp(self, command, **parameters):
        """One command of the DevTools protocol."""
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def close(self):
        """End the browser and the driver, and remove the profile."""
        try:
            if self._session is not None:
                self.call("DELETE", "")
        except (OSError, WebDriverError):
            pass
        finally:
            self._driver.terminate()
            try:
                self._driver.wait(10)
            except subprocess.TimeoutExpired:
                self._driver.kill()
                self._driver.wait()
            self._driver.stdout.close()
            self._log.close()
            shutil.rmtree(self.directory / "profile", ignore_errors=True)

    # the page

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """The value that the body of a function returns."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector):
        """The first element for a CSS selector."""
        body = {"using": "css selector", "value": selector}
        return Element(self, self.call("POST", "/element", body)[_ELEMENT])

    def find_all(self, selector):
        body = {"using": "css selector", "value": selector}
        return [Element(self, item[_ELEMENT]) for item in self.call("POST", "/elements", body)]

    def texts(self, selector):
        """The text of each element for a selector, hidden ones too, read at one moment."""
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].map(n => n.textContent)", selector
        )

    def text(self, selector):
        (text,) = self.texts(selector)
        return text

    def press(self, *keys):
        """Press and release keys, by their names in KEYS, where the focus is."""
        actions = []
        for key in keys:
            value = KEYS.get(key, key)
            actions += [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        keyboard = {"type": "key", "id": "keyboard", "actions": actions}
        self.call("POST", "/actions", {"actions": [keyboard]})

    def complaints(self):
        """What the console holds of warnings and errors since the last call."""
        entries = self.call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("WARNING", "SEVERE")]

    # the surroundings

    def view(self, width=1280, height=900, scheme="light", motion="no-preference"):
        """Width and height of the window in CSS pixels, and what the user prefers."""
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        self.cdp(
            "Emulation.setEmulatedMedia",
            features=[{"name": name, "value": value} for name, value in features.items()],
        )

    def scripts(self, allowed):
        """Whether pages opened from now on may run scripts."""
        self.cdp("Emulation.setScriptExecutionDisabled", value=not allowed)

    def screenshot(self, path):
        """The whole page, beyond the window too, as a PNG."""
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))
