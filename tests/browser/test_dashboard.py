"""The dashboard in a real browser, while real clients make calls: each panel shows what happens and does what it says."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from chromium import Chromium, Opened, Page
from google.api_core.exceptions import GoogleAPICallError, TooManyRequests
from google.cloud import vision

from pictures import drawn
from plain import PLAIN
from vision_emulator import VisionEmulator

PANELS = ("operations", "journal", "workbench", "buckets", "levers", "usage")
LABELS = [{"type_": vision.Feature.Type.LABEL_DETECTION}]
HOSTILE = '<img src=x onerror="window.struck=1"><script>window.struck=2</script>'


def uri_request(uri: str) -> Any:
    return {"image": {"source": {"image_uri": uri}}, "features": LABELS}


def begin(emulator: VisionEmulator, uris: list[str], *, batch_size: int = 2, pace: str = "auto") -> Any:
    """Begins an offline batch with Google's client."""
    output = {"gcs_destination": {"uri": "gs://results/run/"}, "batch_size": batch_size}
    requests = [uri_request(uri) for uri in uris]
    metadata = [("x-vision-emulator-pace", pace)]
    return emulator.client().async_batch_annotate_images(requests=requests, output_config=output, metadata=metadata)


def annotate(emulator: VisionEmulator, content: bytes) -> Any:
    """Labels of inline bytes, over REST, with Google's client."""
    request: Any = {"image": {"content": content}, "features": LABELS}
    return emulator.rest_client().annotate_image(request)


# ---- operations ----


async def test_an_operation_is_watched_and_completed(dashboard: Opened, emulator: VisionEmulator, tmp_path: Path) -> None:
    """It appears by itself with its progress; a file of results opens as JSON; Complete lets the waiting client have its result."""
    for number in range(5):
        emulator.buckets.write(f"gs://photos/{number}.jpg", drawn(number))
    async with dashboard("operations") as page:
        await page.shows("No operation yet.", "#operations-empty")
        assert f"curl {emulator.url}/v1/images:asyncBatchAnnotate" in await page.text("#operations-empty pre")
        operation = await asyncio.to_thread(begin, emulator, [f"gs://photos/{number}.jpg" for number in range(5)], pace="manual")
        await page.shows("finished, hidden by pace manual", "#operations-list")
        await page.shows("5 of 5 images · 3 of 3 files", "#operations-list")
        await page.click("#operations-list li")
        await page.shows("No client has asked for it yet.", "#operation")
        waiting = asyncio.to_thread(operation.result, timeout=30)
        result, _ = await asyncio.gather(waiting, completed(page))
        assert result.output_config.gcs_destination.uri == "gs://results/run/"
        await page.shows("saw it done", "#operation table")
        await page.picture(tmp_path / "operations.png")
        await page.click("#operation .shard a", "3–4")
        await page.shows("gs://photos/3.jpg", "#bucket .viewer")


async def completed(page: Page) -> None:
    """Somebody polls, and then the operation is completed by hand."""
    await page.wait("!document.querySelector('#operation').innerText.includes('No client has asked')")
    await page.click("#operation button", "Complete")
    await page.wait("document.querySelector('#operation .lead').innerText === 'done'")


async def test_progress_moves_while_the_work_goes_on(dashboard: Opened, emulator: VisionEmulator) -> None:
    """Images that are looked at and files that are written are counted as it happens; Cancel stops the work."""
    for number in range(6):
        emulator.buckets.write(f"gs://photos/{number}.jpg", drawn(number))
    emulator.clock.stop()
    emulator.fixtures.add({"uri": "gs://photos/5.jpg"}, {"labelAnnotations": [{"description": "Slow"}]}, delay=60)
    async with dashboard("operations") as page:
        operation = await asyncio.to_thread(begin, emulator, [f"gs://photos/{number}.jpg" for number in range(6)])
        await page.shows("5 of 6 images · 2 of 3 files", "#operations-list")
        await page.press("j")
        await page.wait("document.querySelectorAll('#operation .shard.pending').length === 1")
        assert await page.run("document.querySelector('#operation progress').value") == pytest.approx(5 / 6)
        await page.click("#operation button", "Cancel")
        await page.shows("cancelled", "#operations-list")
        assert await asyncio.to_thread(operation.done)


