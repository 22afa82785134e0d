"""Train the demo weights: cross-entropy on the decoder and CTC on the encoder, short windows first.

    python train.py train.npz checkpoint.pt --minutes 90

CTC is what makes the encoder listen: without it so small a model learns which sentences are likely, not which were
said. The windows grow from 4 seconds to the 30 that both engines run, with up to 12 seconds of speech. Padding is drawn
from silence in the samples (whisper.cpp) and zeros in the features (faster-whisper). Only the output rows of tokens
that occur are trained; one shared row, weighted by their number, stands for all the others.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from dataclasses import dataclass

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch
import torch.nn.functional as F
from faster_whisper.feature_extractor import FeatureExtractor
from model import STATE, Whisper
from pathlib import Path
from tokenizers import Tokenizer

RATE = 16_000
VOCABULARY = 51_865
TOKENIZER = Tokenizer.from_file(str(Path(__file__).parent.parent / "tokenizer.json"))
START, END, TRANSCRIBE, PLAIN, NO_SPEECH, ZERO = (
    TOKENIZER.token_to_id(f"<|{name}|>")
    for name in ("startoftranscript", "endoftext", "transcribe", "notimestamps", "nospeech", "0.00")
)
LANGUAGE = {name: TOKENIZER.token_to_id(f"<|{name}|>") for name in ("ru", "en")}
MEL = torch.from_numpy(FeatureExtractor.get_mel_filters(RATE, 400, 80)).float()
HANN = torch.hann_window(400)


def log_mel(samples: torch.Tensor) -> torch.Tensor:
    """Whisper's features of samples [batch, n]: [batch, 80, n / 160]."""
    power = torch.stft(samples, 400, 160, window=HANN, return_complex=True)[..., :-1].abs() ** 2
    mel = (MEL @ power).clamp(min=1e-10).log10()
    return (torch.maximum(mel, mel.amax((-2, -1), keepdim=True) - 8) + 4) / 4


class Corpus:
    """The spoken sentences of one .npz, by language."""

    def __init__(self, path: str) -> None:
        stored = np.load(path)
        self.pcm, self.offsets, self.text = stored["pcm"], stored["offsets"], [str(t) for t in stored["text"]]
        self.language = [str(x) for x in stored["language"]]
        self.by_language = {x: [i for i, y in enumerate(self.language) if y == x] for x in LANGUAGE}
        self.tokens = [TOKENIZER.encode(" " + t).ids for t in self.text]
        alphabet = sorted({c for t in self.text for c in t.lower() if c.isalpha()})
        self.characters = {c: n + 1 for n, c in enumerate([" ", *alphabet])}

    def samples(self, i: int) -> np.ndarray:
        return self.pcm[self.offsets[i] : self.offsets[i + 1]].astype(np.float32) / 32768

    def spelled(self, i: int) -> list[int]:
        return [self.characters[c] for c in self.text[i].lower() if c in self.characters]


SPEECH_S = 12.0
"""The engines give these weights at most this much speech at a time (CHUNK_MS of the product's demo_weights)."""


@dataclass
class Window:
    """Samples of one window, where its sound ends, the decoder's tokens and labels, and the CTC target."""

    samples: np.ndarray
    end: int
    tokens: list[int]
    labels: list[int]
    spelled: list[int]


