"""Sound files: what they are, and their samples, by PyAV (FFmpeg's libraries)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from appliance.engines.speech import SAMPLE_RATE, Samples
from appliance.errors import EngineError

OPEN_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": "wav,mp3,mov,mp4,m4a,3gp,3g2,mj2",
    "max_size": "8192",
}
"""Nothing but these containers, and no container that names other files: a playlist must not read the server's disk.

`max_size` is of wav: its sound comes in packets of so many bytes, not of 32 ms; of larger ones reading takes longer.
"""

MISSING_SHARE = 0.02
"""Less sound than the header declares by more than this share, and by half a second, counts as cut off."""

UNKNOWN_SAMPLES = 0x3FFF0000
"""A wav header of so many samples was written before their number was known: ones throughout, over four bytes each."""

FORMATS = {"wav": ("wav", "audio/wav"), "mp3": ("mp3", "audio/mpeg"), "mov": ("m4a", "audio/mp4")}
"""First name of FFmpeg's container: extension and MIME type."""


class UnreadableAudio(EngineError):
    """The file cannot be used as a recording; `code` is one of not_audio, no_sound, audio_empty, audio_truncated,
    audio_excessive (more sound, time or memory than a recording may take) and decoder_died.
    """


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """What a recording is. `duration_ms` counts the sound that is there, not what the header says."""

    extension: str
    media_type: str
    codec: str
    channels: int
    sample_rate: int
    duration_ms: int


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        container = av.open(str(path), options=OPEN_OPTIONS, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise UnreadableAudio("not_audio", f"no wav, mp3 or m4a: {error.__class__.__name__}") from None
    with container:
        if not container.streams.audio:
            raise UnreadableAudio("no_sound", "the file has no sound track")
        yield container


def probe(path: Path) -> AudioFacts:
    """Look at a recording without decoding it all: its packets are counted and the first second is decoded.

    Raises UnreadableAudio.
    """
    if path.stat().st_size == 0:
        raise UnreadableAudio("audio_empty", "the file is empty")
    with _opened(path) as container:
        stream = container.streams.audio[0]
        name = container.format.name.split(",")[0]
        declared_s = float(container.duration or 0) / av.time_base
        if name == "wav" and (stream.duration or 0) >= UNKNOWN_SAMPLES:
            declared_s = 0.0
        first_at, found_s = _packets(container, stream)
        facts = AudioFacts(
            extension=FORMATS[name][0],
            media_type=FORMATS[name][1],
            codec=stream.codec_context.name,
            channels=stream.codec_context.channels,
            sample_rate=stream.codec_context.sample_rate,
            duration_ms=round(found_s * 1000),
        )
    if not _first_sound(path) or facts.duration_ms == 0:
        raise UnreadableAudio("audio_empty", "the file has no sound in it")
    if name == "mp3" and not _mp3_has_index(path, first_at):
        declared_s = 0.0
    if declared_s - found_s > max(0.5, MISSING_SHARE * declared_s) or (name == "mp3" and _mp3_cut_off(path)):
        raise UnreadableAudio("audio_truncated", "the file ends before its sound does")
    return facts


def _packets(container: Any, stream: Any) -> tuple[int, float]:
    """Where the first packet of sound lies in the file, and how many seconds all of them last."""
    first_at, ticks = 0, 0
    for packet in container.demux(stream):
        if packet.size:
            first_at = first_at or packet.pos or 0
            ticks += packet.duration or 0
    return first_at, float(ticks * (stream.time_base or 0))


def _first_sound(path: Path) -> bool:
    with _opened(path) as container:
        try:
            return any(frame.samples for frame in container.decode(audio=0))
        except av.FFmpegError as error:
            raise UnreadableAudio("not_audio", f"the sound cannot be decoded: {error.__class__.__name__}") from None


MP3_BITRATES = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Layer III, kbit/s by index: MPEG 1 (3) and MPEG 2 and 2.5 (2, 0). ISO/IEC 11172-3 and 13818-3."""

MP3_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _mp3_frame_bytes(header: int) -> int:
    """Length of the Layer III frame that a 32-bit header begins; 0 where it is none."""
    version, layer, bitrate, rate = header >> 19 & 3, header >> 17 & 3, header >> 12 & 15, header >> 10 & 3
    if header >> 21 != 0x7FF or version == 1 or layer != 1 or bitrate in {0, 15} or rate == 3:
        return 0
    kbits = MP3_BITRATES[3 if version == 3 else 2][bitrate]
    return (144 if version == 3 else 72) * kbits * 1000 // MP3_RATES[version][rate] + (header >> 9 & 1)


def _mp3_has_index(path: Path, first_at: int) -> bool:
    """Whether the frame before the first one with sound tells the length of the whole.

    Without it FFmpeg guesses from the bit rate of the beginning: many times too long where silence comes first.
    """
    with path.open("rb") as file:
        file.seek(max(0, first_at - 1500))
        before = file.read(min(first_at, 1500))
    return any(mark in before for mark in (b"Xing", b"Info", b"VBRI"))


def _mp3_cut_off(path: Path) -> bool:
    """Whether an mp3 ends in the middle of a frame: walks back to the last header whose predecessor leads to it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 8192))
        tail = file.read()
    if tail[-128:-125] == b"TAG":
        tail = tail[:-128]
    for start in range(len(tail) - 4):
        at = start
        frames = 0
        while at + 4 <= len(tail) and (length := _mp3_frame_bytes(int.from_bytes(tail[at : at + 4], "big"))):
            at += length
            frames += 1
        if frames >= 3:
            return at > len(tail)
    return False


