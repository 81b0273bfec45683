"""The language model as PyTorch modules: our parameter names, our states, PyTorch's gradients.

    import pantoum, pantoum.apps.torch
    module = pantoum.apps.torch.to_torch(pantoum.load("runs/book"))
    logits_BTV, state = module(tokens_BT)

``to_torch`` makes a module from a model, ``load`` from a file of ``pantoum export --to torch``;
``from_torch`` makes a network from a module, and ``save`` a model file. Names and shapes of the parameters,
the order of the state's tensors, resets, lengths and dropout masks are those of ``pantoum.network``. This
package needs PyTorch (``pip install 'pantoum[torch]'``); nothing else in pantoum imports it unasked.
"""

from __future__ import annotations

from importlib.util import find_spec

from pantoum.errors import PantoumError

if find_spec("torch") is None:
    raise PantoumError(
        "pantoum.apps.torch needs PyTorch, which is not installed here; run `pip install 'pantoum[torch]'`"
    )

from pantoum.apps.torch.conversion import from_torch, load, save, state_from_torch, state_to_torch, to_torch
from pantoum.apps.torch.language_module import LanguageModule

__all__ = ["LanguageModule", "from_torch", "load", "save", "state_from_torch", "state_to_torch", "to_torch"]
