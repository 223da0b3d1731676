"""Read texts with OpenVINO instead of torch: the same model, converted once per process, in fused kernels of its own.

The conversion goes through OpenVINO's PyTorch front end rather than ``openvino.convert_model``, which reports every
call to its makers' statistics unless the user has declined.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from nearmiss.errors import InvalidInput, MissingExtra, ModelUnavailable
from nearmiss.models.encoder import Encoder
from nearmiss.models.lower_layers import LowerLayers

if TYPE_CHECKING:
    from openvino import CompiledModel

__all__ = ["ConvertedLayers"]

_HINTS = {"float32": "f32", "bfloat16": "bf16"}


class ConvertedLayers:
    """Token ids in, the states after one layer out, as ``LowerLayers`` gives them; nothing may be padded.

    Runs on as many threads as torch has at the time. Conversions are shared within the process.

    Parameters
    ----------
    encoder
        Lies on the CPU.
    depth
        0 is the input embedding layer, L the output of the L-th transformer layer.
    precision
        Of the matrix products.

    Raises
    ------
    InvalidInput
        The encoder lies on another device, or this processor does not multiply bfloat16.
    MissingExtra
        openvino is not installed.
    ModelUnavailable
        OpenVINO cannot convert the model.
    """

    def __init__(self, encoder: Encoder, depth: int, precision: Literal["float32", "bfloat16"]) -> None:
        if encoder.device.type != "cpu":
            raise InvalidInput(
                f"backend 'openvino' reads on the CPU, and {encoder.name} lies on {encoder.device}; "
                "ask for device 'cpu' or backend 'torch'"
            )
        compiled = _compiled(encoder, depth, _HINTS[precision], torch.get_num_threads())
        self._names = [port.any_name for port in compiled.inputs]
        self._request = compiled.create_infer_request()

    def __call__(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Give one state per token, shape (b, t, d), float32."""
        # Copied out: the request writes its next answer over this one.
        answer = self._request.infer([inputs[name].numpy() for name in self._names], share_inputs=True)
        return torch.from_numpy(answer[0])


@lru_cache(maxsize=2)
def _compiled(encoder: Encoder, depth: int, hint: str, threads: int) -> CompiledModel:
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra("backend 'openvino'", "openvino", "openvino") from error
    settings = {
        "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        # Pinned threads of several processes, as in a grid of runs, would all sit on the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    compiled = openvino.Core().compile_model(_converted(encoder, depth), "CPU", settings)
    if hint == "bf16" and compiled.get_property("INFERENCE_PRECISION_HINT") != openvino.Type.bf16:
        raise InvalidInput(
            "backend 'openvino' reads in bfloat16 only where the processor multiplies it, and this one does not; "
            "ask for precision 'auto' or 'float32', or for backend 'torch'"
        )
    return compiled


def _converted(encoder: Encoder, depth: int) -> Any:  # noqa: ANN401 (openvino ships no types)
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    # Sizes that differ from each other and from 1: an axis of size 1 would be traced as one to broadcast.
    example = {"input_ids": torch.full((2, 7), 5)}
    if "token_type_ids" in encoder.tokenizer.model_input_names:
        example["token_type_ids"] = torch.zeros(2, 7, dtype=torch.int64)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            decoder = TorchScriptPythonDecoder(
                LowerLayers(encoder.model, depth).eval(), example_input=example, trace_kwargs={"check_trace": False}
            )
        front_end = FrontEndManager().load_by_framework("pytorch")
        return front_end.convert(front_end.load(decoder))
    except Exception as error:  # whatever the tracer or the front end stumbles over
        cause = error.__cause__ or error  # the tracer wraps it in advice to those who call it themselves
        said = str(cause).strip().splitlines() or [""]
        raise ModelUnavailable(
            f"OpenVINO cannot convert {encoder.name} ({type(cause).__name__}: {said[0]}); read it with backend 'torch'"
        ) from error
