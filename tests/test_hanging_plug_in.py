"""A server whose plug-in hangs for good still answers others, and still ends when it is told to."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from pictures import drawn

SECONDS_MAX = 30
PLUG_IN = """
import asyncio, threading
from vision_emulator import Annotator
from vision_emulator.contract.messages import AnnotateImageResponse, Feature

class Stuck(Annotator):
    name = "stuck"
    def claims(self, picture, feature): return feature == Feature.LABEL_DETECTION
    async def annotate(self, picture, features, context):
        await asyncio.to_thread(threading.Event().wait)
"""


def test_a_thread_that_hangs_keeps_the_server_neither_from_answering_nor_from_ending(tmp_path: Path) -> None:
    """Its image times out, other images are answered, and SIGTERM ends the process though Python would wait for the thread."""
    (tmp_path / "stuck.py").write_text(PLUG_IN)
    flags = ("--port", "0", "--annotator", "stuck:Stuck", "--annotate-timeout", "0.2", "--drain-seconds", "0")
    command = [sys.executable, "-P", "-m", "vision_emulator", "serve", *flags]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("Ready on ").partition(": ")[0]
        responses = annotated(address, "LABEL_DETECTION", "SAFE_SEARCH_DETECTION")
        assert responses[0]["error"] == {"code": 4, "message": "Deadline exceeded. Error processing features."}
        assert responses[1]["safeSearchAnnotation"]
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 1
        assert "something did not stop in 5 s, perhaps an annotator that hangs" in log
    finally:
        process.kill()
        process.communicate(timeout=SECONDS_MAX)


def test_a_thread_that_hangs_does_not_keep_a_command_from_ending(tmp_path: Path) -> None:
    """``annotate`` prints what there is as soon as it is there, and ends though Python would wait for the thread."""
    (tmp_path / "stuck.py").write_text(PLUG_IN)
    (tmp_path / "cat.jpg").write_bytes(drawn())
    flags = ("cat.jpg", "--annotator", "stuck:Stuck", "--annotate-timeout", "0.2")
    command = [sys.executable, "-P", "-m", "vision_emulator", "annotate", *flags]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert json.loads(run.stdout)["responses"][0]["error"]["code"] == 4
    assert run.returncode == 1
    assert "something did not stop in 5 s, perhaps an annotator that hangs" in run.stderr


def annotated(address: str, *features: str) -> Any:
    """The responses for one picture a feature."""
    content = base64.b64encode(drawn()).decode()
    body = {"requests": [{"image": {"content": content}, "features": [{"type": feature}]} for feature in features]}
    request = urllib.request.Request(f"http://{address}/v1/images:annotate", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:  # noqa: S310 - the server of the test
        return json.load(answer)["responses"]
