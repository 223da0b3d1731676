"""Task-adaptive pretraining: go on training an encoder as a masked language model, on the very texts to be classified.

Gururangan, Marasović, Swayamdipta, Lo, Beltagy, Downey and Smith (ACL 2020), "Don't Stop Pretraining: Adapt Language
Models to Domains and Tasks", arXiv 2004.10964. No label is read. The whole encoder is trained, its word embeddings
included. A checkpoint without a masked-LM head, as sentence encoders are, is first given one of BERT's form, trained
alone over the frozen encoder (``mlm_head``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path

import numpy as np

from nearmiss.errors import InvalidInput, ModelUnavailable
from nearmiss.models.adaptable import AdaptableModel
from nearmiss.models.adaptation_card import AdaptationReport, model_card
from nearmiss.models.adaptation_folder import AdaptationFolder, Fact
from nearmiss.models.adaptation_settings import AdaptationSettings
from nearmiss.models.adaptation_training import AdaptationProgress, Ground, Training
from nearmiss.models.encoder import EMBEDDED, Encoder, load_encoder
from nearmiss.models.inference import resolve_precision
from nearmiss.models.masking import Purpose, stream
from nearmiss.models.tokens import tokenize
from nearmiss.text.corpus import Texts

__all__ = ["AdaptationProgress", "AdaptationReport", "AdaptationSettings", "adapt"]

#: Fewer texts than this teach nothing and leave nothing to measure on.
_FEWEST_TEXTS = 20
#: Beyond this many texts held out, the loss is known well enough.
_MOST_HELD_OUT = 500


def adapt(
    texts: Texts,
    out: str | Path,
    rng: np.random.Generator,
    *,
    name: str = EMBEDDED,
    settings: AdaptationSettings | None = None,
    device: str = "auto",
    save_seconds: float = 60.0,
    on_progress: Callable[[AdaptationProgress], None] | None = None,
) -> AdaptationReport:
    """Adapt an encoder to these texts, and write it as a Hugging Face folder that every classifier here takes.

    Stop it at any moment: the same call goes on from the state saved last, and ends in the same bits as one that was
    never stopped, on as many threads. Where the folder holds the finished result already, its report is returned.

    Parameters
    ----------
    texts
        The pool; no label is read.
    out
        The folder.
    rng
        Decides what is held out, the order, the masks and the dropout. Exactly one number is drawn.
    name
        The encoder: ``"minilm"``, a local folder, or a name on the Hugging Face hub.
    device
        ``"auto"`` (CUDA where there is one, else the CPU) or any name torch knows.
    save_seconds
        How often the state is saved; it takes three times the model's space.
    on_progress
        Told after every step.

    Raises
    ------
    ModelUnavailable
        The encoder cannot be found, has no [MASK] token, or is of a kind whose masked-LM head nearmiss does not know.
    InvalidInput
        Too few texts with words, or ``max_length`` exceeds what the model can read.
    RunConflict
        The folder holds an adaptation to other texts, of another model or with other settings; or other files; or
        another process is writing there.
    NearmissError
        The disk is full; what was saved before is still there.

    Examples
    --------
    >>> adapt(Texts(("good film", "bad film")), "adapted", np.random.default_rng(0))
    Traceback (most recent call last):
    ...
    nearmiss.errors.InvalidInput: 2 texts with words are too few to adapt a model to; give it at least 20
    """
    settings = settings or AdaptationSettings()
    seed = int(rng.integers(2**63))
    ground = _prepared(texts, load_encoder(name, device), settings, seed)
    with AdaptationFolder(Path(out).expanduser(), _facts(ground, texts)) as folder:
        done = folder.report()
        if done is None:
            training = Training(ground, folder)
            training.run(save_seconds, on_progress)
            report = training.report()
            folder.finish(lambda at: _save(training.model, ground, report, at), asdict(report))
            return report
    return AdaptationReport.from_facts(done)


def _prepared(texts: Texts, encoder: Encoder, settings: AdaptationSettings, seed: int) -> Ground:
    if encoder.tokenizer.mask_token_id is None:
        raise ModelUnavailable(f"{encoder.name} has no [MASK] token to train a masked-LM with; use a BERT model")
    tokens = tokenize(encoder, texts, settings.max_length)
    text_of = np.repeat(np.arange(len(tokens)), tokens.lengths)
    worded = np.unique(text_of[~tokens.special])
    if len(worded) < _FEWEST_TEXTS:
        raise InvalidInput(
            f"{len(worded)} texts with words are too few to adapt a model to; give it at least {_FEWEST_TEXTS}"
        )
    count = min(_MOST_HELD_OUT, max(1, round(settings.held_out * len(worded))), len(worded) - 1)
    shuffled = stream(seed, Purpose.HELD_OUT).permutation(worded)
    held_out, rest = np.sort(shuffled[:count]), np.sort(shuffled[count:])
    return Ground(encoder, tokens.take(rest), tokens.take(held_out), texts.take(rest), settings, seed)


def _facts(ground: Ground, texts: Texts) -> dict[str, Fact]:
    """Name everything the result depends on, but for the number of threads."""
    encoder = ground.encoder
    return {
        "model": encoder.fingerprint,
        "texts": blake2b("".join(texts.digests).encode(), digest_size=16).hexdigest(),
        "n_texts": len(texts),
        "seed": ground.seed,
        "device": encoder.device.type,
        **asdict(ground.settings),
        "precision": resolve_precision(ground.settings.precision, encoder.device),
    }


def _save(model: AdaptableModel, ground: Ground, report: AdaptationReport, folder: Path) -> None:
    model.save(folder, ground.encoder)
    card = model_card(report, ground.encoder.name, asdict(ground.settings))
    (folder / "README.md").write_text(card, encoding="utf-8")