async def test_an_operation_is_failed_by_hand(dashboard: Opened, emulator: VisionEmulator) -> None:
    """The dialog's code and message are what the client gets; a code that is none is refused with a sentence, and the dialog stays."""
    emulator.buckets.write("gs://photos/0.jpg", drawn())
    operation = await asyncio.to_thread(begin, emulator, ["gs://photos/0.jpg"], pace="never")
    async with dashboard("operations") as page:
        await page.click("#operations-list li")
        await page.click("#operation button", "Fail")
        await page.write("#asked input[name=code]", "NOTHING")
        await page.click("#asked-yes")
        await page.shows("NOTHING", "#asked-fault")
        await page.write("#asked input[name=code]", "UNAVAILABLE")
        await page.write("#asked input[name=message]", "The disk is full.")
        await page.press("Enter")
        await page.shows("UNAVAILABLE", "#operations-list")
    with pytest.raises(GoogleAPICallError, match="The disk is full"):
        await asyncio.to_thread(operation.result, timeout=30)


# ---- journal ----


async def test_the_journal_is_live(dashboard: Opened, emulator: VisionEmulator, tmp_path: Path) -> None:
    """Calls appear as they are made; one that is chosen shows request and answer side by side, and the picture as what it is."""
    content = drawn(3)
    async with dashboard("journal") as page:
        await page.shows("No call yet.", "#journal-empty")
        await asyncio.to_thread(annotate, emulator, content)
        await page.shows("jpeg 160 × 120", "#journal-list")
        await page.click("#journal-list li")
        await page.shows("labelAnnotations", "#call [aria-label=Answer]")
        shown = await page.text("#call")
        assert f"sha256 {hashlib.sha256(content).hexdigest()[:16]}" in shown
        assert "image/jpeg · 160 × 120" in shown
        assert "gapic" in shown
        left, right = await page.run(
            "[...document.querySelectorAll('#call .sides > section')].map((each) => each.getBoundingClientRect().left)"
        )
        assert left < right
        await page.picture(tmp_path / "journal.png")


async def test_the_journal_is_filtered(dashboard: Opened, emulator: VisionEmulator) -> None:
    """By transport, answer and text; what does not fit goes, also of calls that come later."""
    client = emulator.client()
    async with dashboard("journal") as page:
        await asyncio.to_thread(annotate, emulator, drawn())
        await asyncio.to_thread(client.annotate_image, uri_request("gs://photos/none.jpg"))
        await page.wait("document.querySelectorAll('#journal-list li').length === 2")
        await page.choose("#journal-transport", "grpc")
        await page.wait("document.querySelectorAll('#journal-list li').length === 1")
        await page.choose("#journal-transport", "")
        await page.press("/")
        await page.write("#journal-text", "none.jpg")
        await page.wait("document.querySelectorAll('#journal-list li').length === 1")
        await asyncio.to_thread(annotate, emulator, drawn(1))
        await asyncio.to_thread(client.annotate_image, uri_request("gs://photos/none.jpg"))
        await page.wait("document.querySelectorAll('#journal-list li').length === 2")
        await page.choose("#journal-answer", "bad")
        await page.shows("No call fits the filter.", "#journal-empty")


async def test_rows_stay_as_they_are(dashboard: Opened, emulator: VisionEmulator) -> None:
    """What is on the page is not drawn anew when calls come: element and choice stay, and so nothing flickers."""
    async with dashboard("journal") as page:
        await asyncio.to_thread(annotate, emulator, drawn())
        await page.click("#journal-list li")
        await page.shows("Answer", "#call")
        await page.run("document.querySelector('#journal-list li').known = document.querySelector('#call h3').known = true")
        for number in range(3):
            await asyncio.to_thread(annotate, emulator, drawn(number))
        await page.wait("document.querySelectorAll('#journal-list li').length === 4")
        assert await page.run("document.querySelector('#journal-list li:last-child').known && document.querySelector('#call h3').known")
        assert await page.run("document.querySelector('#journal-list [aria-selected=true]').known")


async def test_a_reset_by_somebody_else_is_noticed(dashboard: Opened, emulator: VisionEmulator) -> None:
    """A test that resets the server empties the page, too."""
    async with dashboard("journal") as page:
        await asyncio.to_thread(annotate, emulator, drawn())
        await page.wait("document.querySelectorAll('#journal-list li').length === 1")
        await asyncio.to_thread(emulator.reset)
        await page.shows("No call yet.", "#journal-empty")


# ---- buckets ----


