"""How annotators are found, told their settings, started and let go: whatever is wrong with one is said in a line at the start."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vision_emulator.annotators import Settings, SettingsError, UnknownAnnotator, load, opened

MODULE = """
import asyncio
from vision_emulator import Annotator
from vision_emulator.annotators import SettingsError

class Plain(Annotator):
    name = "plain"
    def claims(self, picture, feature): return False
    async def annotate(self, picture, features, context): raise NotImplementedError

class Shade(Plain):
    name = "shade"
    settings_known = frozenset({"word", "depth"})
    @classmethod
    def create(cls, settings):
        made = cls()
        made.table = settings.table
        if settings.table.get("depth", 0) < 0:
            raise SettingsError(f"depth: {settings.table['depth']} is below the ground; use 0 or more")
        return made

class Nameless(Plain):
    name = None

class Unfinished(Annotator):
    name = "unfinished"
    async def annotate(self, picture, features, context): raise NotImplementedError

class Late(Plain):
    name = "late"
    async def claims(self, picture, feature): return False

class Unmade(Plain):
    name = "unmade"
    @classmethod
    def create(cls, settings): return cls(1, 2, 3)

class Unready(Plain):
    name = "unready"
    async def __aenter__(self): raise OSError("no such model: a.onnx")

class Dawdling(Plain):
    name = "dawdling"
    async def __aexit__(self, *exc): raise RuntimeError("never ends well")

class Ending(Plain):
    name = "ending"
    ended = False
    async def __aexit__(self, *exc): self.ended = True

class Stranger:
    name = "stranger"
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "strange_plug_ins.py").write_text(MODULE)
    (tmp_path / "broken_plug_ins.py").write_text("1 / 0")
    (tmp_path / "needing_plug_ins.py").write_text("import xyzzy_not_installed")
    monkeypatch.syspath_prepend(tmp_path)
    yield "strange_plug_ins"
    for name in ("strange_plug_ins", "broken_plug_ins", "needing_plug_ins"):
        sys.modules.pop(name, None)


def test_an_annotator_has_its_own_table(module: str) -> None:
    """Each sees the settings that bear its name, and nobody else's; the order is the one given."""
    tables = {"shade": {"word": "dark"}}
    annotators: list[Any] = list(load([f"{module}:Shade", "fixtures", f"{module}:Plain"], Settings(), tables))
    assert [annotator.name for annotator in annotators] == ["shade", "fixtures", "plain"]
    assert annotators[0].table == {"word": "dark"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nobody", "no annotator is called 'nobody'; installed are: fixtures, "),
        ("no_such_module:X", "no_such_module:X: there is no module no_such_module in the working directory or installed"),
        ("broken_plug_ins:X", "broken_plug_ins:X: the module cannot be imported: ZeroDivisionError: division by zero"),
        ("needing_plug_ins:X", "needing_plug_ins:X: the module needs xyzzy_not_installed, which is not installed"),
        ("strange_plug_ins:Shad", "strange_plug_ins:Shad: the module has no class Shad; did you mean Shade?"),
        ("strange_plug_ins:Stranger", "strange_plug_ins:Stranger is no annotator: make it a subclass of vision_emulator.Annotator"),
        ("strange_plug_ins:MODULE", "strange_plug_ins:MODULE: the module has no class MODULE; there are "),
        ("strange_plug_ins:asyncio", "strange_plug_ins:asyncio is no annotator"),
        ("strange_plug_ins:Unfinished", "strange_plug_ins:Unfinished is not finished: it has no claims"),
        ("strange_plug_ins:Nameless", 'strange_plug_ins:Nameless has no usable name: give the class one, as in name = "mine"'),
        ("strange_plug_ins:Late", "strange_plug_ins:Late: claims must answer at once: write it without async"),
    ],
)
def test_one_that_cannot_be_had_is_named(module: str, name: str, said: str) -> None:
    """A wrong name, a broken module and a class that is no annotator are told apart, with the nearest name where there is one."""
    del module
    with pytest.raises(UnknownAnnotator) as caught:
        load([name], Settings())
    assert str(caught.value).startswith(said)


def test_two_of_one_name_are_refused(module: str) -> None:
    """Settings and disclosure go by name, so a name belongs to one annotator."""
    with pytest.raises(UnknownAnnotator, match="two annotators are called 'shade': Shade and Shade"):
        load([f"{module}:Shade", f"{module}:Shade"], Settings())


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"shad": {"word": 1}}, "settings.shad: no annotator of this name is asked; did you mean shade?"),
        ({"http": {"url": "x"}}, "settings.http: no annotator of this name is asked; there are fixtures, plain, shade"),
        ({"shade": {"wrd": 1}}, "settings.shade.wrd is no setting; did you mean word?"),
        ({"fixtures": {"folder": "x"}}, "settings.fixtures.folder is no setting; there are none"),
        ({"shade": {"xyzzy": 1}}, "settings.shade.xyzzy is no setting; there are depth, word"),
        ({"shade": {"depth": -1}}, "settings.shade: depth: -1 is below the ground; use 0 or more"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(module: str, tables: Any, said: str) -> None:
    """Nothing that was said is silently ignored: an unknown table, an unknown key, a value the annotator cannot use."""
    with pytest.raises(SettingsError) as caught:
        load([f"{module}:Shade", f"{module}:Plain", "fixtures"], Settings(), tables)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Unmade", "annotator unmade cannot start: TypeError: "),
        ("Unready", "annotator unready cannot start: OSError: no such model: a.onnx"),
    ],
)
async def test_one_that_cannot_start_is_named(module: str, name: str, said: str) -> None:
    """A stranger's exception at the start is one line that names the annotator, never a traceback to guess from."""
    with pytest.raises(SettingsError) as caught:
        async with opened([f"{module}:{name}"], Settings()):
            pass
    assert str(caught.value).startswith(said)


async def test_one_that_does_not_end_well_keeps_no_other_from_ending(module: str, caplog: pytest.LogCaptureFixture) -> None:
    """At the end every annotator is let go, also behind one that fails at it."""
    async with opened([f"{module}:Ending", f"{module}:Dawdling"], Settings()) as annotators:
        ending: Any = annotators[0]
    assert ending.ended
    assert "annotator dawdling did not end well" in caplog.text
