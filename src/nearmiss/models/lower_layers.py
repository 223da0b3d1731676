"""An encoder cut short: its model up to one layer, sharing the weights of the whole."""

from __future__ import annotations

import copy

from torch import Tensor, nn

__all__ = ["LowerLayers", "products_in_bfloat16"]

#: Where BERT's relatives keep their list of layers. In all of these the states between two layers are what the upper
#: one reads, with no final norm after the last, so a model cut short gives exactly the states at the cut.
_LAYERS = {
    "bert": ("encoder", "layer"),
    "roberta": ("encoder", "layer"),
    "xlm-roberta": ("encoder", "layer"),
    "camembert": ("encoder", "layer"),
    "electra": ("encoder", "layer"),
    "mpnet": ("encoder", "layer"),
    "distilbert": ("transformer", "layer"),
}


class LowerLayers(nn.Module):
    """Token ids in, the states after one layer out. The layers above are not run, where the architecture is known.

    Parameters
    ----------
    model
        A Hugging Face encoder; it keeps all its layers.
    depth
        0 is the input embedding layer, L the output of the L-th transformer layer.

    Examples
    --------
    >>> import torch
    >>> from transformers import BertConfig, BertModel
    >>> config = BertConfig(hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
    >>> LowerLayers(BertModel(config), 1)(torch.tensor([[5, 6, 7]])).shape
    torch.Size([1, 3, 8])
    """

    def __init__(self, model: nn.Module, depth: int) -> None:
        super().__init__()
        cut = _cut(model, depth)
        self._model = model if cut is None else cut
        self._from_all = None if cut is not None else depth

    def forward(
        self, input_ids: Tensor, token_type_ids: Tensor | None = None, attention_mask: Tensor | None = None
    ) -> Tensor:
        """Give one state per token, shape (b, t, d); without a mask every token is real."""
        inputs = {"input_ids": input_ids, "token_type_ids": token_type_ids, "attention_mask": attention_mask}
        given = {name: value for name, value in inputs.items() if value is not None}
        states: Tensor
        if self._from_all is None:
            states = self._model(**given).last_hidden_state
        else:
            states = self._model(**given, output_hidden_states=True).hidden_states[self._from_all]
        return states


def products_in_bfloat16(module: nn.Module) -> nn.Module:
    """Give a view whose linear layers hold their weights in bfloat16, and share everything else.

    Under autocast it computes the same bits as the module itself, whose frozen weights autocast would convert anew for
    every batch: it keeps a converted weight only where that weight is trained.

    Examples
    --------
    >>> view = products_in_bfloat16(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)))
    >>> [parameter.dtype for parameter in view.parameters()]
    [torch.bfloat16, torch.bfloat16, torch.float32, torch.float32]
    """
    view = _sharing(module, {name: products_in_bfloat16(child) for name, child in module.named_children()})
    if isinstance(module, nn.Linear):
        half = {
            name: None if weight is None else nn.Parameter(weight.detach().bfloat16(), requires_grad=False)
            for name, weight in module._parameters.items()
        }
        view.__dict__["_parameters"] = half
    return view


def _cut(model: nn.Module, depth: int) -> nn.Module | None:
    """Give a view of the model that ends after ``depth`` layers and shares its weights; None where none can be made."""
    stack, name = _LAYERS.get(str(getattr(model.config, "model_type", "")), ("", ""))
    if not stack:
        return None
    body = model.get_submodule(stack)
    layers = list(body.get_submodule(name).children())
    cut = _sharing(body, {name: nn.ModuleList(layers[:depth])})
    view = _sharing(model, {stack: cut})
    if "pooler" in model._modules:
        view.register_module("pooler", None)
    return view


def _sharing(module: nn.Module, replaced: dict[str, nn.Module]) -> nn.Module:
    view = copy.copy(module)
    # A shallow copy shares the table of children itself: replacing one would change the original too.
    view.__dict__["_modules"] = {**module._modules, **replaced}
    return view
