"""Fault rules without a server: what they strike, in which order, and what they refuse to be."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_emulator.contract import errors, limits
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.hurt import Damage, Hurt
from vision_emulator.contract.messages import ErrorInfo, QuotaFailure, RetryInfo
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control import instructions
from vision_emulator.control.clock import Chance, ManualClock
from vision_emulator.control.faults import STORAGE_METHODS, Faults, Rule, RuleRefused, RuleUnknown, Target, code_of_http, methods_of
from vision_emulator.control.instructions import RetryTests
from vision_emulator.control.presets import PRESETS, expanded

ONLINE = "google.cloud.vision.v1.ImageAnnotator.BatchAnnotateImages"
REJECT = {"fault": "reject", "code": "UNAVAILABLE"}
REQUEST = {"requests": [{"image": {"source": {"image_uri": f"gs://photos/{name}.png"}}} for name in ("cat", "dog", "emu")]}


def rule(*script: Any, **said: Any) -> Rule:
    """A rule from its JSON."""
    return msgspec.convert({"script": list(script), **said}, Rule)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def faults(clock: ManualClock) -> Faults:
    return Faults(clock, Chance(0))


def call(rpc: str = "BatchAnnotateImages", request: Any = None, **metadata: str) -> Call:
    method = next(row for row in METHODS.values() if row.name == rpc and row.package.endswith((".v1", "longrunning")))
    headers = {name.replace("_", "-"): value for name, value in metadata.items()}
    return Call(method, method.request(**(request or {})), headers, "grpc")


async def strike(faults: Faults, called: Call | None = None) -> Hurt | None:
    return await faults.strike_call(called or call(), 7)


async def codes(faults: Faults, count: int, called: Call | None = None) -> list[str]:
    """How so many calls end."""
    hurts = [await strike(faults, called) for _ in range(count)]
    return [hurt.refusal.code.name if hurt and hurt.refusal else "OK" for hurt in hurts]


async def test_a_script_is_used_up_step_by_step(faults: Faults) -> None:
    """One step for each matching call, in order, the whole script as often as ``times`` says; then calls go by."""
    faults.add(rule(REJECT, {"fault": "pass"}, {"fault": "reject", "code": 13}, times=2))
    assert await codes(faults, 7) == ["UNAVAILABLE", "OK", "INTERNAL"] * 2 + ["OK"]


async def test_skip_and_times_without_end(faults: Faults) -> None:
    """``skip`` lets the first calls by; ``times: null`` never ends."""
    report = faults.add(rule(REJECT, skip=1, times=None))
    assert report.remaining is None
    assert await codes(faults, 4) == ["OK", "UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE"]


async def test_the_report_says_what_struck_when(faults: Faults, clock: ManualClock) -> None:
    """Each strike with its time, method, transport and journal entry; and how many are left."""
    made = faults.add(rule(REJECT, times=2))
    assert (made.struck, made.remaining, made.exhausted) == (0, 2, False)
    await strike(faults)
    clock.advance(60)
    await strike(faults)
    report = faults.report(made.id)
    assert (report.struck, report.remaining, report.exhausted) == (2, 0, True)
    assert [(strike.fault, strike.method, strike.transport, strike.call) for strike in report.strikes] == [
        ("reject", ONLINE, "grpc", 7)
    ] * 2
    assert 60 <= report.strikes[1].at - report.strikes[0].at < 61


async def test_only_the_newest_strikes_are_kept(faults: Faults) -> None:
    """A rule without end does not grow for ever; it goes on counting."""
    made = faults.add(rule(REJECT, times=None))
    for _ in range(limits.FAULT_STRIKES_MAX + 5):
        await strike(faults)
    report = faults.report(made.id)
    assert (report.struck, len(report.strikes)) == (limits.FAULT_STRIKES_MAX + 5, limits.FAULT_STRIKES_MAX)


@pytest.mark.parametrize(
    ("named", "rpc", "struck"),
    [
        ("BatchAnnotateImages", "BatchAnnotateImages", True),
        ("ImageAnnotator.BatchAnnotateImages", "BatchAnnotateImages", True),
        (ONLINE, "BatchAnnotateImages", True),
        ("vision.images.annotate", "BatchAnnotateImages", True),
        ("*Annotate*", "AsyncBatchAnnotateFiles", True),
        ("ImageAnnotator.*", "GetOperation", False),
        ("GetOperation", "GetOperation", True),
        ("vision.operations.*", "GetOperation", True),
        ("storage.*", "BatchAnnotateImages", False),
        ("*", "BatchAnnotateImages", True),
        (["storage.objects.get", "GetOperation"], "GetOperation", True),
    ],
)
async def test_names_of_methods(faults: Faults, named: Any, rpc: str, struck: bool) -> None:
    """Full names, short names, REST's ids and patterns of them."""
    faults.add(rule(REJECT, method=named))
    assert await codes(faults, 1, call(rpc)) == ["UNAVAILABLE" if struck else "OK"]


