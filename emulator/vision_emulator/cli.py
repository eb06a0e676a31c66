"""The command line, and the only printer: results go to standard output, what happens meanwhile to standard error.

Exit codes: 0 when it went well, 1 when the thing asked about did not (an image failed, a server is not healthy), 2 when the command
could not start (an option, a folder, a port, a missing package), with one line that says why.
"""

from __future__ import annotations

import logging
import sys
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from vision_emulator import config as configuration
from vision_emulator.config import Config, ConfigError, Loaded
from vision_emulator.written import suggestion

if TYPE_CHECKING:
    from asyncio import Event, Runner
    from contextlib import AbstractAsyncContextManager, AsyncExitStack
    from threading import Timer

    from vision_emulator.app import Emulator
    from vision_emulator.contract.messages import AnnotateImageResponse
    from vision_emulator.core.service import Vision
    from vision_emulator.storage.data_dir import DataDirectory

T = TypeVar("T")

log = logging.getLogger("vision_emulator")

PROGRAM: Final = "vision-emulator"
ANNOTATE_OPTIONS: Final = ("fixtures", "shipped_fixtures", "annotators", "annotator", "settings", "annotate_timeout", "seed", "log_level")
OUTPUT_OPTIONS: Final = ("storage", "buckets", "output_content_type", "log_level")
HEALTHCHECK_SECONDS: Final = 2.0
STOP_SECONDS: Final = 5.0  # for everything to end once accepted work is done, or has been given up
PROGRESS_CELLS: Final = 24
EXEC_DEFAULTS: Final[dict[str, Any]] = {"port": 0, "proxy_others": True, "log_level": "warning"}  # a program has output of its own
SHELLS: Final = ("bash", "fish", "powershell", "dotenv", "github")
LANGUAGES: Final = (
    *("python", "python-async", "python-rest", "python-discovery", "node", "node-rest"),
    *("go", "go-rest", "java", "java-rest", "ruby", "php", "csharp", "curl", "gcloud"),
)


class CannotStart(Exception):
    """The command cannot do its work; the text says why and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and answers its exit code; SystemExit (0 or 2) for --help, --version and flags that do not parse."""
    parser = _parser()
    chosen, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(f"unknown argument {unknown[0]}{_did_you_mean(unknown[0], chosen.parser)}")
    try:
        return _run(chosen)
    except (ConfigError, CannotStart) as refusal:
        print(f"{PROGRAM}: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _run(chosen: Namespace) -> int:
    """The exit code of a command; a reader of its output that has seen enough, such as head, ends it without a word."""
    try:
        code = int(chosen.run(chosen))
        sys.stdout.flush()
    except BrokenPipeError:
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would try once more, and complain, at its end
        return 1
    return code


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog=PROGRAM, description="Google Cloud Vision on your own machine.", allow_abbrev=False)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Any, help: str) -> ArgumentParser:  # noqa: A002 - argparse's word
        added = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
        added.set_defaults(run=run, parser=added)
        return added

    configuration.add_flags(command("serve", _serve, "Run the emulator until it is told to stop."))
    launched = command(
        "exec", _exec, "Run a program with an emulator beside it: clients built with no options come here. exec [OPTION…] -- COMMAND …"
    )
    configuration.add_flags(launched)
    launched.add_argument("command", metavar="COMMAND", nargs="+", help="the program and its arguments, behind --")
    env = command("env", _env, "Print the variables that lead programs to the emulator at --host and --port, for a shell to read.")
    env.add_argument("--shell", choices=SHELLS, default=SHELLS[0], help=f"how to write them [default: {SHELLS[0]}]")
    configuration.add_flags(env, "host", "port", "project", "storage", "certificates", "log_level")
    snippet = command("snippet", _snippet, "Print the lines of a program whose client is built for the emulator at --host and --port.")
    snippet.add_argument("language", choices=LANGUAGES, help="the language, and how its client speaks")
    configuration.add_flags(snippet, "host", "port")
    demo = command("demo", _demo, "Annotate twelve images end to end through Google's official client, and show every step.")
    demo.add_argument("--output", metavar="FOLDER", default="demo-output", help="folder for the images and results [default: demo-output]")
    annotate = command("annotate", _annotate, "Annotate image files and print the answer as JSON; no server is started.")
    annotate.add_argument("images", metavar="IMAGE", nargs="+", type=Path)
    annotate.add_argument(
        "--feature", action="append", metavar="TYPE", help="LABEL_DETECTION, FACE_DETECTION, … [default: labels and text]"
    )
    configuration.add_flags(annotate, *ANNOTATE_OPTIONS)
    _add_fixtures(command("fixtures", _fixtures, "Check rule files, write new ones for images, print their JSON Schema."))
    archived = command(
        "export", _export, "Write the state in --data-dir, buckets and operations, to one tar file; no server may run on it."
    )
    archived.add_argument("file", metavar="FILE", type=Path, help="a new .tar, or compressed .tar.gz or .tgz")
    configuration.add_flags(archived, "data_dir", "log_level")
    restored = command("import", _import, "Take over an exported state into --data-dir, which must hold none; all of it or nothing.")
    restored.add_argument("file", metavar="FILE", type=Path, help="what export wrote")
    configuration.add_flags(restored, "data_dir", "log_level")
    _add_lint_output(
        command("lint-output", _lint_output, "Check a set of output files, gs://BUCKET/PREFIX or a folder; exit 1 for a wrong one.")
    )
    _add_make_output(
        command("make-output", _make_output, "Make a set of output files, as the emulator writes it, or a deliberately awkward one.")
    )
    configuration.add_flags(command("config", _config, "Print every option, its value and where it came from, as TOML."))
    healthcheck = command("healthcheck", _healthcheck, "Exit 0 when the emulator at --host and --port is ready, 1 when it is not.")
    configuration.add_flags(healthcheck, "host", "port")
    return parser


