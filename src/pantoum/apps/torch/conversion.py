"""From a model to a module, and from a module to a network; states likewise. All are copies."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pantoum.apps.torch import torch_file
from pantoum.apps.torch.cell_module import State
from pantoum.apps.torch.language_module import LanguageModule
from pantoum.apps.torch.ngram_modules import CountModule
from pantoum.seams import (
    Array,
    CountMixture,
    LoadedModel,
    Model,
    ModelFile,
    NetworkState,
    is_model_file,
    load_model,
    model_file,
    model_path,
    require,
)
from pantoum.seams import LanguageModel as NetworkModel
from pantoum.seams import check_path as checked
from pantoum.seams import load as load_public

__all__ = ["from_torch", "load", "save", "state_from_torch", "state_to_torch", "to_torch"]

OF_THE_WEIGHTS = ("validation", "monitor", "peaks", "curve", "coding", "int8", "averaged", "adapted")
"""What a card says of the very weights that it came with."""


def to_torch(model: Model | LoadedModel | NetworkModel) -> LanguageModule:
    """A module with the weights of a model, on the CPU, in its precision (float32, for a model of a file),
    and with the n-grams that were counted in its training text (``--kneser-ney``). A cache is not in it."""
    loaded = model._loaded if isinstance(model, Model) else model
    if isinstance(loaded, LoadedModel):
        return _module(loaded.network, loaded.program.counts)
    return _module(loaded, None)


def _module(own: NetworkModel, counts: CountMixture | None) -> LanguageModule:
    module = LanguageModule(own.vocab_size, own.config)
    arrays = {name: torch.from_numpy(np.array(array, order="C")) for name, array in own.parameters.items()}
    module.load_state_dict(arrays, assign=True)
    module.requires_grad_()
    module.counts = None if counts is None else CountModule(counts)
    return module


def load(path: str | os.PathLike[str]) -> LanguageModule:
    """The module of a file of ``pantoum export --to torch``, of a model file, or of the best model of a run
    folder. ``ModelFileError``: the file is none of these, or is damaged."""
    file = model_path(Path(checked(path, "path")))
    return to_torch(load_model(file)) if is_model_file(file) else _module(*torch_file.read(file))


def from_torch(module: LanguageModule) -> NetworkModel:
    """A network with the weights of a module, in float64 if the module is, else in float32; counts are not
    a part of it."""
    dtype = np.float64 if module.head.bias.dtype == torch.float64 else np.float32
    found = NetworkModel(module.vocab_size, config=module.config, seed=None, dtype=dtype)
    found.parameters.update({name: _array(tensor, dtype) for name, tensor in module.state_dict().items()})
    return found


def save(module: LanguageModule, path: str | os.PathLike[str], like: Model) -> Model:
    """Write a module as a model file and return the new model. Tokenizer, counted n-grams and the rest are
    those of ``like``, the model that it came from. The card says that PyTorch trained it, and has no
    validation figures: those of ``like`` are not its own."""
    require(
        isinstance(like, Model), "like", like, "must be a Model", "give the one that the module came from"
    )
    network, old = from_torch(module), like._loaded
    fits = network.config == old.config and network.vocab_size == old.vocab_size
    rule = "is not the network of like"
    require(fits, "module", module.config, rule, "give a module that to_torch or load has made of it")
    weights = {name: array.astype(np.float32) for name, array in network.parameters.items()}
    wrong = [name for name, array in weights.items() if not np.isfinite(array).all()]
    require(not wrong, "module", wrong[:3], "has weights that are not finite", "save an earlier one")
    card = {name: value for name, value in old.card.items() if name not in OF_THE_WEIGHTS}
    card |= {"validation": None, "began_from": old.sha256, "trained_in": "PyTorch"}
    content = ModelFile(network.config.spec(), weights, old.tokenizer.spec(), card, dict(old.extras))
    model_file.write(Path(checked(path, "path")), content)
    return load_public(path)


def state_to_torch(state: NetworkState, like: Tensor | None = None) -> State:
    """The tensors of a state, with the dtype and on the device of ``like`` if it is given."""
    tensors = [torch.from_numpy(np.array(array)) for array in state.arrays]
    return tuple(tensor if like is None else tensor.to(like) for tensor in tensors)


def state_from_torch(state: State) -> NetworkState:
    """The state of these tensors."""
    dtype = np.float64 if state[0].dtype == torch.float64 else np.float32
    return NetworkState(tuple(_array(tensor, dtype) for tensor in state))


def _array(tensor: Tensor, dtype: type[np.float32] | type[np.float64]) -> Array:
    return np.array(tensor.detach().to("cpu", torch.float64).numpy(), dtype)