def test_without_a_method_vision_is_meant_and_not_storage() -> None:
    """A rule that names no method leaves the storage alone through which a test puts its pictures; ``*`` does not."""
    assert methods_of("*") > methods_of("storage.*")
    assert methods_of("storage.*") == set(STORAGE_METHODS)

    async def run() -> None:
        faults = Faults(ManualClock(), Chance(0))
        faults.add(rule(REJECT))
        assert await faults.strike(Target("storage.objects.get", {}, "rest", "", 0)) is None
        assert await faults.strike(Target(ONLINE, {}, "rest", "", 0)) is not None

    asyncio.run(run())


@pytest.mark.parametrize(
    ("image", "struck"),
    [
        ({"index": 2}, True),
        ({"index": 3}, False),
        ({"index": [3, 1]}, True),
        ({"uri": "gs://photos/d*"}, True),
        ({"uri": "gs://other/*"}, False),
        ({"index": 0, "uri": "*/cat.png"}, True),
        ({"index": 1, "uri": "*/cat.png"}, False),
    ],
)
async def test_which_calls_have_the_image(faults: Faults, image: Any, struck: bool) -> None:
    """A rule with an image strikes calls that hold one of which everything is true that the rule says."""
    faults.add(rule(REJECT, image=image))
    assert await codes(faults, 1, call(request=REQUEST)) == ["UNAVAILABLE" if struck else "OK"]
    assert await codes(faults, 1, call("GetOperation")) == ["OK"]


async def test_image_errors_befall_the_rules_images(faults: Faults) -> None:
    """image_error is an error of the images that the rule names, for each of them, in the calls that its script has left."""
    faults.add(rule({"fault": "image_error", "code": "NOT_FOUND", "message": "gone"}, image={"index": [0, 2]}))
    first, second = await strike(faults, call(request=REQUEST)), await strike(faults, call(request=REQUEST))
    assert first is not None
    assert second is None
    first.check_image(1, "gs://photos/dog.png")
    for index in (0, 2):
        with pytest.raises(VisionError, match="gone") as failure:
            first.check_image(index, "gs://photos/cat.png")
        assert failure.value.code is Code.NOT_FOUND


async def test_a_hash_is_compared_when_the_image_is_there(faults: Faults) -> None:
    """A rule by sha256 takes its step when the image is met, once for each call, and says which image it was."""
    made = faults.add(rule({"fault": "image_error", "code": 3}, image={"sha256": "a" * 64}))
    other, meant = await strike(faults, call(request=REQUEST)), await strike(faults, call(request=REQUEST))
    assert other is not None
    assert meant is not None
    other.check_image(0, "x", "b" * 64)
    other.check_image(0, "x")
    assert faults.report(made.id).struck == 0
    with pytest.raises(VisionError):
        meant.check_image(1, "x", "a" * 64)
    with pytest.raises(VisionError):
        meant.check_image(2, "x", "a" * 64)
    other.check_image(1, "x", "a" * 64)  # nothing is left for it
    assert [strike.index for strike in faults.report(made.id).strikes] == [1]