class _Version(Action):
    """argparse's own wants the text before it is asked for, and looking it up costs start-up time."""

    def __call__(self, parser: ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(PROGRAM, version(PROGRAM))
        parser.exit()


def _did_you_mean(argument: str, parser: ArgumentParser) -> str:
    near = get_close_matches(argument.partition("=")[0], parser._option_string_actions, n=1)  # noqa: SLF001 - argparse has no list of flags
    return f"; did you mean {near[0]}?" if near else f"; see {parser.prog} --help"


def _flags(chosen: Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(chosen).items() if name == "config" or name in configuration.OPTIONS}


def _load(chosen: Namespace) -> Loaded:
    """The configuration of a command, with logging set up as it says."""
    loaded = configuration.load(_flags(chosen))
    logging.basicConfig(
        stream=sys.stderr, level=loaded.config.log_level.upper(), format="%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S"
    )
    for note in loaded.notes:
        log.info(note)
    if any(":" in name for name in (*loaded.config.annotator, *loaded.config.annotators)):
        sys.path.append(str(Path.cwd()))  # last, so that no file lying about stands in for an installed package
    return loaded


# ---- serve ----


def _serve(chosen: Namespace) -> int:
    import asyncio

    asyncio.run(_serve_until_told(_load(chosen).config))
    return 0


async def _serve_until_told(config: Config) -> None:
    """From start to a drained end. A second signal does not wait for accepted work."""
    import asyncio
    import signal
    from contextlib import AsyncExitStack

    from vision_emulator.app import Emulator

    stop, hurry = asyncio.Event(), asyncio.Event()

    def told() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told)
    async with AsyncExitStack() as stack:
        emulator = await _enter(stack, Emulator(config))
        _say_ready(emulator, config)
        await stop.wait()
        _end_for_sure(config.drain_seconds + STOP_SECONDS)
        log.info("stopping; accepted work may take %g s to finish", config.drain_seconds)
        await _drain(emulator, config.drain_seconds, hurry)
    log.info("stopped")