PIECE_SAMPLES = 32_768
"""A frame of FFmpeg's holds some hundred samples, and a call into its libraries costs as much for those as for many."""


def decoded_bytes(seconds: float) -> int:
    """The most that `decode` writes of a recording of so many seconds."""
    return int(2 * 2 * SAMPLE_RATE * (seconds + 1))


def decode(
    path: Path, target: Path, on_progress: Callable[[float], None] = lambda _: None, longest_s: float = math.inf
) -> int:
    """Decode a recording into a raw file of interleaved little-endian int16 at 16 kHz, one or two channels.

    Streams: memory does not grow with the length. Returns the number of channels; more than two are mixed to one.
    A frame that is damaged is left out. Raises UnreadableAudio where nothing can be decoded, and `audio_excessive`
    where there is more sound than `longest_s`: a header may promise a minute and its packets hold a day.
    """
    part = target.with_suffix(".part")
    with _opened(path) as container, part.open("wb") as file:
        stream = container.streams.audio[0]
        channels = 2 if stream.codec_context.channels == 2 else 1
        total = float(container.duration or 0) / av.time_base
        written = 0
        for piece in _resampled(_frames(container, stream), "stereo" if channels == 2 else "mono"):
            written += file.write(piece)
            if written > 2 * channels * SAMPLE_RATE * longest_s:
                raise UnreadableAudio("audio_excessive", "there is more sound in it than its header says")
            if total:
                on_progress(min(1.0, written / (2 * channels * SAMPLE_RATE) / total))
    if not written:
        raise UnreadableAudio("not_audio", "no sound could be decoded")
    part.replace(target)
    return channels


def _frames(container: Any, stream: Any) -> Iterator[AudioFrame]:
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        yield from frames


def _resampled(frames: Iterable[AudioFrame], layout: str) -> Iterator[memoryview]:
    """The samples of frames as `decode` writes them, in pieces of PIECE_SAMPLES.

    A stream may go on with another rate, format or number of channels: what follows gets a resampler of its own.
    """
    make, fifo, resampler = None, AudioFifo(), AudioResampler()

    def drained() -> Iterator[memoryview]:
        rest = fifo.read()
        for last in (rest, None) if rest else (None,):
            yield from map(_bytes, resampler.resample(last))

    for frame in frames:
        its_make = (frame.format.name, frame.layout, frame.sample_rate)
        if its_make != make:
            yield from drained()
            make, fifo = its_make, AudioFifo()
            resampler = AudioResampler(format="s16", layout=layout, rate=SAMPLE_RATE)
        frame.pts = None  # the queue asks for times without gaps; samples follow each other as they come
        fifo.write(frame)
        if fifo.samples >= PIECE_SAMPLES:
            yield from map(_bytes, resampler.resample(fifo.read()))
    yield from drained()