async def test_a_selected_rule_strikes_who_names_it(faults: Faults) -> None:
    """``selected``: only calls with the rule's id in x-vision-emulator-rule, alone or among others."""
    faults.add(rule(REJECT, id="flaky", selected=True, times=2))
    faults.add(rule({"fault": "reject", "code": "INTERNAL"}, id="other", selected=True))
    assert await codes(faults, 1) == ["OK"]
    assert await codes(faults, 1, call(x_vision_emulator_rule="flaky")) == ["UNAVAILABLE"]
    assert await codes(faults, 2, call(x_vision_emulator_rule="other, flaky")) == ["UNAVAILABLE", "INTERNAL"]


async def test_a_call_that_names_no_rule_is_refused(faults: Faults) -> None:
    """Who asks for a rule that is none learns it, since the test would pass without its fault; also while there is no rule at all."""
    headers = {"x-vision-emulator-rule": "flakey"}
    assert faults.concern(headers)
    faults.add(rule(REJECT, id="flaky", selected=True))
    with pytest.raises(VisionError, match="did you mean flaky"):
        await strike(faults, call(x_vision_emulator_rule="flakey"))
    with pytest.raises(VisionError, match="names no retry test"):
        await strike(faults, call(x_retry_test_id="0"))


async def test_projects_are_apart(faults: Faults) -> None:
    """A rule of a project strikes that project's calls alone, and goes when that project is reset."""
    faults.add(rule(REJECT, times=None), project="mine")
    faults.add(rule(REJECT, times=None), project="theirs")
    mine, nobodys = call(x_goog_user_project="mine"), call()
    assert await codes(faults, 1, mine) == ["UNAVAILABLE"]
    assert await codes(faults, 1, nobodys) == ["OK"]
    faults.reset("mine")
    assert await codes(faults, 1, mine) == ["OK"]
    assert [report.project for report in faults.reports()] == ["theirs"]
    assert faults.reports("mine") == []
    faults.reset()
    assert faults.reports() == []
    assert not faults.concern({})


async def test_a_transport_may_be_meant(faults: Faults) -> None:
    """``transport`` spares the calls over the other one."""
    faults.add(rule(REJECT, transport="rest", times=None))
    assert await codes(faults, 1) == ["OK"]
    assert await faults.strike(Target(ONLINE, {}, "rest", "", 0)) is not None


async def test_time_to_live(faults: Faults, clock: ManualClock) -> None:
    """A rule strikes until its time on the emulator's clock is over, and its report stays."""
    made = faults.add(rule(REJECT, times=None, ttlSeconds=10))
    assert await codes(faults, 1) == ["UNAVAILABLE"]
    clock.advance(10)
    assert await codes(faults, 1) == ["OK"]
    assert faults.report(made.id).expired
    assert not faults.concern({})


@given(st.integers(0, 2**32), st.floats(0.1, 0.9))
def test_probability_is_seeded(seed: int, probability: float) -> None:
    """A probability strikes some calls and spares some, the same ones for the same seed; spared calls use up no step."""

    async def run() -> list[str]:
        faults = Faults(ManualClock(), Chance(1))
        faults.add(rule(REJECT, times=None, probability=probability, seed=seed))
        return await codes(faults, 200)

    first = asyncio.run(run())
    assert first == asyncio.run(run())
    assert 0.25 * probability * 200 < first.count("UNAVAILABLE") < 200


async def test_the_first_refusal_ends_the_way_through_the_rules(faults: Faults) -> None:
    """Later rules keep their steps for the next call."""
    faults.add(rule(REJECT))
    second = faults.add(rule({"fault": "reject", "code": "INTERNAL"}))
    assert await codes(faults, 1) == ["UNAVAILABLE"]
    assert faults.report(second.id).struck == 0
    assert await codes(faults, 1) == ["INTERNAL"]


