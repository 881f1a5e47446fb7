"""The configuration: what is written is what is read, and a key that means nothing is refused with the one meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.errors import UsageError
from earshot.runtime.interfaces.config import Config, ListenConfig, as_toml, default_path, read_config, write_config
from earshot.runtime.scene.memory import default_memory_path

names = st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@given(
    device=names,
    source=names,
    bundle=st.none() | st.sampled_from([Path("/a b/c"), Path('quo"te\\')]),
    think=st.booleans(),
    ui=st.sampled_from(["terminal", "none"]),
)
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, **values: object) -> None:
    config = Config(listen=ListenConfig(**values))
    path = tmp_path_factory.mktemp("config") / "new" / "config.toml"
    write_config(path, config)
    assert read_config(path) == config


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[listen]\ndevise = "x"', "unknown key 'listen.devise'; did you mean 'device'?"),
        ("[listne]\n", "unknown key 'listne'; did you mean 'listen'?"),
        ("[listen]\nzzz = 1", "known are: source, device, bundle, think, ui"),
        ('[listen]\nui = "radio"', "listen.ui: input should be"),
        ("[listen]\nthink = []", "listen.think: "),
        ("[listen\n", "no valid TOML"),
        ("a = " + "[" * 5000, "no valid TOML"),
    ],
)
def test_what_means_nothing_is_refused_in_one_line(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_config(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_only_the_default_place_may_be_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_path() == tmp_path / "earshot" / "config.toml"
    assert read_config() == Config()
    with pytest.raises(UsageError, match="no such file; write one with 'earshot init'"):
        read_config(tmp_path / "other.toml")
    write_config(default_path(), Config(listen=ListenConfig(think=False)))
    assert read_config().listen.think is False
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path() == tmp_path / ".config" / "earshot" / "config.toml"


def test_a_file_that_is_there_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    write_config(path, Config(listen=ListenConfig(device="mine")))
    with pytest.raises(UsageError, match="exists already; use --force"):
        write_config(path, Config())
    assert read_config(path).listen.device == "mine"
    write_config(path, Config(), overwrite=True)
    assert read_config(path) == Config()


def test_defaults_are_shown_as_comments() -> None:
    lines = as_toml(Config()).splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["[listen]"]
    assert '# device = "In-Ear USB"' in lines


def test_the_mark_that_windows_editors_put_before_a_text_means_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("\ufeff[listen]\nthink = false\n", "utf-8")
    assert read_config(path).listen.think is False


def test_without_a_home_nothing_is_configured_and_files_have_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container or service that runs under a number without an entry in the user database."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def nobody(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert read_config() == Config()
    for find, variable in ((default_path, "XDG_CONFIG_HOME"), (default_memory_path, "XDG_STATE_HOME")):
        with pytest.raises(UsageError, match=f"no home directory; set HOME or {variable}"):
            find()
