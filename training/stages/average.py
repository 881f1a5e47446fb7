"""Checkpoints of one stage averaged, weight by weight.

Networks that were trained from the same start lie in one basin, and their mean is better than each of them: the mean of several
seeds ("model soup", Wortsman et al. 2022a), or the start averaged back into what was trained on from it, which keeps what it
could do on data that the training had less of (WiSE-FT, Wortsman et al. 2022b). It costs nothing at run time.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from earshot.runtime.errors import InputError, UsageError
from earshot.training.models.tokenizer import load_tokenizer
from earshot.training.models.weights import load_tensors, save_tensors


def average(out: Path, folders: Sequence[Path], shares: Sequence[float] = ()) -> None:
    """Write the weighted mean of checkpoints as a checkpoint of the same kind.

    Parameters
    ----------
    out : Path
        Folder to write, e.g. ``RUN/sft``; must not exist.
    folders : sequence of Path
        Two or more folders of one stage, the newest network first: ``encoders``, ``names`` or ``sft`` of run directories. All files
        with weights that the first one holds are averaged; what else it holds, but for the state of its training, is copied.
    shares : sequence of float
        Of each, in (0, 1], adding up to 1; equal ones by default. Whole numbers, such as counts of batches, are the first one's.

    Raises
    ------
    UsageError
        Fewer than two checkpoints, or shares that do not fit.
    InputError
        `out` exists, a folder holds no checkpoint, or two are of other networks or tokenizers.
    """
    if len(folders) < 2:
        raise UsageError("one checkpoint has no average: name two or more folders of the same stage")
    shares = shares or [1.0 / len(folders)] * len(folders)
    if len(shares) != len(folders) or min(shares) <= 0.0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
        raise UsageError(
            f"shares {list(shares)} do not fit {len(folders)} checkpoints: one each, above 0, adding up to 1"
        )
    if out.exists():
        raise InputError(f"{out} exists: average into another folder")
    _demand_one_vocabulary(folders)
    names = sorted(path.name for path in folders[0].glob("*.safetensors"))
    if not names:
        raise InputError(f"no weights (*.safetensors) at {folders[0]}: name the folder of a stage, e.g. RUN/sft")
    means = {name: mean_weights([folder / name for folder in folders], shares) for name in names}
    made = out.with_name(f"{out.name}.partial")
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(folders[0], made, ignore=_not_settings)
    for name, mean in means.items():
        with safe_open(folders[0] / name, "pt") as file:
            save_tensors(mean, made / name, file.metadata())
    made.rename(out)


def mean_weights(files: Sequence[Path], shares: Sequence[float]) -> dict[str, Tensor]:
    """The weighted mean of the tensors of the first file, each of its type; what another one lacks stays as it is in the rest.

    An older network lacks the parts that have been added since; in training from it they began as parts that change nothing.
    """
    parts: list[dict[str, Tensor]] = []
    for path in files:
        if not path.is_file():
            raise InputError(f"no {path.name} at {path.parent}: all checkpoints must be of one stage")
        parts.append(load_tensors(path))
        _demand_alike(path, parts[-1], files[0], parts[0])
    return {
        name: _mean([(part[name], share) for part, share in zip(parts, shares, strict=True) if name in part])
        for name in parts[0]
    }


def _mean(values: Sequence[tuple[Tensor, float]]) -> Tensor:
    """The mean of (tensor, share), of the first one's type; whole numbers are the first one's."""
    first = values[0][0]
    if not first.is_floating_point():
        return first
    total = sum(share for _, share in values)
    mean = torch.zeros_like(first, dtype=torch.float64)
    for value, share in values:
        mean += share / total * value
    return mean.to(first.dtype)


def _demand_alike(path: Path, part: Mapping[str, Tensor], other: Path, first: Mapping[str, Tensor]) -> None:
    differing = sorted(name for name in part if name not in first or part[name].shape != first[name].shape)
    if differing:
        raise InputError(
            f"{path} and {other} are of other networks: {differing[0]} and {len(differing) - 1} more tensors "
            "are not in the second or of another shape"
        )


def _demand_one_vocabulary(folders: Sequence[Path]) -> None:
    """Rows of embeddings that stand for other words have no mean."""
    speaking = [folder for folder in folders if (folder / "tokenizer.json").is_file()]
    vocabularies = [load_tokenizer(folder).get_vocab() for folder in speaking]
    for folder, vocabulary in zip(speaking, vocabularies, strict=True):
        if vocabulary != vocabularies[0]:
            raise InputError(f"{folder} and {speaking[0]} are of other tokenizers: begin both with one language model")


def _not_settings(folder: str, names: list[str]) -> set[str]:
    """What of a checkpoint is not copied: folders (states of training), logs, and the weights, which are written anew."""
    return {name for name in names if Path(folder, name).is_dir() or name.endswith((".csv", ".safetensors"))}
