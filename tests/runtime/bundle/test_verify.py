"""A bundle is loaded only when every byte is what its manifest says and nothing in it reaches outside."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earshot.runtime.bundle.manifest import BUNDLE_FILES, MANIFEST_NAME, Manifest, is_plain_name
from earshot.runtime.bundle.verify import verify_bundle
from earshot.runtime.errors import BundleError
from tests.runtime.bundle.making import edit_manifest, make_bundle, manifest_of, reseal, tiny_onnx, write_tiny_gguf
from tests.runtime.tiny_bundle import write_tiny_networks


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def bundle(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "bundle"))


def refusal(bundle: Path, *words: str) -> str:
    with pytest.raises(BundleError) as caught:
        verify_bundle(bundle)
    message = str(caught.value)
    assert caught.value.exit_code == 4
    assert "\n" not in message
    assert ";" in message, "a remedy is missing"
    for word in words:
        assert word in message
    return message


def test_a_whole_bundle_is_accepted_and_its_manifest_returned(bundle: Path) -> None:
    manifest = verify_bundle(bundle)
    assert manifest == manifest_of(bundle)
    assert manifest.slots == 4
    assert manifest.features.sample_rate_hz == 16000
    assert verify_bundle(str(bundle)) == manifest


@pytest.fixture
def named(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "named", names=True)


def test_a_names_network_is_accepted_when_the_manifest_vouches_for_it(named: Path, bundle: Path) -> None:
    assert set(verify_bundle(named).files) == {*BUNDLE_FILES, "names.onnx"}
    shutil.copyfile(named / "names.onnx", bundle / "names.onnx")
    refusal(bundle, "names.onnx", "does not belong", "remove it")


def test_a_names_network_that_is_missing_damaged_or_reaches_outside_is_refused(named: Path) -> None:
    whole = (named / "names.onnx").read_bytes()
    (named / "names.onnx").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refusal(named, "names.onnx", "SHA-256")
    (named / "names.onnx").write_bytes(whole[:-1])
    refusal(named, "names.onnx", "truncated")
    (named / "names.onnx").unlink()
    refusal(named, "names.onnx", "missing")
    (named / "names.onnx").symlink_to(named / "spatial.onnx")
    refusal(named, "names.onnx", "symbolic link")
    (named / "names.onnx").unlink()
    model = tiny_onnx()
    model.graph.node[0].domain = "elsewhere"
    onnx.save(model, named / "names.onnx")
    reseal(named)
    refusal(named, "names.onnx", "foreign domain")


def test_a_link_to_the_directory_itself_is_fine(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(bundle)
    assert verify_bundle(tmp_path / "link").name == "tiny"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(BUNDLE_FILES), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_flipped_bit_anywhere_is_noticed(bundle: Path, name: str, place: float, bit: int) -> None:
    path = bundle / name
    whole = path.read_bytes()
    data = bytearray(whole)
    data[int(place * len(data))] ^= 1 << bit
    path.write_bytes(bytes(data))
    try:
        refusal(bundle, name, "SHA-256")
    finally:
        path.write_bytes(whole)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_of_the_manifest_never_lets_other_files_pass(bundle: Path, place: float, bit: int) -> None:
    """It is refused, or it touched only words that describe (a name, a figure), not files or settings."""
    path, expected = bundle / MANIFEST_NAME, manifest_of(bundle)
    whole = path.read_bytes()
    data = bytearray(whole)
    data[int(place * len(data))] ^= 1 << bit
    path.write_bytes(bytes(data))
    try:
        manifest = verify_bundle(bundle)
    except BundleError as error:
        assert "\n" not in str(error)
    else:
        assert manifest.files == expected.files
        assert (manifest.features, manifest.labels) == (expected.features, expected.labels)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("name", [*BUNDLE_FILES, MANIFEST_NAME])
def test_a_truncated_file_is_refused(bundle: Path, name: str) -> None:
    data = (bundle / name).read_bytes()
    for keep in (len(data) - 1, len(data) // 2, 0):
        (bundle / name).write_bytes(data[:keep])
        refusal(bundle, name)


@pytest.mark.parametrize("name", BUNDLE_FILES)
def test_an_appended_byte_is_refused(bundle: Path, name: str) -> None:
    with (bundle / name).open("ab") as file:
        file.write(b"x")
    refusal(bundle, name, "too long")


@pytest.mark.parametrize("name", [*BUNDLE_FILES, MANIFEST_NAME])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    refusal(bundle, name, "missing")


@pytest.mark.parametrize("name", [*BUNDLE_FILES, MANIFEST_NAME])
def test_a_symbolic_link_is_refused_even_to_the_right_content(bundle: Path, tmp_path: Path, name: str) -> None:
    shutil.move(bundle / name, tmp_path / name)
    (bundle / name).symlink_to(tmp_path / name)
    refusal(bundle, name, "symbolic link")


@pytest.mark.parametrize("name", ["README.md", "weights.bin", ".hidden", "spatial.onnx.data"])
def test_an_unexpected_file_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).write_text("x")
    refusal(bundle, name, "does not belong", "remove it")


def test_a_folder_or_pipe_in_place_of_a_file_is_refused(bundle: Path) -> None:
    (bundle / "spatial.onnx").unlink()
    (bundle / "spatial.onnx").mkdir()
    refusal(bundle, "spatial.onnx", "not a regular file")
    (bundle / "spatial.onnx").rmdir()
    os.mkfifo(bundle / "spatial.onnx")
    refusal(bundle, "spatial.onnx", "not a regular file")


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../llm.gguf", "..", "a/b.onnx", "C:\\x.onnx", "\\\\host\\share\\x", "sub\\x.onnx", "."],
)
def test_a_manifest_that_names_a_path_is_refused(bundle: Path, name: str) -> None:
    assert not is_plain_name(name)
    files = json.loads((bundle / MANIFEST_NAME).read_text())["files"]
    edit_manifest(bundle, files={**files, name: files["llm.gguf"]})
    refusal(bundle, MANIFEST_NAME, "a path, not a plain file name")
    moved = {key: value for key, value in files.items() if key != "llm.gguf"}
    edit_manifest(bundle, files={**moved, name: files["llm.gguf"]})
    refusal(bundle, MANIFEST_NAME, "a path, not a plain file name")


def test_a_manifest_with_another_or_a_missing_file_is_refused(bundle: Path) -> None:
    files = json.loads((bundle / MANIFEST_NAME).read_text())["files"]
    edit_manifest(bundle, files={**files, "extra.onnx": files["llm.gguf"]})
    refusal(bundle, MANIFEST_NAME, "extra.onnx")
    edit_manifest(bundle, files={key: value for key, value in files.items() if key != "llm.gguf"})
    refusal(bundle, MANIFEST_NAME, "llm.gguf")


CHANGES: dict[str, dict[str, object]] = {
    "a newer schema": {"schema_version": 2},
    "a schema of another type": {"schema_version": "1"},
    "an unknown key": {"execute": "rm"},
    "a missing name": {"name": None},
    "a name that is a path": {"name": "../nano"},
    "too few labels": {"labels": ["dog"]},
    "labels out of order": {"labels": [f"z{60 - i:02d}" for i in range(61)]},
    "the labels of another table": {"labels": [f"class_{i:02d}" for i in range(61)]},
    "labels twice": {"labels": ["dog"] * 61},
    "a negative width": {"llm": {"architecture": "llama", "hidden": -1, "context": 128, "quantization": "F32"}},
    "a number as text": {"llm": {"architecture": "llama", "hidden": "64", "context": 128, "quantization": "F32"}},
    "a foreign family": {"llm": {"architecture": "other", "hidden": 64, "context": 128, "quantization": "F32"}},
    "another hop": {"features": {"hop": 160}},
    "no licence": {"licences": {}},
    "slots without end": {"slots": 10**9},
    "a figure that is none": {"measured": {"accuracy": {"x": float("nan")}}},
    "a list for an object": {"files": []},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES.keys())
def test_a_manifest_that_breaks_the_schema_is_refused(bundle: Path, changes: dict[str, object]) -> None:
    edit_manifest(bundle, **changes)
    refusal(bundle, MANIFEST_NAME)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"name": "' + "x" * (1 << 20) + '"}', "\0"])
def test_a_manifest_that_is_no_manifest_is_refused(bundle: Path, text: str) -> None:
    (bundle / MANIFEST_NAME).write_text(text)
    refusal(bundle, MANIFEST_NAME)


def test_a_wrong_size_and_a_wrong_hash_in_the_manifest_are_refused(bundle: Path) -> None:
    files = json.loads((bundle / MANIFEST_NAME).read_text())["files"]
    entry = files["llm.gguf"]
    for wrong in (
        {"size": entry["size"] + 1},
        {"size": -1},
        {"sha256": "0" * 64},
        {"sha256": entry["sha256"].upper()},
    ):
        edit_manifest(bundle, files={**files, "llm.gguf": {**entry, **wrong}})
        refusal(bundle, "llm.gguf")


def test_hashes_are_checked_before_content(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that nobody vouches for is not even parsed by our own parsers."""
    calls: list[Path] = []
    monkeypatch.setattr("earshot.runtime.bundle.verify.check_onnx", calls.append)
    (bundle / "MODEL_CARD.md").write_bytes(b"x" * (bundle / "MODEL_CARD.md").stat().st_size)
    refusal(bundle, "MODEL_CARD.md")
    assert calls == []