@pytest.mark.parametrize(
    ("delay", "least", "most"),
    [
        ({"seconds": 3}, 3, 3),
        ({"lower": 1, "upper": 5}, 1, 5),
        ({"median": 2, "sigma": 0.5}, 0.1, 40),
        ({"median": 2, "sigma": 3, "upper": 2.5}, 0, 2.5),
    ],
)
async def test_delays_are_on_the_clock(faults: Faults, clock: ManualClock, delay: Any, least: float, most: float) -> None:
    """A delayed call waits on the emulator's clock, within what its distribution allows, and goes on unhurt."""
    faults.add(rule({"fault": "delay", **delay}))
    waiting = asyncio.get_running_loop().create_task(strike(faults))
    await _turns()
    clock.advance(least * 0.99)
    await _turns()
    assert not waiting.done() or least == 0
    clock.advance(most + 0.001)
    assert (await waiting) == Hurt()


async def test_a_reset_ends_what_is_held(faults: Faults) -> None:
    """A call that is still delayed when its project is reset does nothing any more: it would befall the next test."""
    faults.add(rule({"fault": "delay", "seconds": 3600}, times=None))
    mine, other = (asyncio.get_running_loop().create_task(strike(faults, call(x_goog_user_project=name))) for name in ("mine", "other"))
    await _turns()
    faults.reset("mine")
    with pytest.raises(VisionError, match="were reset"):
        await mine
    assert not other.done()
    other.cancel()
    await asyncio.wait((other,))
    assert faults._held == {}


async def test_steps_in_a_list_befall_one_call(faults: Faults, clock: ManualClock) -> None:
    """A list inside the script is one entry: here a refusal that takes its time."""
    faults.add(rule([{"fault": "delay", "seconds": 5}, REJECT]))
    waiting = asyncio.get_running_loop().create_task(strike(faults))
    await _turns()
    clock.advance(5)
    hurt = await waiting
    assert hurt is not None
    assert hurt.refusal is not None
    assert await codes(faults, 1) == ["OK"]


async def _turns() -> None:
    for _ in range(5):
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(done.set_result, None)
        await done


async def test_parallel_calls_share_no_step(faults: Faults) -> None:
    """A step is one call's, also while that call is held."""
    faults.add(rule([{"fault": "delay", "seconds": 1}, REJECT]))
    waiting = asyncio.get_running_loop().create_task(strike(faults))
    await _turns()
    assert await codes(faults, 1) == ["OK"]
    waiting.cancel()


async def test_a_refusal_has_everything_it_says(faults: Faults) -> None:
    """Message, details, headers and Retry-After; {method} and {project} are the call's own."""
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "NO", "metadata": {"method": "{method}"}}
    faults.add(
        rule({**REJECT, "message": "not {project}", "details": [detail], "headers": {"x-why": "{method}"}, "retryAfterSeconds": 1.5})
    )
    hurt = await strike(faults, call(x_goog_user_project="mine"))
    assert hurt is not None
    assert hurt.refusal is not None
    assert hurt.refusal.message == "not mine"
    info, retry = hurt.refusal.details
    assert isinstance(info, ErrorInfo)
    assert info.metadata["method"] == ONLINE
    assert isinstance(retry, RetryInfo)
    assert (retry.retry_delay.seconds, retry.retry_delay.nanos) == (1, 500_000_000)
    assert hurt.headers == {"x-why": ONLINE, "retry-after": "2"}


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
async def test_every_code_has_a_text(faults: Faults, code: Code) -> None:
    """A rule needs no message: each code has Google's general one."""
    faults.add(rule({"fault": "reject", "code": code.value}))
    hurt = await strike(faults)
    assert hurt is not None
    assert hurt.refusal is not None
    assert hurt.refusal.message
    assert hurt.refusal.code is code


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ({"fault": "drop"}, Damage("reset")),
        ({"fault": "drop", "when": "middle"}, Damage("drop")),
        ({"fault": "drop", "when": "middle", "bytes": 9}, Damage("drop", 9)),
        ({"fault": "truncate", "bytes": 3}, Damage("truncate", 3)),
        ({"fault": "corrupt"}, Damage("corrupt")),
    ],
)
async def test_damage(faults: Faults, step: Any, expected: Damage) -> None:
    """What befalls the answer on its way is told to the surface; a connection that breaks before it refuses the call."""
    faults.add(rule(step))
    hurt = await strike(faults)
    assert hurt is not None
    assert hurt.damage == expected
    assert (hurt.refusal is not None) == (expected.kind == "reset")


