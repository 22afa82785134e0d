"""Whisper's architecture in plain PyTorch, with OpenAI's tensor names, small enough to train on two cores.

The layout follows openai/whisper (MIT): two convolutions, sinusoidal encoder positions, pre-norm blocks, tied output
embedding, no bias on the attention keys.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

MELS = 80
AUDIO_CONTEXT = 1500
TEXT_CONTEXT = 448
STATE = 128
HEADS = 2
AUDIO_LAYERS = 4
TEXT_LAYERS = 3


def sinusoids(length: int, channels: int) -> torch.Tensor:
    increment = math.log(10_000) / (channels // 2 - 1)
    angles = torch.arange(length)[:, None] * torch.exp(-increment * torch.arange(channels // 2))[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(STATE, STATE)
        self.key = nn.Linear(STATE, STATE, bias=False)
        self.value = nn.Linear(STATE, STATE)
        self.out = nn.Linear(STATE, STATE)

    def forward(self, x: torch.Tensor, source: torch.Tensor, causal: bool = False) -> torch.Tensor:
        def heads(y: torch.Tensor) -> torch.Tensor:
            return y.view(y.shape[0], y.shape[1], HEADS, -1).transpose(1, 2)

        mixed = F.scaled_dot_product_attention(
            heads(self.query(x)), heads(self.key(source)), heads(self.value(source)), is_causal=causal
        )
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, cross: bool) -> None:
        super().__init__()
        self.attn = Attention()
        self.attn_ln = nn.LayerNorm(STATE)
        self.cross_attn = Attention() if cross else None
        self.cross_attn_ln = nn.LayerNorm(STATE) if cross else None
        self.mlp = nn.Sequential(nn.Linear(STATE, 4 * STATE), nn.GELU(), nn.Linear(4 * STATE, STATE))
        self.mlp_ln = nn.LayerNorm(STATE)

    def forward(self, x: torch.Tensor, audio: torch.Tensor | None = None) -> torch.Tensor:
        y = self.attn_ln(x)
        x = x + self.attn(y, y, causal=audio is not None)
        if self.cross_attn is not None:
            x = x + self.cross_attn(self.cross_attn_ln(x), audio)
        return x + self.mlp(self.mlp_ln(x))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(MELS, STATE, 3, padding=1)
        self.conv2 = nn.Conv1d(STATE, STATE, 3, stride=2, padding=1)
        self.register_buffer("positional_embedding", sinusoids(AUDIO_CONTEXT, STATE))
        self.blocks = nn.ModuleList(Block(cross=False) for _ in range(AUDIO_LAYERS))
        self.ln_post = nn.LayerNorm(STATE)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """Log-mel [batch, 80, 2 x frames] to states [batch, frames, 128]; frames may be fewer than 1500."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        x = x + self.positional_embedding[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.ln_post(x)


class Decoder(nn.Module):
    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(tokens, STATE)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        self.positional_embedding = nn.Parameter(torch.randn(TEXT_CONTEXT, STATE) * 0.01)
        self.blocks = nn.ModuleList(Block(cross=True) for _ in range(TEXT_LAYERS))
        self.ln = nn.LayerNorm(STATE)

    def forward(self, tokens: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        """Token ids [batch, length] to states [batch, length, 128], before the output embedding."""
        x = self.token_embedding(tokens) + self.positional_embedding[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, audio)
        return self.ln(x)


class Whisper(nn.Module):
    """`tokens` is the number of output rows: those in use and one that stands for all the others."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder(tokens)