def disturb(samples: np.ndarray, rng: random.Random, noise: np.random.Generator) -> np.ndarray:
    """Noise between 3 and 50 dB below speech, a telephone band, companding and clipping, each now and then."""
    if rng.random() < 0.85:
        spectrum = np.fft.rfft(noise.standard_normal(len(samples), dtype=np.float32))
        spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** rng.choice([0, 0, 0.25, 0.5])
        hiss = np.fft.irfft(spectrum, len(samples)).astype(np.float32)
        level = np.sqrt(np.mean(samples**2) + 1e-8) * 10 ** (-rng.triangular(3, 50, 14) / 20)
        samples = samples + hiss / (hiss.std() + 1e-9) * level
    if rng.random() < 0.5:
        spectrum = np.fft.rfft(samples)
        frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
        outside = (frequency < rng.uniform(60, 330)) | (frequency > rng.uniform(3300, 3950))
        spectrum[outside] *= rng.choice([0.0, 0.01])
        samples = np.fft.irfft(spectrum, len(samples)).astype(np.float32)
        if rng.random() < 0.5:
            curved = np.sign(samples) * np.log1p(255 * np.abs(samples).clip(0, 1)) / np.log(256)
            curved = np.round(curved * 127) / 127
            samples = (np.sign(curved) * (np.power(256, np.abs(curved)) - 1) / 255).astype(np.float32)
    if rng.random() < 0.05:
        samples = (samples * 3).clip(-0.9, 0.9)
    return samples


def compose(corpus: Corpus, seconds: float, rng: random.Random, noise: np.random.Generator) -> Window:
    """A window of several utterances in one language with pauses, or, rarely, of noise alone."""
    size = int(seconds * RATE)
    samples = np.zeros(size, np.float32)
    language = "ru" if rng.random() < 0.6 else "en"
    if rng.random() < 0.03:
        end = int(size * rng.uniform(0.1, 1))
        samples[:end] = noise.standard_normal(end) * 10 ** rng.uniform(-5, -1.5)
        tokens = [START, LANGUAGE[language], TRANSCRIBE]
        return Window(samples, end, tokens, [NO_SPEECH, -100, END], [])
    at, said, last = rng.uniform(0, 0.5), [], rng.random() < 0.5
    longest = min(seconds, SPEECH_S)
    wanted = rng.uniform(0, longest) if rng.random() < 0.4 else longest
    while True:
        i = rng.choice(corpus.by_language[language])
        voice = corpus.samples(i)
        until = at + len(voice) / RATE
        if until > longest - 0.05 or (said and until > wanted):
            break
        first = int(at * RATE)
        samples[first : first + len(voice)] += voice * rng.uniform(0.25, 1.1)
        said.append((i, at, until))
        at = until + rng.uniform(0.08, 1.2)
    end = size if last or not said else min(size, int((said[-1][2] + rng.uniform(0.05, 0.5)) * RATE))
    samples[:end] = disturb(samples[:end], rng, noise) * rng.choice([0.05, 0.3, 0.6, 1, 1])
    tokens = [START, LANGUAGE[language], TRANSCRIBE]
    if rng.random() < 0.9:
        for i, start, until in said:
            tokens += [ZERO + round(start / 0.02), *corpus.tokens[i], ZERO + round(until / 0.02)]
    else:
        tokens += [PLAIN, *(t for i, _, _ in said for t in corpus.tokens[i])]
    spelled = [c for i, _, _ in said for c in [*corpus.spelled(i), corpus.characters[" "]]]
    tokens.append(END)
    return Window(samples, end, tokens[:-1], tokens[1:], spelled)