async def test_buckets_take_files_and_show_them(dashboard: Opened, emulator: VisionEmulator, picture: Path, tmp_path: Path) -> None:
    """A bucket is made, files are dropped in and seen by Google's client, opened as what they are, and deleted."""
    notes = tmp_path / "notes.txt"
    notes.write_text("Seven gardens.\n")
    async with dashboard("buckets") as page:
        await page.write("#buckets-name", "holiday")
        await page.press("Enter")
        await page.shows("Drop files into this space", "#bucket")
        await page.drop("#bucket .objects", [picture, notes])
        await page.shows("2 objects", "#bucket")
        bucket = emulator.storage_client().bucket("holiday")
        blob = await asyncio.to_thread(bucket.get_blob, "garden.png")
        assert blob.content_type == "image/png"
        assert await asyncio.to_thread(blob.download_as_bytes) == picture.read_bytes()
        await page.click("#objects-list li", "notes.txt")
        await page.shows("Seven gardens.", "#bucket .viewer")
        await page.click("#objects-list li", "garden.png")
        await page.wait("document.querySelector('#bucket canvas')?.width === 320")
        await page.picture(tmp_path / "buckets.png")
        await page.click("#bucket .viewer button", "Delete")
        await page.click("#asked-yes")
        await page.shows("1 object", "#bucket .left")
        assert not await asyncio.to_thread(bucket.blob("garden.png").exists)
        await asyncio.to_thread(bucket.blob("later/one.bin").upload_from_string, b"\0\1")
        await page.shows("later/one.bin", "#objects-list")
        await page.click("#bucket button", "Delete bucket")
        await page.click("#asked-yes")
        await page.wait("!document.querySelector('#buckets-list').innerText.includes('holiday')")
        assert "holiday" not in await asyncio.to_thread(emulator.buckets.list)


# ---- workbench ----


async def test_the_workbench_draws_what_was_found(dashboard: Opened, emulator: VisionEmulator, picture: Path, tmp_path: Path) -> None:
    """Boxes, words, faces with their points, logos, landmarks, crops and colours of the answer lie over the image, labels are bars."""

    def box(left: int, top: int) -> Any:
        return {"vertices": [{"x": left + x, "y": top + y} for x, y in ((0, 0), (40, 0), (40, 30), (0, 30))]}

    corners = [{"x": 0.5, "y": 0.5}, {"x": 0.9, "y": 0.5}, {"x": 0.9, "y": 0.9}, {"x": 0.5, "y": 0.9}]
    answer = {
        "labelAnnotations": [{"description": "Garden", "score": 0.75}],
        "localizedObjectAnnotations": [{"name": "Bench", "score": 0.9, "boundingPoly": {"normalizedVertices": corners}}],
        "faceAnnotations": [{"boundingPoly": box(0, 0), "landmarks": [{"type": "NOSE_TIP", "position": {"x": 20, "y": 15}}]}],
        "textAnnotations": [{"description": "Hi you", "boundingPoly": box(9, 9)}, *({"description": "Hi", "boundingPoly": box(9, 9)},) * 2],
        "logoAnnotations": [{"description": "Acme", "score": 0.6, "boundingPoly": box(60, 60)}],
        "landmarkAnnotations": [{"description": "Big tree", "score": 0.6, "boundingPoly": box(90, 90)}],
        "cropHintsAnnotation": {"cropHints": [{"boundingPoly": box(5, 5), "confidence": 0.5}]},
        "imagePropertiesAnnotation": {"dominantColors": {"colors": [{"color": {"red": 255}, "score": 1, "pixelFraction": 0.5}]}},
        "safeSearchAnnotation": {"adult": "VERY_UNLIKELY", "violence": "LIKELY"},
    }
    emulator.fixtures.add({"sha256": hashlib.sha256(picture.read_bytes()).hexdigest()}, answer)
    async with dashboard("workbench") as page:
        await page.drop("#workbench-drop", [picture])
        await page.shows("garden.png", "#workbench-source")
        await page.click("#workbench-all")
        await page.click("#workbench-go")
        await page.shows("Answered by fixtures", "#workbench-results")
        layers = ["objects", "faces", "text", "text", "logos", "landmarks", "crops"]
        drawn_layers = await page.run("[...document.querySelectorAll('#workbench-shapes g')].map((each) => each.classList[1])")
        assert drawn_layers == layers
        outline = "document.querySelector('#workbench-shapes .objects polygon').getAttribute('points')"
        assert await page.run(outline) == "160,120 288,120 288,216 160,216"
        assert await page.run("document.querySelectorAll('#workbench-shapes .faces circle').length") == 1
        tags = await page.text("#workbench-tags")
        assert all(name in tags for name in ("Bench 90 %", "Acme", "Big tree", "Crop 1"))
        assert await page.run("document.querySelector('.swatch').getAttribute('aria-label')") == "Colour #ff0000"
        assert await page.run("document.querySelector('#workbench-results .bars .track i').style.width") == "75%"
        await page.shows("Hi you", "#workbench-results .read")
        await page.shows("likely", "#workbench-results .meters")
        await page.picture(tmp_path / "workbench.png")
        await page.click("#workbench-layers label", "Faces")
        await page.wait("getComputedStyle(document.querySelector('#workbench-shapes .faces')).display === 'none'")


