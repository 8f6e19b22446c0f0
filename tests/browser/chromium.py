"""A real Chromium without a window, driven over its DevTools protocol: one browser, a profile a person, pages in it.

Nothing here waits for a fixed time: `Page.until` asks the page again until what it is asked for is true.
"""

import base64
import json
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from tests.house import until

START_S = 30.0
LOOK_MS = 500
STOP_S = 5.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--hide-scrollbars",
    "--no-first-run",
    "--proxy-server=direct://",
    "--remote-debugging-port=0",
)
# The middle of the first visible element of a kind, once there is one that can be used.
MIDDLE = """(selector => {
    const found = [...document.querySelectorAll(selector)].find(e => e.checkVisibility() && !e.disabled);
    if (!found) return null;
    found.scrollIntoView({block: "nearest"});
    const {x, y, width, height} = found.getBoundingClientRect();
    return {x: x + width / 2, y: y + height / 2};
})"""
# The same, once it has held still for a moment and nothing lies over it.
REACHABLE = f"""(async selector => {{
    const before = {MIDDLE}(selector);
    await new Promise(done => setTimeout(done, 30));
    const now = {MIDDLE}(selector);
    if (!before || !now || before.x !== now.x || before.y !== now.y) return null;
    const on_top = document.elementFromPoint(now.x, now.y);
    const found = [...document.querySelectorAll(selector)].find(e => e.checkVisibility() && !e.disabled);
    return found.contains(on_top) || on_top?.contains(found) || on_top?.control === found ? now : null;
}})"""
WATCH = (
    "addEventListener('securitypolicyviolation', e => console.error(`POLICY ${e.violatedDirective} ${e.blockedURI}`))"
)


# Network.setBlockedURLs does not know WebSockets: these are made and never open, until they are let go.
HELD_SOCKETS = """(Real => {
    const held = [];
    window.letSocketsGo = () => {
        window.WebSocket = Real;
        for (const one of held) one.dispatchEvent(new CloseEvent("close", {code: 1006}));
    };
    window.WebSocket = class extends EventTarget {
        static OPEN = Real.OPEN;
        readyState = Real.CONNECTING;
        constructor() { super(); held.push(this); }
        send() {}
        close() {}
    };
})(WebSocket)"""


class ScriptError(Exception):
    """The page's script threw, or the page went away while it ran."""


