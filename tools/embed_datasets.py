"""Make the datasets inside the package from folders of parquet files.

    python tools/embed_datasets.py SOURCE

SOURCE holds ``dbpedia/{train,test}.parquet`` and ``banking77/{train,validation,test}.parquet`` with columns ``text``
and ``label``, and in each folder a README.md with a ``json`` block ``{"label_names": [...]}``. The result lies in
``src/nearmiss/text/data`` and is the same, row for row, however often this runs: the seeds are below. Licence notices
and cards (``LICENSE``, ``README.md``) are written by hand and left alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from nearmiss.text.labels import declared_names
from nearmiss.text.stratify import stratified_sample

DATA = Path(__file__).resolve().parents[1] / "src" / "nearmiss" / "text" / "data"
DBPEDIA_SEED = 20_211_107
DBPEDIA_POOL = 6_000
DBPEDIA_TEST = 2_000


def embed_dbpedia(source: Path) -> None:
    """Draw the stratified sample; rows keep the order of their file."""
    rng = np.random.default_rng(DBPEDIA_SEED)
    for split, size in (("train", DBPEDIA_POOL), ("test", DBPEDIA_TEST)):
        table = parquet.read_table(source / f"{split}.parquet", columns=["text", "label"])
        drawn = stratified_sample(table["label"].to_numpy(), size, rng)
        write(table.take(drawn), source, DATA / "dbpedia-6k" / f"{split}.parquet")


def embed_banking77(source: Path) -> None:
    """Take every row."""
    for split in ("train", "validation", "test"):
        table = parquet.read_table(source / f"{split}.parquet", columns=["text", "label"])
        write(table, source, DATA / "banking77" / f"{split}.parquet")


def write(table: pa.Table, source: Path, target: Path) -> None:
    """Write text and label, with the class names in the schema as Hugging Face datasets puts them there."""
    names = declared_names(table.schema, "label", source)
    if names is None:
        sys.exit(f"{source / 'README.md'} declares no label names")
    features = {
        "text": {"dtype": "string", "_type": "Value"},
        "label": {"names": list(names), "_type": "ClassLabel"},
    }
    columns: list[tuple[str, pa.DataType]] = [("text", pa.string()), ("label", pa.int64())]
    schema = pa.schema(columns, metadata={"huggingface": json.dumps({"info": {"features": features}})})
    target.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table.cast(schema), target, compression="zstd", compression_level=19)
    sys.stdout.write(f"{target.relative_to(DATA)}: {table.num_rows} rows, {target.stat().st_size / 1000:.0f} kB\n")


def main() -> None:
    """Embed both."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    source = Path(sys.argv[1])
    embed_dbpedia(source / "dbpedia")
    embed_banking77(source / "banking77")


if __name__ == "__main__":
    main()