def test_the_language_model_must_be_the_one_described(bundle: Path) -> None:
    write_tiny_gguf(bundle / "llm.gguf", hidden=96)
    reseal(bundle)
    refusal(bundle, "llm.gguf", "hidden width", "96", "64")
    write_tiny_gguf(bundle / "llm.gguf", architecture="qwen2")
    reseal(bundle)
    refusal(bundle, "llm.gguf", "architecture", "qwen2")


def test_graphs_under_each_others_names_are_refused(named: Path) -> None:
    """With hashes to match; they were only noticed when they were opened to be run."""
    semantic, projector = (named / f"{name}.onnx" for name in ("semantic", "projector"))
    first, second = semantic.read_bytes(), projector.read_bytes()
    semantic.write_bytes(second)
    projector.write_bytes(first)
    reseal(named)
    assert "semantic.onnx: is a projector network, not a semantic one; " in refusal(named)
    semantic.write_bytes(first)
    reseal(named)
    refusal(named, "projector.onnx: is a semantic network, not a projector one")
    onnx.save(tiny_onnx(), projector)
    reseal(named)
    refusal(named, "projector.onnx: inputs ['x'] found, ['objects', 'scene', 'semantic'] needed")


def test_slots_width_and_context_are_those_of_the_networks(bundle: Path) -> None:
    whole = json.loads((bundle / MANIFEST_NAME).read_text())
    edit_manifest(bundle, slots=3)
    refusal(bundle, "spatial.onnx: number of slots is 4, manifest.json says 3")
    edit_manifest(bundle, slots=4, llm={**whole["llm"], "context": 4096})
    refusal(bundle, "llm.gguf: longest context is 128, manifest.json says 4096")
    write_tiny_networks(bundle, hidden=32)
    reseal(bundle)
    refusal(bundle, "projector.onnx: width is 32, manifest.json says 64")


@pytest.mark.parametrize("make", [lambda p: p / "missing", lambda p: p / "file"], ids=["missing", "file"])
def test_what_is_no_directory_is_refused(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    (tmp_path / "file").write_text("x")
    refusal(make(tmp_path), "directory")


def test_the_manifest_survives_json(bundle: Path) -> None:
    manifest = verify_bundle(bundle)
    assert Manifest.model_validate_json(manifest.model_dump_json(), strict=True) == manifest