@given(st.binary(max_size=50), st.sampled_from(["drop", "truncate", "corrupt"]), st.none() | st.integers(0, 60))
def test_a_damaged_body_is_never_the_whole_one(whole: bytes, kind: Any, size: int | None) -> None:
    """What is corrupted differs from what was meant; what is cut is its beginning."""
    body = Damage(kind, size).body(whole)
    if kind == "corrupt":
        assert body != whole
        assert len(body) == max(1, len(whole))
    else:
        assert whole.startswith(body)
        assert len(body) == min(len(whole), len(whole) // 2 if size is None else size)


async def test_faults_of_operations(faults: Faults) -> None:
    """The steps that befall operations strike, when nothing else is said, the calls that start some."""
    steps = [{"fault": "operation_error", "code": "ABORTED"}, {"fault": "operation_never"}, {"fault": "write_error", "shard": 3}]
    faults.add(rule(*steps))
    assert await strike(faults) is None
    failing, never, writing = [await strike(faults, call("AsyncBatchAnnotateImages")) for _ in steps]
    assert failing is not None
    assert failing.operation_error is not None
    assert failing.operation_error.code is Code.ABORTED
    assert never is not None
    assert never.operation_never
    assert writing is not None
    assert writing.shards_max == 2


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"script": []}, "script is empty"),
        ({"method": "BatchAnotateImages"}, "did you mean BatchAnnotateImages"),
        ({"method": "storage.object.get"}, "did you mean storage.objects.get"),
        ({"method": "*Annotat?Nothing*"}, "fits no method"),
        ({"method": ["GetOperation", "x"]}, "'x' is no method"),
        ({"script": [{"fault": "reject", "code": "UNAVAIL"}]}, "did you mean UNAVAILABLE"),
        ({"script": [{"fault": "reject", "code": "OK"}]}, "no code of a failure"),
        ({"script": [{"fault": "reject", "code": 17}]}, "no code of a failure"),
        ({"script": [{"fault": "pass"}]}, "nothing but pass"),
        ({"script": [{**REJECT, "details": [{"@type": "type.googleapis.com/no.Such"}]}]}, "details cannot be read"),
        ({"script": [{**REJECT, "headers": {"X-Big": "1"}}]}, "is no header"),
        ({"script": [{**REJECT, "headers": {"x": "1\r\ny: 2"}}]}, "is no header"),
        ({"script": [{**REJECT, "httpStatus": 200}]}, "httpStatus is 200"),
        ({"script": [{"fault": "delay"}]}, "a delay says either"),
        ({"script": [{"fault": "delay", "seconds": 1, "upper": 2}]}, "a delay says either"),
        ({"script": [{"fault": "delay", "seconds": -1}]}, "seconds is -1"),
        ({"script": [{"fault": "delay", "seconds": 1e9}]}, "from 0 to 3600"),
        ({"script": [{"fault": "delay", "lower": 3, "upper": 2}]}, "the wrong way round"),
        ({"script": [{"fault": "delay", "median": 1, "sigma": 99}]}, "sigma is 99"),
        ({"script": [{"fault": "truncate", "bytes": -1}]}, "bytes is -1"),
        ({"script": [{"fault": "write_error", "shard": 0}]}, "shard is 0"),
        ({"script": [{"fault": "operation_never"}], "method": "BatchAnnotateImages"}, "befalls operations"),
        ({"script": [{"fault": "image_error", "code": 3}], "method": "GetOperation"}, "befalls images"),
        ({"image": {}}, "image says nothing"),
        ({"image": {"index": 2000}}, "use 0 to 1999"),
        ({"image": {"index": 16}, "method": "BatchAnnotateImages"}, "use 0 to 15"),
        ({"image": {"index": -1}}, "index is -1"),
        ({"image": {"index": []}}, "index is an empty list"),
        ({"image": {"uri": "*"}, "method": "storage.*"}, "image is of calls that annotate"),
        ({"image": {"index": 0}, "method": "BatchAnnotateFiles"}, "index are of images"),
        ({"image": {"sha256": "XY"}}, "64 lower-case hex digits"),
        ({"image": {"sha256": "a" * 64}}, "only image_error can still befall it"),
        ({"times": 0}, "times is 0"),
        ({"skip": -1}, "skip is -1"),
        ({"probability": 0}, "probability is 0"),
        ({"probability": 1.5}, "probability is 1.5"),
        ({"ttlSeconds": 0}, "ttlSeconds is 0"),
        ({"id": "a/b"}, "is no id"),
        ({"id": "presets"}, "is no id"),
    ],
)
def test_a_rule_that_cannot_strike_is_refused(faults: Faults, said: Any, why: str) -> None:
    """With a sentence that names what was wrong and, where there is one, the nearest name; and nothing is added."""
    wanted = msgspec.convert({"script": [REJECT], **said}, Rule)
    with pytest.raises(RuleRefused) as refused:
        faults.add(wanted)
    assert why in str(refused.value)
    assert faults.reports() == []