async def test_an_answer_is_changed_and_saved_as_a_fixture(dashboard: Opened, emulator: VisionEmulator, picture: Path) -> None:
    """What is saved is what clients get for these bytes from then on; what is no answer is refused; it can be removed again."""
    emulator.buckets.write("gs://photos/garden.png", picture.read_bytes())
    async with dashboard("workbench") as page:
        await page.write("#workbench-uri", "gs://photos/garden.png")
        await page.press("Tab")
        await page.click("#workbench-go")
        await page.shows("Answered by", "#workbench-results")
        await page.click("#workbench-save")
        await page.choose("#asked select", "sha256")
        await page.write("#asked textarea", '{"labelAnnotations": [{"descriptoin": "Rose"}]}')
        await page.click("#asked-yes")
        await page.shows("descriptoin", "#asked-fault")
        await page.write("#asked textarea", '{"labelAnnotations": [{"description": "Rose", "score": 0.5}]}')
        await page.click("#asked-yes")
        await page.shows("garden", "#fixtures-list")
        answer = await asyncio.to_thread(annotate, emulator, picture.read_bytes())
        assert [label.description for label in answer.label_annotations] == ["Rose"]
        await page.shows("used 1 time", "#fixtures-list")
        await page.click("#fixtures-list button", "Remove")
        await page.shows("None yet.", "#fixtures-card")
    assert (await asyncio.to_thread(annotate, emulator, picture.read_bytes())).label_annotations != answer.label_annotations


async def test_the_digest_is_the_same_without_the_browsers_help(dashboard: Opened) -> None:
    """Pages of other machines are not given the browser's own SHA-256; the page's is the same, for all ways in which blocks end."""
    lengths = (0, 1, 55, 56, 63, 64, 65, 119, 120, 1000)
    async with dashboard("workbench") as page:
        script = (
            "import('/_emulator/dashboard/sha256.js').then(({computed}) => %s.map((length) => [...computed(new Uint8Array(length).fill(7))]"
            ".map((byte) => byte.toString(16).padStart(2, '0')).join('')))"
        )
        assert await page.run(script % json.dumps(lengths)) == [hashlib.sha256(b"\7" * length).hexdigest() for length in lengths]


# ---- faults, pace, clock ----


async def test_a_preset_is_switched_on_and_off(dashboard: Opened, emulator: VisionEmulator, tmp_path: Path) -> None:
    """A client meets the fault with the parameter that was written; the page lists what struck, and removes the rule."""
    async with dashboard("levers") as page:
        await page.click("[data-preset=quota-exceeded] summary")
        await page.write("[data-preset=quota-exceeded] input[name=callsPerMinute]", "seven")
        await page.click("[data-preset=quota-exceeded] button")
        await page.shows("callsPerMinute: write it as 1800 is written", "#notes")
        await page.write("[data-preset=quota-exceeded] input[name=callsPerMinute]", "7")
        await page.choose("[data-preset=quota-exceeded] select", "")
        await page.click("[data-preset=quota-exceeded] button")
        await page.shows("Nothing struck yet, for every call.", "#faults-list")
        with pytest.raises(TooManyRequests) as met:
            await asyncio.to_thread(annotate, emulator, drawn())
        assert "'quota_limit_value': '7'" in str(met.value)
        await page.shows("Struck 1 time", "#faults-list")
        await page.shows("reject BatchAnnotateImages", "#faults-list .strikes")
        await page.picture(tmp_path / "levers.png")
        await page.click("#faults-list button", "Remove")
        await page.wait("document.querySelector('#faults-empty').checkVisibility()")
        await asyncio.to_thread(annotate, emulator, drawn())