def _end_for_sure(seconds: float) -> Timer:
    """Ends the process by then, also when a thread of some annotator hangs: Python would wait for it for ever."""
    import os
    import threading

    def end() -> None:
        log.error("something did not stop in %g s, perhaps an annotator that hangs: left running no longer", seconds)
        sys.stdout.flush()
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    return timer


async def _enter(stack: AsyncExitStack, started: AbstractAsyncContextManager[T]) -> T:
    """What the context gives; CannotStart when something outside the program is in the way."""
    import errno

    from vision_emulator.annotators import SettingsError, UnknownAnnotator
    from vision_emulator.annotators.fixtures import FixtureError
    from vision_emulator.storage import StorageError

    try:
        return await stack.enter_async_context(started)
    except OSError as failure:
        advice = "; stop what listens there, or let --port 0 pick a free one" if failure.errno == errno.EADDRINUSE else ""
        reason = str(failure) if failure.filename or not failure.strerror else failure.strerror
        raise CannotStart(f"{reason}{advice}") from failure
    except (StorageError, FixtureError, SettingsError, UnknownAnnotator) as failure:
        raise CannotStart(str(failure)) from failure


def _say_ready(emulator: Emulator, config: Config) -> None:
    address = _reachable(emulator.address)
    print(f"Ready on {emulator.address}: REST, gRPC{'' if config.storage else ', Cloud Storage'}")
    if emulator.grpc_address:
        print(f"  gRPC only: {emulator.grpc_address}")
    if emulator.rest_address:
        print(f"  REST only: {emulator.rest_address}")
    print(f"  export VISION_EMULATOR_HOST={address}")
    print(f"  export STORAGE_EMULATOR_HOST={config.storage or 'http://' + address}", flush=True)


def _reachable(address: str) -> str:
    """The address as a client on this machine dials it: a server on every interface is on localhost, too."""
    host, _, port = address.rpartition(":")
    return f"localhost:{port}" if host in ("0.0.0.0", "[::]") else address  # noqa: S104 - compared, not bound