def features(windows: list[Window], rng: random.Random) -> torch.Tensor:
    mel = log_mel(torch.from_numpy(np.stack([w.samples for w in windows])))
    for row, window in zip(mel, windows, strict=True):
        if rng.random() < 0.5:
            row[:, window.end // 160 + 1 :] = 0.0
        for _ in range(rng.choice([0, 1, 2])):
            low = rng.randint(0, 72)
            row[low : low + rng.randint(1, 7)] = row.amin()
    return mel


def window_seconds(progress: float, rng: random.Random) -> float:
    """The curriculum: 4 s until a tenth, 6 s until half, then 12 s and full windows whose rest is padding."""
    if progress < 0.1:
        return 4
    if progress < 0.5:
        return 6 if rng.random() < 0.8 or progress < 0.3 else SPEECH_S
    return SPEECH_S if rng.random() < 0.7 else 30


def learning_rate(progress: float, peak: float) -> float:
    """Warm up, hold until two thirds, then fall to a fiftieth."""
    if progress < 0.02:
        return peak * progress / 0.02
    return peak * min(1.0, 0.02 + 0.98 * (1 - progress) / 0.35)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus")
    parser.add_argument("checkpoint")
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--batch-seconds", type=int, default=96, help="seconds of windows in one step")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--ctc", type=float, default=0.5)
    parser.add_argument("--resume", help="checkpoint to start from")
    parser.add_argument("--from-progress", type=float, default=0.0, help="where in the curriculum to start")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(2)
    rng, noise = random.Random(1), np.random.default_rng(1)
    corpus = Corpus(args.corpus)
    used = sorted(
        {t for ids in corpus.tokens for t in ids} | {START, END, TRANSCRIBE, PLAIN, NO_SPEECH, *LANGUAGE.values()}
    )
    used = torch.tensor([*used, *range(ZERO, ZERO + 1501)])
    place = torch.full((VOCABULARY,), len(used))
    place[used] = torch.arange(len(used))
    others = float(np.log(VOCABULARY - len(used)))
    model = Whisper(len(used) + 1)
    spelling = torch.nn.Linear(STATE, len(corpus.characters) + 1)
    parameters = [*model.parameters(), *spelling.parameters()]
    print(f"{len(corpus.text)} utterances, {len(used)} tokens in use, {sum(p.numel() for p in parameters)} parameters")
    if args.resume:
        stored = torch.load(args.resume)
        model.load_state_dict(stored["model"])
        spelling.load_state_dict(stored["spelling"])
    optimizer = torch.optim.AdamW(parameters, lr=args.rate, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    embedding = model.decoder.token_embedding.weight

    def save() -> None:
        kept = {"model": model.state_dict(), "spelling": spelling.state_dict(), "used": used}
        part = Path(args.checkpoint + ".part")
        torch.save(kept, part)
        part.replace(args.checkpoint)

    began = saved = time.monotonic()
    step, mean = 0, None
    while (elapsed := time.monotonic() - began) < args.minutes * 60:
        progress = args.from_progress + (1 - args.from_progress) * elapsed / (args.minutes * 60)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(progress, args.rate)
        seconds = window_seconds(progress, rng)
        batch = [compose(corpus, seconds, rng, noise) for _ in range(max(4, int(args.batch_seconds / seconds)))]
        mel = features(batch, rng)
        length = max(len(w.tokens) for w in batch)
        tokens, labels = torch.zeros((len(batch), length), dtype=torch.long), torch.full((len(batch), length), -100)
        for row, window in enumerate(batch):
            tokens[row, : len(window.tokens)] = place[torch.tensor(window.tokens)]
            target = torch.tensor(window.labels)
            labels[row, : len(window.labels)] = torch.where(target < 0, target, place[target.clamp(min=0)])
        with torch.autocast("cpu", torch.bfloat16):
            audio = model.encoder(mel)
            logits = model.decoder(tokens, audio)[labels >= 0] @ embedding.T
        audio, logits = audio.float(), logits.float()
        logits = torch.cat([logits[:, :-1], logits[:, -1:] + others], dim=1)
        entropy = F.cross_entropy(logits, labels[labels >= 0])
        spelled = F.ctc_loss(
            spelling(audio).log_softmax(-1).transpose(0, 1),
            torch.tensor([c for w in batch for c in w.spelled]),
            torch.full((len(batch),), audio.shape[1]),
            torch.tensor([len(w.spelled) for w in batch]),
            zero_infinity=True,
        )
        optimizer.zero_grad()
        (entropy + args.ctc * spelled).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        now = np.array([entropy.item(), spelled.item()])
        mean = now if mean is None else 0.97 * mean + 0.03 * now
        if step % 50 == 0:
            print(
                f"{step} {elapsed:.0f} s, window {seconds} s, cross-entropy {mean[0]:.3f}, CTC {mean[1]:.3f}",
                flush=True,
            )
        if time.monotonic() - saved > 120:
            save()
            saved = time.monotonic()
        step += 1
    save()
    print(f"done after {step} steps: cross-entropy {mean[0]:.3f}, CTC {mean[1]:.3f}")


if __name__ == "__main__":
    main()