async def test_a_rule_of_ones_own(dashboard: Opened, emulator: VisionEmulator) -> None:
    """It holds as written; one that the server refuses is refused with the server's sentence."""
    async with dashboard("levers") as page:
        await page.write("#rule-json", '{"method": "BatchAnotate", "script": [{"fault": "drop"}]}')
        await page.click("#rule-form button")
        await page.shows("did you mean", "#notes")
        await page.write("#rule-json", '{"id": "mine", "script": [{"fault": "reject", "code": "ABORTED"}], "times": 3}')
        await page.click("#rule-form button")
        await page.shows("reject ABORTED", "#faults-list")
        assert [rule["id"] for rule in await asyncio.to_thread(emulator.faults.list)] == ["mine"]


async def test_pace_and_clock(dashboard: Opened, emulator: VisionEmulator) -> None:
    """Chosen in the page they hold for the server; set by a test they show in the page; time stops, and moves on by hand."""
    async with dashboard("levers") as page:
        await page.wait("document.querySelector('#pace-auto').checked")
        await page.write("#pace-polls-number", "4")
        await page.press("Tab")
        await settled(lambda: emulator.pace == "polls:4")
        await asyncio.to_thread(setattr, emulator, "pace", "never")
        await page.wait("document.querySelector('#pace-never').checked")
        await page.click("#clock-manual")
        await page.shows("stopped", "#clock-now")
        before = await asyncio.to_thread(emulator.clock.now)
        await page.write("#clock-seconds", "3600")
        await page.click("#clock-advance")
        await settled(lambda: emulator.clock.now() == pytest.approx(before + 3600, abs=0.01))


async def settled(condition: Any) -> None:
    """Returns when the server is so; each look at it is a call, so nothing spins."""
    async with asyncio.timeout(15):
        while not await asyncio.to_thread(condition):
            pass


# ---- usage, reset ----


async def test_usage_and_reset(dashboard: Opened, emulator: VisionEmulator, tmp_path: Path) -> None:
    """Units are listed by feature; Reset asks first, and then everything is as at the start."""
    await asyncio.to_thread(annotate, emulator, drawn())
    async with dashboard("usage") as page:
        await page.wait(
            "[...document.querySelectorAll('#usage tbody tr')].some((row) => row.innerText.startsWith('Label Detection\\t1\\t'))"
        )
        await page.picture(tmp_path / "usage.png")
        await page.click("#reset")
        await page.press("Escape")
        assert len(await asyncio.to_thread(emulator.journal.entries)) == 1
        await page.click("#reset")
        await page.click("#asked-yes")
        await page.shows("Nothing was used", "#usage-body")
        assert await asyncio.to_thread(emulator.journal.entries) == []


# ---- the page as a whole ----


async def test_names_and_answers_are_only_text(dashboard: Opened, emulator: VisionEmulator, tmp_path: Path) -> None:
    """Markup in names of objects, in labels, texts, messages and user agents shows as it is written, in every panel, and does nothing."""
    name = HOSTILE.replace("/", "|")  # a slash is a folder to a file system
    emulator.buckets.write(f"gs://photos/{HOSTILE}.png", drawn())
    answer = {
        "labelAnnotations": [{"description": HOSTILE}],
        "localizedObjectAnnotations": [{"name": HOSTILE, "boundingPoly": {"normalizedVertices": [{}, {"x": 1}, {"x": 1, "y": 1}]}}],
        "textAnnotations": [{"description": HOSTILE}],
    }
    emulator.fixtures.add({"uri": "*"}, answer)
    emulator.faults.add({"fault": "operation_error", "code": "INTERNAL", "message": HOSTILE})
    await asyncio.to_thread(begin, emulator, [f"gs://photos/{HOSTILE}.png"])
    await asyncio.to_thread(emulator.client().annotate_image, uri_request(f"gs://photos/{HOSTILE}.png"))
    file = tmp_path / f"{name}.png"
    file.write_bytes(drawn())
    async with dashboard("operations") as page:
        await page.click("#operations-list li")
        await page.shows(HOSTILE, "#operation .lead")
        await page.press("2")
        await page.click("#journal-list li")
        await page.shows(HOSTILE, "#call .cards")
        await page.shows(HOSTILE, "#call [aria-label=Answer]")
        await page.press("4")
        await page.click("#buckets-list li", "photos")
        await page.click("#objects-list li", HOSTILE)
        await page.shows(HOSTILE, "#bucket .viewer h4")
        await page.click("#bucket .viewer a", "Open in the workbench")
        await page.click("#workbench-go")
        await page.shows(HOSTILE, "#workbench-results .bars")
        await page.shows(HOSTILE, "#workbench-tags")
        await page.drop("#workbench-drop", [file])
        await page.shows(name, "#workbench-source")
        await page.press("5")
        assert await page.run("window.struck === undefined && document.querySelector('#panels img, #panels script') === null")


