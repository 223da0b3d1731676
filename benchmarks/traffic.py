"""What travels between an accelerator and the host, as torch's dispatcher sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["HostTraffic"]

_ATEN = torch.ops.aten
#: What the host waits for although no copy of a tensor is written down.
_WAITS = (_ATEN._local_scalar_dense.default, _ATEN.nonzero.default)


class HostTraffic(TorchDispatchMode):
    """Keep a record of copies between the host and a device while it is entered, of this thread alone.

    Copies that torch makes on its own are not seen: index arrays lying on the host, the count behind a boolean mask.

    Attributes
    ----------
    down, up
        Bytes of each copy from the device to the host, and of each the other way.
    waits
        How often the host asked for one number of the device, or for the number of entries that are not 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.down: list[int] = []
        self.up: list[int] = []
        self.waits = 0

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Do what was asked, and write down what it moves."""
        result: object = func(*args, **(kwargs or {}))
        if func is _ATEN._to_copy.default:
            self._copied(args[0], result)
        elif func is _ATEN.copy_.default:
            self._copied(args[1], args[0])
        elif func in _WAITS and isinstance(args[0], Tensor) and args[0].device.type != "cpu":
            self.waits += 1
        return result

    def _copied(self, source: object, target: object) -> None:
        if not isinstance(source, Tensor) or not isinstance(target, Tensor):
            return
        if source.device.type == target.device.type:
            return
        # torch converts before it sends to the host, and after it has sent to the device.
        if target.device.type == "cpu":
            self.down.append(target.nbytes)
        else:
            self.up.append(source.nbytes)