def test_ids_are_used_once(faults: Faults) -> None:
    """A second rule of the same id is refused; who removes the first may use it again."""
    faults.add(rule(REJECT, id="one"))
    with pytest.raises(RuleRefused, match="already"):
        faults.add(rule(REJECT, id="one"))
    faults.remove("one")
    faults.add(rule(REJECT, id="one"))
    with pytest.raises(RuleUnknown):
        faults.report("two")


async def test_rules_are_bounded(faults: Faults) -> None:
    """Rules that can strike no more make room; when all still can, no more are taken."""
    for number in range(limits.FAULT_RULES_MAX):
        faults.add(rule(REJECT, id=str(number)))
    with pytest.raises(RuleRefused, match="remove some"):
        faults.add(rule(REJECT))
    await strike(faults)
    faults.add(rule(REJECT, id="new"))
    with pytest.raises(RuleUnknown):
        faults.report("0")


# ---- presets ----


@pytest.mark.parametrize("name", PRESETS)
async def test_every_preset_strikes(faults: Faults, name: str) -> None:
    """Each preset is a rule that can be added, and strikes a call it is about."""
    made = faults.add(expanded(name, {}, Rule(), set()))
    request = {"requests": [{"image": {"source": {"image_uri": f"https://example.com/{n}.png"}}} for n in range(2)]}
    for rpc in ("AsyncBatchAnnotateImages", "BatchAnnotateImages"):
        hurt = await strike(faults, call(rpc, request))
        if hurt is not None:
            break
    assert hurt != Hurt()
    assert faults.report(made.id).struck == 1


