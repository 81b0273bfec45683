"""The language model as PyTorch modules: our parameter names, our states, PyTorch's gradients.

    import pantoum, pantoum.apps.torch
    module = pantoum.apps.torch.to_torch(pantoum.load("runs/book"))
    logits_BTV, state = module(tokens_BT)

``to_torch`` makes a module from a model, ``load`` from a file of ``pantoum export --to torch``;
``from_torch`` makes a network from a module, and ``save`` a model file. Names and shapes of the parameters,
the order of the state's tensors, resets, lengths and dropout masks are those of ``pantoum.network``. These
names need PyTorch (``pip install 'pantoum[torch]'``), which is imported when the first of them is used; files
for PyTorch are written and described without it (``torch_file``).
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pantoum.apps.torch.conversion import (
        from_torch,
        load,
        save,
        state_from_torch,
        state_to_torch,
        to_torch,
    )
    from pantoum.apps.torch.language_module import LanguageModule

__all__ = ["LanguageModule", "from_torch", "load", "save", "state_from_torch", "state_to_torch", "to_torch"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'pantoum.apps.torch' has no attribute {name!r}")
    from importlib import import_module
    from importlib.util import find_spec

    if find_spec("torch") is None:
        from pantoum.errors import PantoumError

        raise PantoumError(
            "pantoum.apps.torch needs PyTorch, which is not installed here; run `pip install "
            "'pantoum[torch]'`"
        )
    home = "language_module" if name == "LanguageModule" else "conversion"
    value: object = getattr(import_module(f"pantoum.apps.torch.{home}"), name)
    globals()[name] = value
    return value
