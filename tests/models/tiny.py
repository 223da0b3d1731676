"""Small random models with a real WordPiece vocabulary, saved as Hugging Face folders."""

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    DistilBertConfig,
    DistilBertForMaskedLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("good", "bad", "fine", "film", "plot", "actor", "rain", "north", "the", "a", "of", "was", "##ing", "##s")
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz0123456789.,!?'")
VOCABULARY = (*SPECIAL, *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS))
SIZE = {"vocab_size": len(VOCABULARY), "max_position_embeddings": 64}


def tokenizer(*, segments=True):
    """WordPiece as BERT has it: lower case, [CLS] a [SEP] b [SEP], segments 0 and 1 where the model reads them."""
    made = Tokenizer(models.WordPiece({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    made.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
        model_input_names=["input_ids", *(["token_type_ids"] if segments else []), "attention_mask"],
    )


def bert_config(**changed):
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    return BertConfig(**{**SIZE, **small, "initializer_range": 0.3, **changed})


def save(folder, build, config):
    """Save a random model of this class, and the tokenizer, in the folder."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = build(config)
    model.save_pretrained(folder)
    tokenizer(segments=config.model_type == "bert").save_pretrained(folder)
    return str(folder)


def save_bert(folder):
    return save(folder, BertModel, bert_config())


def save_masked_bert(folder):
    return save(folder, BertForMaskedLM, bert_config())


def save_masked_distilbert(folder):
    return save(folder, DistilBertForMaskedLM, DistilBertConfig(**SIZE, dim=32, n_layers=2, n_heads=4, hidden_dim=48))


def save_masked_roberta(folder):
    small = bert_config().to_dict()
    kept = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "initializer_range")
    config = RobertaConfig(
        vocab_size=len(VOCABULARY), max_position_embeddings=66, pad_token_id=0, **{name: small[name] for name in kept}
    )
    return save(folder, RobertaForMaskedLM, config)
