"""Muon for hidden matrices, AdamW for the rest: who moves what, and that moments are found in one place."""

from __future__ import annotations

import torch

from earshot.training.models.llm import TINY, build_llm
from earshot.training.stages.optimizer import MuonAdamW, is_hidden_matrix


def test_matrices_inside_layers_are_hidden_embeddings_and_norms_are_not() -> None:
    hidden = {name for name, value in build_llm(TINY).named_parameters() if is_hidden_matrix(name, value)}
    assert hidden and all(".layers." in name and "norm" not in name for name in hidden)


def test_every_parameter_is_moved_once_and_has_its_moments() -> None:
    model = build_llm(TINY)
    parameters = dict(model.named_parameters())
    before = {name: value.detach().clone() for name, value in parameters.items()}
    optimizer = MuonAdamW(parameters, 1e-2, 0.0)
    model(input_ids=torch.arange(12)[None]).logits.square().mean().backward()
    optimizer.step()
    for name, value in parameters.items():
        assert not torch.equal(value, before[name]), name
        kind = "momentum_buffer" if is_hidden_matrix(name, value) else "exp_avg"
        assert kind in optimizer.state[value], name
    assert len([p for group in optimizer.param_groups for p in group["params"]]) == len(parameters)


def test_a_muon_step_turns_all_directions_alike() -> None:
    parameter = torch.nn.Parameter(torch.zeros(8, 8))
    optimizer = MuonAdamW({"model.layers.0.w": parameter}, 1.0, 0.0)
    parameter.grad = torch.diag(torch.tensor([100.0, 10.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.1]))
    optimizer.step()
    values = torch.linalg.svdvals(parameter.detach())
    assert values[3] > 0.3 * values[0]  # AdamW would move every entry alike; plain descent 100 : 1
