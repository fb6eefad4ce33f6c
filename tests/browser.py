"""A real browser without a window, driven through a pipe (DevTools protocol), without a package."""

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import time

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
]
PATIENCE = 30  # seconds


class Browser:
    """One page; `told` gathers what it wrote to its console, and what it asked of the network."""

    def __init__(self, folder):
        down, up = os.pipe(), os.pipe()
        shell = f'exec 3<&{down[0]} 4>&{up[1]}; exec "$@"'
        options = [*FLAGS, f"--user-data-dir={folder}", "about:blank"]
        self.process = subprocess.Popen(
            ["bash", "-c", shell, "bash", CHROMIUM, *options],
            pass_fds=(down[0], up[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(down[0])
        os.close(up[1])
        self.writer, self.reader = down[1], up[0]
        self.rest, self.count, self.told, self.session = b"", 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        found = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        """End the browser and all of its processes."""
        for end in (self.writer, self.reader):
            os.close(end)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def call(self, method, **parameters):
        """Return the result of a command of the protocol."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]
            self.told.append(answer)

    def receive(self):
        """Return the next message."""
        until = time.monotonic() + PATIENCE
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.reader], [], [], max(0, until - time.monotonic()))
            part = os.read(self.reader, 1 << 20) if ready else b""
            assert part, "the browser says nothing"
            self.rest += part
        line, _, self.rest = self.rest.partition(b"\0")
        return json.loads(line)

    def open(self, path, width=1280, height=900, theme="light", touch=False):
        """Load a file as a window of this size shows it."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=touch,
        )
        feature = {"name": "prefers-color-scheme", "value": theme}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self.told.clear()
        self.call("Page.navigate", url=path.as_uri())
        until = time.monotonic() + PATIENCE
        while not any(m.get("method") == "Page.loadEventFired" for m in self.told):
            assert time.monotonic() < until
            self.told.append(self.receive())

    def ask(self, code):
        """Return the value of an expression."""
        found = self.call("Runtime.evaluate", expression=code, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, code, act=None):
        """Return whether an expression comes true in time; `act` is done again each second."""
        end = time.monotonic() + PATIENCE / 3
        while time.monotonic() < end:
            if act is not None:
                act()
            again = time.monotonic() + 1
            while time.monotonic() < again:
                if self.ask(code):
                    return True
                time.sleep(0.05)
        return False

    def press(self, key):
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def point(self, code):
        """Move the pointer to the middle of the element that an expression gives."""
        x, y = self.middle(code)
        for place in ((0, 0), (x, y)):  # from elsewhere: a pointer that stays tells nothing
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])

    def tap(self, code):
        """Touch the middle of the element that an expression gives, for a moment."""
        x, y = self.middle(code)
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def middle(self, code):
        """Return the middle of an element, scrolled into view."""
        return self.ask(
            f"(() => {{ const e = {code}; "
            "e.scrollIntoView({block: 'center', behavior: 'instant'}); "
            "const b = e.getBoundingClientRect(); "
            "return [b.x + b.width / 2, b.y + b.height / 2] })()"
        )

    def complaints(self):
        """Return what the page wrote to its console, errors of its policy among them."""
        methods = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [m["params"] for m in self.told if m.get("method") in methods]

    def requests(self):
        """Return the addresses that the page asked for."""
        asked = [m for m in self.told if m.get("method") == "Network.requestWillBeSent"]
        return [m["params"]["request"]["url"] for m in asked]

    def picture(self, path):
        """Write what is seen as PNG."""
        found = self.call("Page.captureScreenshot")
        path.write_bytes(base64.b64decode(found["data"]))