def _bytes(frame: AudioFrame) -> memoryview:
    """A frame's plane may be padded at its end."""
    return memoryview(frame.planes[0])[: 2 * frame.layout.nb_channels * frame.samples]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file that `decode` wrote, read piece by piece. Not mapped: pages of a mapped file count as memory."""

    path: Path
    channels: int

    def __len__(self) -> int:
        return self.path.stat().st_size // (2 * self.channels)

    def __getitem__(self, part: slice) -> NDArray[np.int16]:
        """The samples of a slice, [samples, channels]."""
        start, stop, _ = part.indices(len(self))
        count = max(0, stop - start) * self.channels
        read = np.fromfile(self.path, "<i2", count, offset=2 * self.channels * start)
        return read.reshape(-1, self.channels)


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a decoded file as a Sound: float32 in -1..1."""

    decoded: Decoded
    number: int

    def __len__(self) -> int:
        return len(self.decoded)

    def __getitem__(self, part: slice) -> Samples:
        return self.decoded[part][:, self.number].astype(np.float32) / np.float32(32768)


def channel_of(decoded: Path, channels: int, channel: int) -> Channel:
    """One channel of a file that `decode` wrote, to be read piece by piece."""
    return Channel(Decoded(decoded, channels), channel)


def samples_of(decoded: Path, channels: int, channel: int) -> Samples:
    """One channel of a file that `decode` wrote, all of it in memory."""
    return channel_of(decoded, channels, channel)[:]


DUAL_MONO_CORRELATION = 0.95
"""Both channels carry the same sound above this; two parties stay below it, even with an echo of -6 dB."""

LAG_S = 0.05
"""A copy may come this much later: through another path of the exchange."""


def is_dual_mono(decoded: Path) -> bool:
    """Whether the two channels of a decoded stereo file carry one and the same sound.

    A copy may be quieter, inverted, delayed or turned in phase: the envelope of the cross-correlation does not mind,
    and its highest point over the lags counts. Sums blocks, so that a long file needs no memory. A channel that is
    silent throughout makes the file dual mono too: there is only one track to listen to.
    """
    pairs = Decoded(decoded, 2)
    block, lag = 8 * SAMPLE_RATE, int(LAG_S * SAMPLE_RATE)
    power, cross = np.zeros(2), np.zeros(2 * block, np.complex128)
    for start in range(0, len(pairs), block):
        left, right = pairs[start : start + block].astype(np.float64).T
        power += (left @ left, right @ right)
        cross += np.fft.fft(left, 2 * block) * np.fft.fft(right, 2 * block).conj()
    if power.min() < 1e-6 * max(power.max(), 1.0):
        return True
    cross[block:] = 0  # positive frequencies alone: what comes back is the analytic signal, its amount the envelope
    envelope = 2 * np.abs(np.fft.ifft(cross))
    highest = max(envelope[: lag + 1].max(), envelope[-lag:].max())
    return bool(highest / np.sqrt(power.prod()) > DUAL_MONO_CORRELATION)


def louder_channel(decoded: Path) -> int:
    """The channel with more power: the one to listen to in a dual-mono file whose other channel is silent."""
    pairs = Decoded(decoded, 2)
    power = np.zeros(2)
    for start in range(0, len(pairs), SAMPLE_RATE):
        power += (pairs[start : start + SAMPLE_RATE].astype(np.float64) ** 2).sum(axis=0)
    return int(power.argmax())