async def _drain(emulator: Emulator, seconds: float, hurry: Event) -> None:
    import asyncio

    async with asyncio.TaskGroup() as tasks:
        draining = tasks.create_task(emulator.drain(seconds))
        impatient = tasks.create_task(hurry.wait())
        await asyncio.wait((draining, impatient), return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        impatient.cancel()


# ---- exec, env, snippet ----


def _exec(chosen: Namespace) -> int:
    import asyncio

    loaded = configuration.load(_flags(chosen))
    unsaid = {name: value for name, value in EXEC_DEFAULTS.items() if loaded.origins[name] == "default"}
    config = replace(loaded.config, **unsaid)
    logging.basicConfig(stream=sys.stderr, level=config.log_level.upper(), format="%(levelname)s %(message)s")
    return asyncio.run(_run_beside(config, chosen.command))


async def _run_beside(config: Config, command: Sequence[str]) -> int:
    from contextlib import AsyncExitStack

    from vision_emulator import launch
    from vision_emulator.app import Emulator
    from vision_emulator.swept import Swept

    async with AsyncExitStack() as stack:
        swept = stack.enter_context(Swept())
        emulator = await _enter(stack, Emulator(config))
        try:
            code = await launch.run(emulator, command, configuration.environment(), swept)
        except launch.CannotRun as failure:
            print(f"{PROGRAM}: {failure}", file=sys.stderr)
            return failure.code
        if code != 0:
            print(f"{PROGRAM}: {command[0]} exited with {code}. {launch.summary(emulator.vision.journal)}", file=sys.stderr)
        return code


def _env(chosen: Namespace) -> int:
    from vision_emulator import environment
    from vision_emulator.surfaces.tls import Authority

    config, environ = _load(chosen).config, configuration.environment()
    folder = configuration.cache_folder() / "env"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    address = _reachable(configuration.join_address(config.host, config.port))
    authority = Authority(config.certificates or configuration.cache_folder() / "ca")
    files = environment.write_files(folder, authority, config.project, f"http://{address}/token", environ)
    print(environment.written(environment.variables(address, config.project, files, environ, config.storage), chosen.shell), end="")
    return 0


def _snippet(chosen: Namespace) -> int:
    config = _load(chosen).config
    address = _reachable(configuration.join_address(config.host, config.port))
    host, _, port = address.rpartition(":")
    text = (Path(__file__).with_name("snippets") / f"{chosen.language}.txt").read_text()
    print(text.replace("@ADDRESS@", address).replace("@HOST@", host).replace("@PORT@", port), end="")
    return 0


# ---- demo ----


def _demo(chosen: Namespace) -> int:
    try:
        from vision_emulator import demo
    except ImportError as missing:
        if not (missing.name or "").startswith("google"):
            raise
        raise CannotStart(
            "the demo uses Google's official client, which is not installed: pip install 'vision-emulator[demo]'"
        ) from missing
    logging.basicConfig(stream=sys.stderr, level="WARNING", format="%(levelname)s %(message)s")
    try:
        demo.run(Path(chosen.output), print, _show_progress)
    except OSError as failure:
        raise CannotStart(str(failure)) from failure
    return 0


def _show_progress(done: int, total: int) -> None:
    """A bar that grows in a terminal; a line for each step elsewhere."""
    if sys.stdout.isatty():
        filled = PROGRESS_CELLS * done // total
        bar = "█" * filled + "·" * (PROGRESS_CELLS - filled)
        print(f"\r  {bar} {done}/{total} images", end="\n" if done == total else "", flush=True)
    else:
        print(f"  {done}/{total} images", flush=True)


# ---- annotate ----


@contextmanager
def _runner() -> Iterator[Runner]:
    """Runs coroutines. What hangs afterwards, such as a thread of some annotator, ends with the process in STOP_SECONDS."""
    import asyncio

    timer: Timer | None = None
    try:
        with asyncio.Runner() as runner:
            try:
                yield runner
            finally:
                timer = _end_for_sure(STOP_SECONDS)
    finally:
        if timer is not None:
            timer.cancel()


def _annotate(chosen: Namespace) -> int:
    from vision_emulator.contract import codec
    from vision_emulator.contract.messages import BatchAnnotateImagesResponse, Feature

    features = [Feature(type=name) for name in _feature_names(chosen.feature)]
    with _runner() as runner:
        responses = runner.run(_annotate_all(_load(chosen).config, chosen.images, features))
        print(codec.encode(BatchAnnotateImagesResponse(responses=responses), pretty=True).decode(), flush=True)
    return 1 if any(response.HasField("error") for response in responses) else 0


def _feature_names(given: Sequence[str] | None) -> Sequence[str]:
    """The features that a command was told to ask for, by name."""
    from vision_emulator.contract.messages import Feature

    known = [name for name in Feature.Type.keys() if name != "TYPE_UNSPECIFIED"]  # noqa: SIM118 - an enum wrapper, no dict
    for name in given or ():
        if name not in known:
            hint = suggestion(name.upper(), known, f"there are {', '.join(known)}")
            raise CannotStart(f"{name} is no feature; {hint}")
    return given or ["LABEL_DETECTION", "TEXT_DETECTION"]


async def _annotate_all(config: Config, paths: Sequence[Path], features: Sequence[Any]) -> list[AnnotateImageResponse]:
    from contextlib import AsyncExitStack

    from vision_emulator.app import core
    from vision_emulator.control.clock import Chance, SystemClock

    async with AsyncExitStack() as stack:
        vision, _ = await _enter(stack, core(replace(config, data_dir=None), SystemClock(), Chance()))  # which a server may be using
        return [await _annotate_one(vision, path, features) for path in paths]


async def _annotate_one(vision: Vision, path: Path, features: Sequence[Any]) -> AnnotateImageResponse:
    """The answer for one file, its path where a batch has the URI; a file that cannot be read is this image's error."""
    import asyncio

    from vision_emulator.contract.errors import Code
    from vision_emulator.contract.messages import AnnotateImageRequest, AnnotateImageResponse, BatchAnnotateImagesRequest, Image, Status
    from vision_emulator.contract.methods import METHODS, Call

    try:
        content = await asyncio.to_thread(path.read_bytes)
    except OSError as failure:
        response = AnnotateImageResponse(error=Status(code=Code.NOT_FOUND, message=f"{path}: {failure.strerror}"))
    else:
        request = BatchAnnotateImagesRequest(requests=[AnnotateImageRequest(image=Image(content=content), features=features)])
        method = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages"]
        response = (await vision.call(Call(method, request, {}))).responses[0]  # type: ignore[attr-defined]
    response.context.uri = str(path)
    return response


# ---- fixtures ----


def _add_fixtures(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    check = actions.add_parser("check", help="read rule files, and say file, line and reason of what is wrong", allow_abbrev=False)
    check.add_argument("folders", metavar="FOLDER", nargs="+", type=Path)
    new = actions.add_parser("new", help="write rules for images with the answers they have now, ready to edit", allow_abbrev=False)
    new.add_argument("images", metavar="IMAGE", nargs="+", type=Path)
    new.add_argument("--feature", action="append", metavar="TYPE", help="LABEL_DETECTION, FACE_DETECTION, … [default: labels and text]")
    new.add_argument(
        "--match",
        choices=("sha256", "pixels", "looksLike", "uri"),
        default="sha256",
        help="by the bytes, the pixels, the look, or the uri [default: sha256]",
    )
    new.add_argument("--folder", metavar="URI", default="*/", help="what goes before the name in a uri, as gs://photos/ [default: */]")
    new.add_argument("--output", metavar="FILE", type=Path, help="a new .yaml or .json file [default: standard output]")
    configuration.add_flags(new, *ANNOTATE_OPTIONS)
    actions.add_parser("schema", help="print the JSON Schema of rule files, for editors", allow_abbrev=False)
    for action in actions.choices.values():
        action.set_defaults(parser=action)


def _fixtures(chosen: Namespace) -> int:
    if chosen.action == "check":
        return _check_fixtures(chosen.folders)
    if chosen.action == "new":
        return _new_fixtures(chosen)
    from vision_emulator.annotators.fixtures import schema

    print(schema.text(), end="")
    return 0


def _check_fixtures(folders: Sequence[Path]) -> int:
    """A line for each file that cannot be used."""
    from vision_emulator.annotators.fixtures.files import FixtureError, read_file, rule_files

    files = rules = wrong = 0
    for folder in folders:
        try:
            paths = rule_files(folder)
        except FixtureError as missing:
            raise CannotStart(str(missing)) from missing
        for path in paths:
            files += 1
            try:
                rules += len(read_file(path).rules)
            except FixtureError as failure:
                wrong += 1
                print(failure)
    print(f"{rules} rules in {files} files, {wrong} of them wrong" if wrong else f"{rules} rules in {files} files")
    return 1 if wrong else 0


def _new_fixtures(chosen: Namespace) -> int:
    from vision_emulator import new_fixtures

    output: Path | None = chosen.output
    if output is not None and output.suffix not in (".json", ".yaml", ".yml"):
        raise CannotStart(f"{output}: a rule file is called .yaml, .yml or .json")
    with _runner() as runner:
        try:
            rules = runner.run(_new_rules(_load(chosen).config, chosen))
        except new_fixtures.Unreadable as unreadable:
            raise CannotStart(str(unreadable)) from unreadable
        text = new_fixtures.as_text(rules, is_json=output is not None and output.suffix == ".json")
        if output is None:
            print(text, end="", flush=True)
            return 0
        try:
            with output.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as failure:
            raise CannotStart(f"{output}: {failure.strerror}; a file that is there stays as it is") from failure
    return 0


async def _new_rules(config: Config, chosen: Namespace) -> list[dict[str, Any]]:
    from contextlib import AsyncExitStack

    from vision_emulator.app import core
    from vision_emulator.control.clock import Chance, SystemClock
    from vision_emulator.new_fixtures import new_rules

    names = _feature_names(chosen.feature)
    async with AsyncExitStack() as stack:
        vision, _ = await _enter(stack, core(replace(config, data_dir=None), SystemClock(), Chance()))  # which a server may be using
        return await new_rules(vision, chosen.images, names, chosen.match, chosen.folder)


# ---- export, import ----


def _export(chosen: Namespace) -> int:
    folder, archive = _data_dir(chosen), Path(chosen.file)
    if not folder.is_dir():
        raise CannotStart(f"{folder} is no folder: there is nothing to export")
    with _opened(folder) as data:
        print(f"{data.export(archive)} files of {folder} are in {archive}")
    return 0


def _import(chosen: Namespace) -> int:
    folder, archive = _data_dir(chosen), Path(chosen.file)
    if not archive.is_file():
        raise CannotStart(f"{archive} is no file: there is nothing to import")
    with _opened(folder) as data:
        print(f"{data.restore(archive)} files of {archive} are in {folder}")
    return 0


def _data_dir(chosen: Namespace) -> Path:
    folder = _load(chosen).config.data_dir
    if folder is None:
        raise CannotStart("name the folder of the state: --data-dir FOLDER")
    return folder


@contextmanager
def _opened(folder: Path) -> Iterator[DataDirectory]:
    """The data directory, of which no server may be running; CannotStart says what is in the way."""
    from vision_emulator.storage import StorageError
    from vision_emulator.storage.data_dir import DataDirectory

    try:
        with DataDirectory(folder) as data:
            yield data
    except StorageError as failure:
        raise CannotStart(str(failure)) from failure
    except OSError as failure:
        raise CannotStart(f"{failure.filename or folder}: {failure.strerror or failure}") from failure


# ---- lint-output, make-output ----


def _add_lint_output(parser: ArgumentParser) -> None:
    parser.add_argument("source", metavar="PLACE", help="gs://BUCKET/PREFIX, with --storage or --buckets, or a folder")
    parser.add_argument("--batch-size", type=int, metavar="N", help="what all files but the last hold [default: as much as the first]")
    parser.add_argument("--count", type=int, metavar="N", help="how many images or pages there must be [default: as many as there are]")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="a line for each finding, or one JSON [default: text]")
    configuration.add_flags(parser, *OUTPUT_OPTIONS)


def _lint_output(chosen: Namespace) -> int:
    import asyncio

    from vision_emulator import output_kit
    from vision_emulator.annotators import SettingsError
    from vision_emulator.core.outputs import Expected
    from vision_emulator.storage import StorageError

    config = _load(chosen).config
    for flag, value in (("--batch-size", chosen.batch_size), ("--count", chosen.count)):
        if value is not None and value < 1:
            raise CannotStart(f"{flag} {value} is none; use 1 or more")
    expected = Expected(chosen.batch_size, chosen.count, config.output_content_type)
    try:
        outputs = asyncio.run(output_kit.check(chosen.source, config, expected))
    except (output_kit.NoSet, StorageError, SettingsError) as none:
        raise CannotStart(str(none)) from none
    findings = outputs.findings()
    wrong = sum(finding.level == "wrong" for finding in findings)
    if chosen.format == "json":
        import json

        said = {"files": outputs.files, "responses": outputs.responses, "findings": [finding._asdict() for finding in findings]}
        print(json.dumps(said, indent=2))
    else:
        for finding in findings:
            print(finding)
        log.info("%d files, %d responses: %d wrong, %d unusual", outputs.files, outputs.responses, wrong, len(findings) - wrong)
    return 1 if wrong else 0


def _add_make_output(parser: ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--pages", type=int, metavar="N", help="of one document, as files:asyncBatchAnnotate writes them")
    what.add_argument("--images", type=int, metavar="N", help="as images:asyncBatchAnnotate writes them")
    parser.add_argument("--batch-size", type=int, metavar="N", help="responses in a file [default: 20]")
    parser.add_argument("--errors", metavar="N,…", help="the images or pages whose slot has an error, counted from 1")
    parser.add_argument("--input", metavar="URI", default="", help="gs:// URI of the document, or prefix of the images, for their contexts")
    parser.add_argument("--feature", action="append", metavar="TYPE", help="[default: document text for pages, labels and text for images]")
    parser.add_argument("--awkward", metavar="NAME,…", help="sets that consumers trip over, each under its name; all: every one")
    parser.add_argument("--list-awkward", action="store_true", help="say what the awkward sets are, and make none")
    parser.add_argument("--output", metavar="PLACE", help="a folder, or gs://BUCKET/PREFIX with --storage or --buckets")
    configuration.add_flags(parser, *OUTPUT_OPTIONS, "seed")


def _make_output(chosen: Namespace) -> int:
    import asyncio

    from vision_emulator import output_kit
    from vision_emulator.annotators import SettingsError
    from vision_emulator.storage import StorageError

    if chosen.list_awkward:
        width = max(len(name) for name in output_kit.AWKWARD)
        for name, awkward in output_kit.AWKWARD.items():
            print(f"{name:<{width}}  {awkward.description}")
        return 0
    if not chosen.output:
        raise CannotStart("--output says where to: a folder, or gs://BUCKET/PREFIX")
    if chosen.pages is None and chosen.images is None and not chosen.awkward:
        raise CannotStart("what is to be made? --pages N, --images N, or --awkward NAME")
    config = _load(chosen).config
    try:
        asyncio.run(_make_outputs(config, chosen))
    except (output_kit.NoSet, StorageError, SettingsError) as refusal:
        raise CannotStart(str(refusal)) from refusal
    return 0


async def _make_outputs(config: Config, chosen: Namespace) -> None:
    from vision_emulator import output_kit

    try:
        errors = tuple(int(number) for number in chosen.errors.split(",")) if chosen.errors else None
    except ValueError as wrong:
        raise CannotStart(f"--errors {chosen.errors}: write numbers with commas between, as 3,7") from wrong
    plan = output_kit.Plan(
        pages=chosen.pages,
        images=chosen.images,
        batch_size=chosen.batch_size,
        errors=errors,
        input=chosen.input,
        features=tuple(_feature_names(chosen.feature)) if chosen.feature else (),
        seed=config.seed,
    )
    if not chosen.awkward:
        made = await output_kit.make(plan)
        await output_kit.write(made, chosen.output, config)
        print(f"{chosen.output}: {len(made.files)} files")
        return
    for name, awkward in output_kit.named(chosen.awkward.split(","), chosen.output).items():
        made = await output_kit.make_awkward(awkward, plan)
        place = f"{chosen.output.rstrip('/')}/{name}/"
        await output_kit.write(made, place, config)
        print(f"{place}: {len(made.files)} files; {awkward.description}")


# ---- config, healthcheck ----


def _config(chosen: Namespace) -> int:
    print(configuration.as_toml(_load(chosen)), end="")
    return 0


def _healthcheck(chosen: Namespace) -> int:
    """Asks the server's health; needs neither a shell nor anything heavy, so that containers can ask often."""
    import http.client

    config = _load(chosen).config
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)  # noqa: S104 - where a server on every interface is found
    connection = http.client.HTTPConnection(host, config.port, timeout=HEALTHCHECK_SECONDS)
    try:
        connection.request("GET", "/_emulator/health")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as failure:
        print(f"{PROGRAM}: {host}:{config.port} does not answer: {failure}", file=sys.stderr)
        return 1
    finally:
        connection.close()
    if status != http.client.OK:
        print(f"{PROGRAM}: {host}:{config.port} answered with status {status}", file=sys.stderr)
        return 1
    return 0
