"""A real browser for tests: Chromium without a window, driven over its own DevTools protocol; nothing is waited for by the clock."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp

START_SECONDS_MAX: Final = 30.0
WAIT_SECONDS_MAX: Final = 15.0  # for anything a page is to show; a busy machine is slow
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
FLAGS: Final = (
    "--headless=new",
    "--no-sandbox",  # its sandbox does not start for root, and the only pages are the emulator's
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",  # a request to anywhere else fails
    "--remote-debugging-port=0",
)
# What a key is besides its text.
KEYS: Final = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), "ArrowDown": (40, ""), "ArrowUp": (38, "")}


Opened = Callable[..., AbstractAsyncContextManager["Page"]]  # opens the dashboard at a panel, in a window of some size and colours


class PageFailed(AssertionError):
    """The page did not do what the test asked for."""


class Chromium(NamedTuple):
    """A running browser."""

    address: str  # of its DevTools: ws://…

    @asynccontextmanager
    async def page(self, url: str, *, size: tuple[int, int] = (1600, 1000), scheme: str = "light") -> AsyncIterator[Page]:
        """A page in a window of its own, with no cookies and storage of others, that shows this address."""
        async with aiohttp.ClientSession() as session, session.ws_connect(self.address, max_msg_size=0) as socket:
            devtools = _DevTools(socket)
            listening = asyncio.get_running_loop().create_task(devtools.listen())
            try:
                context = (await devtools.send("Target.createBrowserContext"))["browserContextId"]
                made = {"url": "about:blank", "browserContextId": context}
                target = (await devtools.send("Target.createTarget", made))["targetId"]
                attached = await devtools.send("Target.attachToTarget", {"targetId": target, "flatten": True})
                page = Page(devtools, attached["sessionId"])
                await page.begin(url, size, scheme)
                yield page
                await devtools.send("Target.disposeBrowserContext", {"browserContextId": context})
            finally:
                listening.cancel()
                with suppress(asyncio.CancelledError):
                    await listening


@contextmanager
def running() -> Iterator[Chromium]:
    """Chromium with a profile that is thrown away."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise RuntimeError("The dashboard is tested in a real browser, and Chromium is missing: install it (Debian: chromium).")
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as home:
        command = [program, *FLAGS, f"--user-data-dir={home}/profile", "about:blank"]
        environment = {"PATH": os.defpath, "HOME": home, "LANG": "C.UTF-8", "TZ": "UTC"}
        with Path(home, "log").open("wb") as log:
            process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=log, env=environment, start_new_session=True)
        try:
            yield Chromium(_devtools(process))
        finally:
            process.terminate()
            try:
                process.wait(timeout=START_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stderr is not None
            process.stderr.close()


def _devtools(process: subprocess.Popen[bytes]) -> str:
    """Where the browser says that it listens; it says so on its standard error, which ends when it does."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line.decode(errors="replace"))
        _, mark, address = said[-1].partition("DevTools listening on ")
        if mark:
            return address.strip()
    raise RuntimeError(f"Chromium did not start: {''.join(said)[-2000:]}")


class _DevTools:
    """Calls to the browser, and what it tells by itself."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._count = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.told: list[dict[str, Any]] = []

    async def listen(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            waiting = self._waiting.pop(said.get("id", 0), None)
            if waiting is None:
                self.told.append(said)
            elif "error" in said:
                waiting.set_exception(PageFailed(said["error"]["message"]))
            else:
                waiting.set_result(said["result"])

    async def send(self, method: str, parameters: dict[str, Any] | None = None, session: str = "") -> Any:
        self._count += 1
        waiting = self._waiting[self._count] = asyncio.get_running_loop().create_future()
        call = {"id": self._count, "method": method, "params": parameters or {}}
        await self._socket.send_json(call | ({"sessionId": session} if session else {}))
        async with asyncio.timeout(2 * WAIT_SECONDS_MAX):
            return await waiting


class Page:
    """One page, used as a person uses it: by what can be seen, with pointer and keys."""

    def __init__(self, devtools: _DevTools, session: str) -> None:
        self._devtools = devtools
        self._session = session

    async def begin(self, url: str, size: tuple[int, int], scheme: str) -> None:
        """Opens the address, in a window of this size, on a system with these colours."""
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            await self.send(f"{domain}.enable")
        await self.resize(*size)
        await self.colours(scheme)
        await self.open(url)

    async def send(self, method: str, **parameters: Any) -> Any:
        """A call of the DevTools protocol."""
        return await self._devtools.send(method, parameters, self._session)

    async def open(self, url: str) -> None:
        """Goes to an address."""
        await self.send("Page.navigate", url=url)
        await self.wait("document.readyState === 'complete'")

    async def resize(self, width: int, height: int) -> None:
        """Another size of the window."""
        await self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    async def colours(self, scheme: str) -> None:
        """The system is light or dark now."""
        await self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def run(self, script: str) -> Any:
        """What an expression is in the page; a promise is waited for."""
        answer = await self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in answer:
            raise PageFailed(answer["exceptionDetails"].get("exception", {}).get("description", answer["exceptionDetails"]["text"]))
        return answer["result"].get("value")

    async def wait(self, condition: str) -> Any:
        """Returns the expression's value when it is true; it is looked at whenever the page may have drawn something."""
        script = f"""new Promise((resolve, reject) => {{
            const end = performance.now() + {WAIT_SECONDS_MAX * 1000};
            const look = () => {{
                let value = false;
                try {{ value = ({condition}); }} catch (failure) {{ if (performance.now() > end) return reject(failure); }}
                if (value) return resolve(value);
                if (performance.now() > end) return reject(new Error("never came true"));
                setTimeout(look, 20);
            }};
            look();
        }})"""
        try:
            return await self.run(script)
        except PageFailed as failed:
            shown = await self.run("document.body.innerText.slice(0, 3000)")
            raise PageFailed(f"{condition}: {failed}\nthe page shows:\n{shown}") from failed

    async def text(self, selector: str) -> str:
        """What can be read there, as soon as it is there."""
        return str(await self.wait(f"document.querySelector({json.dumps(selector)})?.innerText ?? null"))

    async def shows(self, text: str, selector: str = "body") -> None:
        """Returns when the text can be read there."""
        await self.wait(f"document.querySelector({json.dumps(selector)})?.innerText.includes({json.dumps(text)})")

    async def click(self, selector: str, text: str = "") -> None:
        """Clicks, with a pointer, the first element that fits, can be seen and has the text."""
        place = await self.wait(
            f"""(() => {{
                const element = [...document.querySelectorAll({json.dumps(selector)})].find((element) =>
                    element.checkVisibility() && !element.disabled && element.innerText.includes({json.dumps(text)}));
                if (!element) return null;
                element.scrollIntoView({{ block: "nearest" }});
                const {{ left, top, width, height }} = element.getBoundingClientRect();
                const [x, y, before] = [left + width / 2, top + height / 2, element.wasAt];
                element.wasAt = `${{x}} ${{y}}`;
                return before === element.wasAt && element.contains(document.elementFromPoint(x, y)) ? [x, y] : null;
            }})()"""
        )  # twice at the same place, and nothing lies over it
        where = {"x": place[0], "y": place[1], "button": "left", "clickCount": 1}
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            await self.send("Input.dispatchMouseEvent", type=kind, **where)

    async def press(self, key: str) -> None:
        """Presses a key."""
        code, text = KEYS.get(key, (ord(key[0].upper()), key))
        said = {"key": key, "windowsVirtualKeyCode": code, **({"text": text} if text else {})}
        await self.send("Input.dispatchKeyEvent", type="keyDown", **said)
        await self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    async def write(self, selector: str, text: str) -> None:
        """Writes into a field, in place of what is there."""
        await self.wait(f"document.querySelector({json.dumps(selector)})?.checkVisibility()")
        await self.run(f"(() => {{ const field = document.querySelector({json.dumps(selector)}); field.focus(); field.select?.(); }})()")
        await self.send("Input.insertText", text=text)

    async def choose(self, selector: str, value: str) -> None:
        """Chooses from a list of options."""
        element = f"document.querySelector({json.dumps(selector)})"
        await self.wait(f"[...({element}?.options ?? [])].some((option) => option.value === {json.dumps(value)})")
        await self.run(
            f"(() => {{ {element}.value = {json.dumps(value)};"
            f" for (const kind of ['input', 'change']) {element}.dispatchEvent(new Event(kind, {{ bubbles: true }})); }})()"
        )

    async def give(self, selector: str, files: Sequence[Path]) -> None:
        """Hands files to a field for files, as its dialog would."""
        document = await self.send("DOM.getDocument")
        node = await self.send("DOM.querySelector", nodeId=document["root"]["nodeId"], selector=selector)
        await self.send("DOM.setFileInputFiles", nodeId=node["nodeId"], files=[str(file) for file in files])

    async def drop(self, selector: str, files: Sequence[Path]) -> None:
        """Drags files from outside and drops them."""
        place = await self.wait(
            f"(() => {{ const box = document.querySelector({json.dumps(selector)})?.getBoundingClientRect();"
            " return box?.width ? [box.left + box.width / 2, box.top + box.height / 2] : null; })()"
        )
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            await self.send("Input.dispatchDragEvent", type=kind, x=place[0], y=place[1], data=data)

    async def picture(self, path: Path) -> None:
        """Saves what the window shows."""
        shot = await self.send("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    @property
    def complaints(self) -> list[str]:
        """What the browser complained of: exceptions, and what the content security policy does not allow."""
        found = []
        for said in self._devtools.told:
            method, parameters = said.get("method"), said.get("params", {})
            if method == "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                found.append(details.get("exception", {}).get("description", details["text"]))
            elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error" and parameters["entry"]["source"] != "network":
                found.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        return found

    @property
    def asked(self) -> list[str]:
        """Every address that the page asked for."""
        sent = (said["params"]["request"]["url"] for said in self._devtools.told if said.get("method") == "Network.requestWillBeSent")
        return [url for url in sent if not url.startswith(("data:", "blob:", "about:"))]
