"""Write Whisper's multilingual tokenizer as a Hugging Face tokenizer.json, from openai-whisper's own file (MIT).

pip download --no-deps --no-binary :all: openai-whisper==20250625 && tar xf openai_whisper-*.tar.gz
python tokenizer.py openai_whisper-20250625/whisper/assets/multilingual.tiktoken ../tokenizer.json
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml "
    "cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am "
    "yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su"
).split()
SPECIAL = [
    "<|endoftext|>",
    "<|startoftranscript|>",
    *(f"<|{language}|>" for language in LANGUAGES),
    *("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
]
TIMESTAMPS = [f"<|{i * 0.02:.2f}|>" for i in range(1501)]


def byte_letters() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + n) for n, b in enumerate(rest)}


def last_merge(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two parts that byte-pair encoding joins last to make a token."""
    parts = [bytes([b]) for b in token]
    while len(parts) > 2:
        best = min(range(len(parts) - 1), key=lambda i: ranks.get(parts[i] + parts[i + 1], 1 << 30))
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts[0], parts[1]


def main() -> None:
    source, target = Path(sys.argv[1]), sys.argv[2]
    tokens = [base64.b64decode(line.split()[0]) for line in source.read_bytes().splitlines() if line]
    ranks = {token: rank for rank, token in enumerate(tokens)}
    letters = byte_letters()

    def spell(token: bytes) -> str:
        return "".join(letters[b] for b in token)

    merges = [tuple(spell(part) for part in last_merge(t, ranks)) for t in tokens if len(t) > 1]
    tokenizer = Tokenizer(models.BPE(vocab={spell(t): i for t, i in ranks.items()}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in TIMESTAMPS])
    assert tokenizer.get_vocab_size() == 51_865
    tokenizer.save(target, pretty=False)


if __name__ == "__main__":
    main()