class Chromium:
    """The browser. Events of all pages come over one socket and are kept by the page's session."""

    def __init__(self, binary: str, directory: Path) -> None:
        port_file = directory / "DevToolsActivePort"
        command = [binary, *FLAGS, f"--user-data-dir={directory}", "about:blank"]
        self._open = ExitStack()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._open.callback(_ended, process)
        try:
            written = until(lambda: port_file.exists() and port_file.read_text().split(), START_S, "Chromium to start")
        except BaseException:
            self._open.close()
            raise
        address = f"ws://127.0.0.1:{written[0]}{written[1]}"
        self._socket = self._open.enter_context(connect(address, proxy=None, max_size=None, close_timeout=1))
        self._asked = 0
        self.events: dict[str, list[dict[str, Any]]] = {}

    def close(self) -> None:
        self.ask("Browser.close")
        self._open.close()

    def ask(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """One command, and its answer."""
        self._asked += 1
        asked = {"id": self._asked, "method": method, "params": params} | ({"sessionId": session} if session else {})
        self._socket.send(json.dumps(asked))
        while (found := self.read()).get("id") != self._asked:
            pass
        if "error" in found:
            raise ScriptError(f"{method}: {found['error']['message']}")
        answer: dict[str, Any] = found["result"]
        return answer

    def read(self) -> dict[str, Any]:
        """The next thing the browser says; an event is kept too."""
        found: dict[str, Any] = json.loads(self._socket.recv(timeout=START_S))
        if "method" in found:
            self.events.setdefault(found.get("sessionId", ""), []).append(found)
        return found


class Profile:
    """One person's browser: cookies and storage of their own."""

    def __init__(self, browser: Chromium, url: str) -> None:
        self.url = url
        self.pages: list[Page] = []
        self._browser = browser
        self._id = browser.ask("Target.createBrowserContext")["browserContextId"]
        allowed = ["clipboardReadWrite", "clipboardSanitizedWrite"]
        browser.ask("Browser.grantPermissions", browserContextId=self._id, origin=url, permissions=allowed)

    def page(self, path: str = "/", width: int = 1280, height: int = 800, *, window: bool = True) -> "Page":
        """A new window, loaded; or a new tab in front of the last window's, which is hidden by it."""
        asked = {"url": "about:blank", "browserContextId": self._id, "newWindow": window}
        page = Page(self._browser, self._browser.ask("Target.createTarget", **asked)["targetId"], self.url)
        self.pages.append(page)
        page.resize(width, height)
        page.go(path)
        return page

    def hold_cookies(self, cookies: Mapping[str, str]) -> None:
        """As a server of this address has set them."""
        kept = [{"name": name, "value": value, "url": self.url, "httpOnly": True} for name, value in cookies.items()]
        self._browser.ask("Storage.setCookies", browserContextId=self._id, cookies=kept)

    def close(self) -> None:
        self._browser.ask("Target.disposeBrowserContext", browserContextId=self._id)


class Page:
    """One tab."""

    def __init__(self, browser: Chromium, target: str, url: str) -> None:
        self._browser = browser
        self._target = target
        self._url = url
        self._session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")
        self.ask("Emulation.setFocusEmulationEnabled", enabled=True)
        self.ask("Page.addScriptToEvaluateOnNewDocument", source=WATCH)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.ask(method, self._session, **params)

    def go(self, path: str) -> None:
        self._load("Page.navigate", url=self._url + path)

    def reload(self) -> None:
        self._load("Page.reload")

    def hold_sockets(self) -> None:
        """From the next page on, in this tab: no WebSocket opens until `let_sockets_go`."""
        self._holding = self.ask("Page.addScriptToEvaluateOnNewDocument", source=HELD_SOCKETS)["identifier"]

    def let_sockets_go(self) -> None:
        self.ask("Page.removeScriptToEvaluateOnNewDocument", identifier=self._holding)
        self.run("letSocketsGo()")

    def bring_to_front(self) -> None:
        self.ask("Page.bringToFront")
        self.ask("Emulation.setFocusEmulationEnabled", enabled=True)

    def look_away(self) -> None:
        """Somebody works in another window: this page is neither in front nor focused."""
        self.ask("Emulation.setFocusEmulationEnabled", enabled=False)

    def run(self, script: str) -> Any:
        """What an expression, or the promise that it is, comes to."""
        found = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise ScriptError(json.dumps(found["exceptionDetails"])[:500])
        return found["result"].get("value")

    def until(self, script: str) -> Any:
        """Wait until the expression is true, and answer it. The page itself looks again and again."""
        watch = f"""(async () => {{
            for (const end = Date.now() + {LOOK_MS}; Date.now() < end; await new Promise(r => setTimeout(r, 15))) {{
                const found = await ({script});
                if (found) return found;
            }}
            return null;
        }})()"""
        return until(lambda: self._run_here(watch), what=script)

    def _run_here(self, script: str) -> Any:
        """None when the page is left meanwhile."""
        try:
            return self.run(script)
        except ScriptError as error:
            if "context" in str(error) or "navigated" in str(error):
                return None
            raise

    def shows(self, selector: str) -> None:
        """Wait until there is something of that kind to see."""
        self.until(f"{MIDDLE}({json.dumps(selector)}) !== null")

    def hides(self, selector: str) -> None:
        """Wait until there is nothing of that kind to see."""
        self.until(f"{MIDDLE}({json.dumps(selector)}) === null")

    def texts(self, selector: str) -> list[str]:
        """What can be read in all visible elements of that kind, in order."""
        found: list[str] = self.run(
            f"[...document.querySelectorAll({json.dumps(selector)})].filter(e => e.checkVisibility())"
            ".map(e => e.innerText.trim())"
        )
        return found

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of the first visible one, as soon as there is one."""
        found = self.until(f"{REACHABLE}({json.dumps(selector)})")
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **found)

    def fill(self, selector: str, text: str) -> None:
        self.click(selector)
        self.run("document.activeElement.select?.()")
        self.ask("Input.insertText", text=text)

    def press(self, key: str, modifiers: int = 0) -> None:
        """One key, by its name; `modifiers` is a sum of 1 for Alt, 2 for Ctrl, 8 for Shift."""
        text = {"text": "\r"} if key == "Enter" else {}
        code = {"Enter": 13, "Tab": 9, "Backspace": 8, "Escape": 27, "ArrowUp": 38, "ArrowDown": 40, "k": 75}[key]
        known = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, **known, **text)

    def resize(self, width: int, height: int) -> None:
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot")["data"]))

    @property
    def complaints(self) -> list[str]:
        """What the console shows in red: exceptions, errors, broken policies, and requests that failed."""
        self.run("0")
        return [line for event in self._browser.events.get(self._session, ()) if (line := _complaint(event))]

    @property
    def faults(self) -> list[str]:
        """Those complaints that are not about the network."""
        network = ("Failed to load resource", "WebSocket connection to")
        return [line for line in self.complaints if not line.startswith(network)]

    def forget_complaints(self) -> None:
        """Those that a test has asked for."""
        self.run("0")
        self._browser.events[self._session].clear()

    def _load(self, method: str, **params: Any) -> None:
        came = len(self._heard("Page.loadEventFired"))
        self.ask(method, **params)
        while len(self._heard("Page.loadEventFired")) == came:
            self._browser.read()

    def _heard(self, method: str) -> list[dict[str, Any]]:
        return [event for event in self._browser.events.get(self._session, ()) if event["method"] == method]


def _ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _complaint(event: dict[str, Any]) -> str:
    params = event["params"]
    match event["method"]:
        case "Runtime.exceptionThrown":
            return json.dumps(params["exceptionDetails"])[:500]
        case "Runtime.consoleAPICalled" if params["type"] in {"error", "warning", "assert"}:
            return json.dumps(params["args"])[:500]
        case "Log.entryAdded" if params["entry"]["level"] in {"error", "warning"}:
            return f"{params['entry']['text']} {params['entry'].get('url', '')}"
    return ""