async def test_quota_exceeded_says_all_that_the_real_one_says(faults: Faults) -> None:
    """QuotaFailure, ErrorInfo, the caller's project and when to come again."""
    faults.add(expanded("quota-exceeded", {"callsPerMinute": 60, "retryAfterSeconds": 30}, Rule(), set()))
    hurt = await strike(faults, call(x_goog_user_project="mine"))
    assert hurt is not None
    assert hurt.refusal is not None
    assert hurt.refusal.code is Code.RESOURCE_EXHAUSTED
    assert hurt.refusal.message == errors.quota_exceeded("mine", 60).message
    quota, info, _, retry = hurt.refusal.details
    assert isinstance(quota, QuotaFailure)
    assert quota.violations[0].subject == "project:mine"
    assert isinstance(info, ErrorInfo)
    assert (info.reason, info.metadata["quota_limit_value"]) == ("RATE_LIMIT_EXCEEDED", "60")
    assert isinstance(retry, RetryInfo)
    assert retry.retry_delay.seconds == 30
    assert hurt.headers == {"retry-after": "30"}


@pytest.mark.parametrize(
    ("name", "parameters", "given", "why"),
    [
        ("quota-exceded", {}, Rule(), "did you mean quota-exceeded"),
        ("zzz", {}, Rule(), "known are"),
        ("quota-exceeded", {"limit": 3}, Rule(), "it takes callsPerMinute, retryAfterSeconds"),
        ("quota-exceeded", {"callsPerMinute": 0}, Rule(), "1 or more"),
        ("bad-image-data", {"x": 1}, Rule(), "it takes none"),
        ("bad-image-data", {}, rule(REJECT), "brings its own script"),
    ],
)
def test_presets_refuse_what_they_do_not_take(name: str, parameters: Any, given: Rule, why: str) -> None:
    """Unknown presets and parameters name the known ones."""
    with pytest.raises(RuleRefused) as refused:
        expanded(name, parameters, given, set())
    assert why in str(refused.value)


# ---- Google's own words ----


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("return-503", {"fault": "reject", "code": "UNAVAILABLE", "httpStatus": 503}),
        ("return-408", {"fault": "reject", "code": "DEADLINE_EXCEEDED", "httpStatus": 408}),
        ("return-429", {"fault": "reject", "code": "RESOURCE_EXHAUSTED", "httpStatus": 429}),
        ("return-503-after-256K", {"fault": "reject", "code": "UNAVAILABLE", "httpStatus": 503, "afterBytes": 262144}),
        ("return-503-after-256K/retry-2", {"fault": "reject", "code": "UNAVAILABLE", "httpStatus": 503, "afterBytes": 262144}),
        ("return-reset-connection", {"fault": "drop"}),
        ("return-broken-stream", {"fault": "drop", "when": "middle"}),
        ("return-broken-stream-after-4K", {"fault": "drop", "when": "middle", "bytes": 4096}),
        ("return-broken-stream-final-chunk-after-9B", {"fault": "drop", "when": "middle", "bytes": 9}),
        ("return-corrupted-data", {"fault": "corrupt"}),
        ("stall-for-10s-after-12K", {"fault": "delay", "seconds": 10.0}),
        ("stall-for-10s", {"fault": "delay", "seconds": 10.0}),
        ("stall-always", {"fault": "delay", "seconds": 3600.0}),
    ],
)
def test_instructions_become_steps(text: str, expected: Any) -> None:
    """Each of Google's instructions that means something here is one of our steps."""
    found = instructions.step(text)
    assert found is not None
    assert {"fault": found.name, **msgspec.to_builtins(found)} == expected


def test_a_client_that_counts_its_attempts_gets_through() -> None:
    """/retry-N strikes the first two attempts."""
    assert instructions.step("return-503-after-256K/retry-3") is None


def test_after_some_bytes_of_a_download() -> None:
    """What there is much of in a download is the answer, so there the connection breaks."""
    found = instructions.step("return-503-after-256K", "storage.objects.get")
    assert found is not None
    assert msgspec.to_builtins(found) == {"fault": "drop", "when": "middle", "bytes": 262144}


@pytest.mark.parametrize("text", ["return-50", "return-200", "return-5033", "stall-for-9999s", "redirect-send-token-x", "", "explode"])
def test_unknown_instructions_are_refused(text: str) -> None:
    """With the known ones, or the nearest."""
    with pytest.raises(RuleRefused):
        instructions.step(text)


