"""--bundle comes before EARSHOT_BUNDLE, which comes before the bundle of the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from earshot.runtime.bundle import builtin as module
from earshot.runtime.errors import BundleError
from tests.runtime.bundle.making import make_bundle


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARSHOT_BUNDLE", raising=False)


def test_the_builtin_bundle_lies_in_the_package() -> None:
    assert module.builtin_bundle_dir() == Path(module.__file__).parent / "default"


def test_option_before_variable_before_builtin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    option, variable, builtin = (make_bundle(tmp_path / name) for name in ("option", "variable", "builtin"))
    monkeypatch.setattr(module, "builtin_bundle_dir", lambda: builtin)
    assert module.bundle_dir() == builtin
    monkeypatch.setenv("EARSHOT_BUNDLE", str(variable))
    assert module.bundle_dir() == variable
    assert module.bundle_dir(option) == option
    assert module.verified_bundle(option)[1].name == "tiny"


def test_a_missing_bundle_says_what_would_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "builtin_bundle_dir", lambda: tmp_path / "none")
    with pytest.raises(BundleError, match="--bundle DIR or EARSHOT_BUNDLE"):
        module.bundle_dir()
    monkeypatch.setenv("EARSHOT_BUNDLE", str(tmp_path / "gone"))
    with pytest.raises(BundleError, match=r"gone \(named by EARSHOT_BUNDLE\) does not exist"):
        module.bundle_dir()
    with pytest.raises(BundleError, match=r"named by --bundle"):
        module.bundle_dir(tmp_path / "gone")


def test_a_home_of_nobody_is_a_bundle_that_does_not_exist() -> None:
    with pytest.raises(BundleError, match=r"~nobody-of-that-name/bundle \(named by --bundle\) does not exist"):
        module.bundle_dir("~nobody-of-that-name/bundle")
