"""``vision-emulator snippet``: lines to copy. That they work is what tests/clients run; here is what holds for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vision_emulator import cli

FOLDER = Path(cli.__file__).with_name("snippets")
UNTRIED = ("ruby", "php", "csharp")  # their clients are in registries that the tests do without


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["snippet", *arguments]) == 0
    return capsys.readouterr().out


def test_every_language_has_its_lines() -> None:
    """What the command line offers are the files that there are."""
    assert sorted(cli.LANGUAGES) == sorted(path.stem for path in FOLDER.iterdir())


@pytest.mark.parametrize("language", cli.LANGUAGES)
def test_the_address_is_the_servers(capsys: pytest.CaptureFixture[str], language: str) -> None:
    """It stands where the client is told it, in whatever form; one that was not tried says so in its first lines."""
    text = printed(capsys, language, "--host", "vision.test:1234")
    assert "@" not in text.replace("@google-cloud", "")
    assert "vision.test:1234" in text or ("'vision.test'" in text and "1234" in text)
    assert ("not tried" in text.partition("\n")[0]) == (language in UNTRIED)


def test_a_server_on_every_interface_is_dialled_on_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    """0.0.0.0 is no address to connect to; the default is where serve listens."""
    assert "localhost:99" in printed(capsys, "curl", "--host", "0.0.0.0", "--port", "99")
    assert "127.0.0.1:8970" in printed(capsys, "curl")


def test_an_unknown_language(capsys: pytest.CaptureFixture[str]) -> None:
    """Refused with the list of those that there are."""
    with pytest.raises(SystemExit) as left:
        cli.main(["snippet", "cobol"])
    assert left.value.code == 2
    assert "python-async" in capsys.readouterr().err