async def test_the_header_befalls_its_own_call(faults: Faults) -> None:
    """x-goog-emulator-instructions needs no rule, under its new name and its old one; nonsense in it is refused."""
    for name in ("x_goog_emulator_instructions", "x_goog_testbench_instructions"):
        called = call(**{name: "return-503"})
        assert faults.concern(called.metadata)
        assert await codes(faults, 2, called) == ["UNAVAILABLE"] * 2
    with pytest.raises(VisionError, match="did you mean return-503"):
        await strike(faults, call(x_goog_emulator_instructions="return-53"))


async def test_only_larger_calls_are_struck_after_some_bytes(faults: Faults) -> None:
    """after-YK lets a smaller call by, and keeps its step."""
    made = faults.add(rule({**REJECT, "afterBytes": 100}))
    called = call()
    called.size = 100
    assert await codes(faults, 1, called) == ["OK"]
    assert faults.report(made.id).remaining == 1
    called.size = 101
    assert await codes(faults, 1, called) == ["UNAVAILABLE"]


async def test_retry_tests_count_what_is_left(faults: Faults) -> None:
    """A retry test strikes calls that carry its id, over its transport, and is completed when nothing is left of any method."""
    tests = RetryTests(faults, Chance(3))
    made = tests.create({"vision.images.annotate": ["return-503", "return-429"], "vision.operations.get": ["return-500"]}, "GRPC")
    annotate, get = call(x_retry_test_id=made["id"]), call("GetOperation", x_retry_test_id=made["id"])
    assert await codes(faults, 1) == ["OK"]
    assert await codes(faults, 1, annotate) == ["UNAVAILABLE"]
    assert tests.get(made["id"]) == {
        "id": made["id"],
        "instructions": {"vision.images.annotate": ["return-429"], "vision.operations.get": ["return-500"]},
        "completed": False,
        "transport": "GRPC",
    }
    assert await codes(faults, 2, annotate) == ["RESOURCE_EXHAUSTED", "OK"]
    assert await codes(faults, 1, get) == ["INTERNAL"]
    assert tests.get(made["id"])["completed"]
    assert [test["id"] for test in tests.tests()] == [made["id"]]
    tests.delete(made["id"])
    assert (tests.tests(), faults.reports()) == ([], [])


async def test_a_reset_of_rules_takes_retry_tests_along(faults: Faults) -> None:
    """A retry test without its rules would never be completed, so it is gone as well."""
    tests = RetryTests(faults, Chance(3))
    made = tests.create({"storage.objects.get": ["return-503"]})
    faults.reset()
    assert tests.tests() == []
    with pytest.raises(RuleUnknown):
        tests.get(made["id"])


@pytest.mark.parametrize(
    ("said", "transport", "why"),
    [
        ({"storage.objects.get": ["return-503"]}, "CARRIER", "HTTP or GRPC"),
        ({"storage.object.get": ["return-503"]}, "HTTP", "did you mean storage.objects.get"),
        ({"storage.objects.get": ["explode"]}, "HTTP", "no instruction"),
        ({"storage.objects.get": []}, "HTTP", "empty"),
        ({}, "HTTP", "empty"),
    ],
)
def test_retry_tests_that_mean_nothing(faults: Faults, said: Any, transport: str, why: str) -> None:
    """Refused, and no rule is left behind."""
    with pytest.raises(RuleRefused) as refused:
        RetryTests(faults, Chance(3)).create(said, transport)
    assert why in str(refused.value)
    assert faults.reports() == []


def test_every_http_status_has_a_code() -> None:
    """Those that the API has none for get the nearest."""
    assert code_of_http(502) is Code.UNAVAILABLE
    assert code_of_http(500) is Code.INTERNAL
    assert all(code_of_http(status) is not Code.OK for status in range(400, 600))