async def test_everything_goes_by_keyboard(dashboard: Opened, emulator: VisionEmulator) -> None:
    """Digits change panels, j and k move, ? lists the keys, Tab walks through with a focus that is seen, t changes the colours."""
    for number in range(3):
        await asyncio.to_thread(annotate, emulator, drawn(number))
    async with dashboard("journal") as page:
        await page.wait("document.querySelectorAll('#journal-list li').length === 3")
        for key, number in (("j", 3), ("j", 2), ("k", 3)):
            await page.press(key)
            await page.wait(f"location.hash === '#/journal/{number}'")
        await page.run("document.querySelector('#journal-list').focus()")
        await page.press("ArrowDown")
        await page.wait("location.hash === '#/journal/2'")
        for number, panel in enumerate(PANELS, 1):
            await page.press(str(number))
            await page.wait(f"document.querySelector('#{panel}').checkVisibility()")
            await page.wait(f"document.querySelector('nav [aria-current=page]').dataset.panel === '{panel}'")
        await page.press("?")
        await page.shows("next and previous in the list", "#shortcuts")
        await page.press("Escape")
        await page.wait("!document.querySelector('#shortcuts').open")
        await page.run("document.activeElement.blur()")
        seen = set()
        for _ in range(9):
            await page.press("Tab")
            style = "getComputedStyle(document.activeElement)"
            seen.add(await page.run("document.activeElement.innerText.split('\\n')[0]"))
            assert await page.run(f"{style}.outlineStyle") != "none"
        assert {"Operations", "Journal", "Workbench", "Buckets"} <= seen
        for theme in ("light", "dark", "system"):
            await page.run("document.activeElement.blur()")
            await page.press("t")
            await page.wait(f"document.documentElement.dataset.theme === '{theme}'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_and_can_be_read(dashboard: Opened, emulator: VisionEmulator, picture: Path, tmp_path: Path, scheme: str) -> None:
    """At 900 and at 1600 pixels nothing sticks out sideways, in any panel; every text stands out from its ground by 4.5 to 1 or more."""
    for number in range(3):
        emulator.buckets.write(f"gs://photos/{number}.jpg", drawn(number))
    await asyncio.to_thread(begin, emulator, [f"gs://photos/{number}.jpg" for number in range(3)])
    await asyncio.to_thread(annotate, emulator, drawn())
    emulator.faults.preset("partial-batch")
    async with dashboard("workbench", scheme=scheme) as page:
        await page.give("#workbench-file", [picture])
        await page.click("#workbench-all")
        await page.click("#workbench-go")
        await page.shows("Answered by", "#workbench-results")
        for width, height in ((1600, 1000), (900, 760)):
            await page.resize(width, height)
            for number, panel in enumerate(PANELS, 1):
                await page.press(str(number))
                if panel in ("operations", "journal"):
                    await page.press("j")
                    await page.wait(f"document.querySelector('#{panel} .detail .json')")
                if panel == "buckets":
                    await page.click("#buckets-list li", "photos")
                    await page.click("#objects-list li")
                    await page.wait("document.querySelector('#bucket canvas')")
                if panel == "levers":
                    await page.wait("document.querySelector('.preset')")
                assert await page.run(STICKING_OUT) == [], (panel, width)
                assert await page.run(HARD_TO_READ) == [], (panel, width)
                await page.picture(tmp_path / f"{panel}-{scheme}-{width}.png")


STICKING_OUT = """[...document.querySelectorAll('#panels *')].filter((element) => {
    if (!element.checkVisibility() || element.closest('.frame, .read, .snippet, select, datalist')) return false;
    const { right, width } = element.getBoundingClientRect();
    const around = element.parentElement.getBoundingClientRect();
    return width && (right > innerWidth + 1 || right > around.right + 1);
}).map((element) => `${element.tagName} ${element.className} ${element.id}`)"""

HARD_TO_READ = """(() => {
    const pen = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const paint = (...colours) => {
        pen.clearRect(0, 0, 1, 1);
        for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
        return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (parts) => {
        const [r, g, b] = parts.map((part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const grounds = (element) => element ? [...grounds(element.parentElement), getComputedStyle(element).backgroundColor] : [];
    const found = [];
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || !element.checkVisibility() || element.closest('.frame, :disabled, kbd, .count')) continue;
        const under = grounds(element);
        const [a, b] = [light(paint(...under)), light(paint(...under, getComputedStyle(element).color))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) found.push(`${element.className} ${element.innerText.slice(0, 30)} ${ratio.toFixed(2)}`);
    }
    return found;
})()"""


async def test_a_server_that_stops_and_comes_back(browser: Chromium, tmp_path: Path) -> None:
    """The page says that nobody answers, and when a server is there again it shows that one's state."""
    options: dict[str, Any] = {"certificates": tmp_path / "ca", "settings": PLAIN}
    with VisionEmulator(bucket=("one", "two", "three"), **options) as first:
        port = int(first.address.rpartition(":")[2])
        async with browser.page(f"{first.url}/_emulator/#/journal") as page:
            await asyncio.to_thread(annotate, first, drawn())
            await page.wait("document.querySelectorAll('#journal-list li').length === 1")
            await page.shows("3", "[data-tally=buckets]")
            await asyncio.to_thread(first.__exit__, None, None, None)
            try:
                await page.wait("document.body.classList.contains('offline')")
                assert await page.text("#link") in ("The emulator was stopped", "No connection")
                with VisionEmulator(port=port, bucket=("one",), **options):
                    await page.shows("Live", "#link")
                    await page.shows("No call yet.", "#journal-empty")
                    await page.shows("1", "[data-tally=buckets]")
            finally:
                first.__enter__()


async def test_a_token_is_asked_for_once(browser: Chromium, tmp_path: Path) -> None:
    """Without it the page asks, says when it is wrong, and keeps the right one for its tab; the stream of events has it, too."""
    with VisionEmulator(control_token="sesame", certificates=tmp_path / "ca", settings=PLAIN) as emulator:
        async with browser.page(f"{emulator.url}/_emulator/#/journal") as page:
            await page.shows("The control token, please", "#asked")
            await page.write("#asked input", "wrong")
            await page.press("Enter")
            await page.shows("That token is not the one.", "#asked")
            await page.write("#asked input", "sesame")
            await page.press("Enter")
            await page.shows("Live", "#link")
            assert await page.run("document.querySelector('#notes').innerText") == ""
            await asyncio.to_thread(annotate, emulator, drawn())
            await page.wait("document.querySelectorAll('#journal-list li').length === 1")
            await page.open(f"{emulator.url}/_emulator/?again#/journal")
            await page.shows("Live", "#link")
            assert not await page.run("document.querySelector('#asked').open")
            assert page.complaints == []


async def test_a_token_in_the_address_is_taken_out_of_it(browser: Chromium, tmp_path: Path) -> None:
    """A link with the token opens the page at once, and the token is not left where it would be seen or copied."""
    with VisionEmulator(control_token="sesame", certificates=tmp_path / "ca", settings=PLAIN) as emulator:
        async with browser.page(f"{emulator.url}/_emulator/?token=sesame#/levers") as page:
            await page.shows("Live", "#link")
            await page.shows("quota-exceeded", "#presets")
            assert await page.run("location.href") == f"{emulator.url}/_emulator/#/levers"


async def test_who_gives_no_token_is_not_asked_again(browser: Chromium, tmp_path: Path) -> None:
    """The page says once what is missing, and leaves its reader alone."""
    with VisionEmulator(control_token="sesame", certificates=tmp_path / "ca", settings=PLAIN) as emulator:
        async with browser.page(f"{emulator.url}/_emulator/#/journal") as page:
            await page.shows("The control token, please", "#asked")
            await page.press("Escape")
            await page.shows("Refused", "#link")
            await page.shows("The control token is missing", "#notes")
            asked = "performance.getEntriesByType('resource').filter((each) => each.name.endsWith('/events')).length"
            tries = await page.run(asked)
            await page.wait(f"{asked} > {tries}")
            assert not await page.run("document.querySelector('#asked').open")
            assert await page.run("document.querySelectorAll('#notes .note').length") == 1
