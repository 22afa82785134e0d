"""What exchanges, dictaphones and phones write: every one of these is a recording, whatever its header says."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from appliance.engines import audio, sandbox
from appliance.engines.speech import SAMPLE_RATE
from appliance.engines.voice_activity import speech_regions

Options = dict[str, str]

LENGTH_S = 3
PADDING_S = 0.25
"""Codecs fill their first and last frame up: two of 1024 samples at 8 kHz."""

TONES_HZ = (440, 660)
"""What is heard on the left and on the right."""

COVER = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63606060f80f0001040100"
    "5fe5c34b0000000049454e44ae426082"
)
"""A picture of one dot (PNG)."""


def tones(rate: int, channels: int, loud: float = 0.3) -> np.ndarray[Any, Any]:
    """Float32 [samples, channels]: a tone per side; more channels than two repeat them."""
    at = np.arange(LENGTH_S * rate) / rate
    sides = [loud * np.sin(2 * np.pi * TONES_HZ[n % 2] * at) for n in range(channels)]
    return np.stack(sides, axis=1).astype(np.float32)


def encoded(
    container: str, codec: str, *, rate: int = 8000, layout: str = "mono", loud: float = 0.3, cover: bool = False,
    sound: np.ndarray[Any, Any] | None = None, muxer: Options | None = None, encoder: Options | None = None,
) -> bytes:  # fmt: skip
    """The tones, or another sound, as a file, by FFmpeg."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=muxer or {}) as target:
        stream: Any = target.add_stream(codec, rate=rate, layout=layout, options=encoder or {})
        picture: Any = None
        if cover:
            picture = target.add_stream("png", width=1, height=1, pix_fmt="rgba")
            picture.disposition = av.stream.Disposition.attached_pic
        if sound is None:
            sound = tones(rate, stream.codec_context.layout.nb_channels, loud)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.reshape(1, -1)), "flt", layout)
        frame.sample_rate = rate
        form = stream.codec_context
        if picture:
            target.start_encoding()
            packet = av.Packet(COVER)
            packet.stream = picture
            target.mux(packet)
        resampler = av.AudioResampler(form.format, layout, rate, form.frame_size or 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            target.mux(stream.encode(piece))
    return file.getvalue()


def wav_header_says(data_bytes: int, riff_bytes: int, channels: int = 1) -> Callable[[], bytes]:
    """A wav that was streamed: the length was not known when its header was written."""

    def streamed() -> bytes:
        pcm = (tones(8000, channels) * 32767).astype("<i2").tobytes()
        form = struct.pack("<HHIIHH", 1, channels, 8000, 16000 * channels, 2 * channels, 16)
        head = b"RIFF" + struct.pack("<I", riff_bytes) + b"WAVEfmt " + struct.pack("<I", 16) + form
        return head + b"data" + struct.pack("<I", data_bytes) + pcm

    return streamed


def a_law_streamed(samples: int) -> bytes:
    """A compressed wav also counts its samples: unknown as well when the header was written."""
    sound = np.frombuffer(encoded("wav", "pcm_alaw"), np.uint8)[-LENGTH_S * 8000 :].tobytes()
    form = struct.pack("<HHIIHHH", 6, 1, 8000, 8000, 1, 8, 0)
    head = b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<I", 18) + form
    return head + b"fact" + struct.pack("<II", 4, samples) + b"data\xff\xff\xff\xff" + sound


def long_quiet_beginning() -> bytes:
    """A minute of which the first half costs little: a length guessed from its bit rate is far too long."""
    shape: dict[str, Any] = {"muxer": {"write_xing": "0", "id3v2_version": "0"}, "encoder": VBR}
    return encoded("mp3", "libmp3lame", sound=noise_after_silence(), **shape)


def noise_after_silence() -> np.ndarray[Any, Any]:
    noise = np.random.default_rng(0).normal(0, 0.2, (60 * 8000, 1))
    noise[: 30 * 8000] = 0
    return noise.astype(np.float32)


def gsm() -> bytes:
    """GSM 06.10 as Windows packs it, 320 samples in 65 bytes: any bits are a sound (FFmpeg has no encoder for it)."""
    blocks = np.random.default_rng(1).bytes(65 * LENGTH_S * 8000 // 320)
    form = struct.pack("<HHIIHHHH", 0x31, 1, 8000, 1625, 65, 0, 2, 320)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"fact" + struct.pack("<II", 4, LENGTH_S * 8000)
    chunks += b"data" + struct.pack("<I", len(blocks)) + blocks
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


VBR = {"flags": "+qscale", "global_quality": str(5 * 118)}

ODD: dict[str, tuple[str, int, Callable[[], bytes]]] = {
    "pcm-8khz": ("wav", 1, lambda: encoded("wav", "pcm_s16le")),
    "pcm-8bit": ("wav", 1, lambda: encoded("wav", "pcm_u8")),
    "pcm-24bit-48khz": ("wav", 2, lambda: encoded("wav", "pcm_s24le", rate=48000, layout="stereo")),
    "a-law": ("wav", 1, lambda: encoded("wav", "pcm_alaw")),
    "a-law-stereo": ("wav", 2, lambda: encoded("wav", "pcm_alaw", layout="stereo")),
    "mu-law": ("wav", 1, lambda: encoded("wav", "pcm_mulaw")),
    "mu-law-stereo": ("wav", 2, lambda: encoded("wav", "pcm_mulaw", layout="stereo")),
    "ima-adpcm": ("wav", 1, lambda: encoded("wav", "adpcm_ima_wav")),
    "ms-adpcm": ("wav", 2, lambda: encoded("wav", "adpcm_ms", layout="stereo")),
    "four-channels": ("wav", 1, lambda: encoded("wav", "pcm_s16le", layout="quad")),
    "wav64": ("wav", 1, lambda: encoded("wav", "pcm_s16le", muxer={"rf64": "always"})),
    "mp3-vbr": ("mp3", 2, lambda: encoded("mp3", "libmp3lame", rate=44100, layout="stereo", encoder=VBR)),
    "mp3-vbr-8khz": ("mp3", 1, lambda: encoded("mp3", "libmp3lame", encoder=VBR)),
    "mp3-vbr-no-index": ("mp3", 1, lambda: encoded("mp3", "libmp3lame", encoder=VBR, muxer={"write_xing": "0"})),
    "mp3-cover": ("mp3", 1, lambda: encoded("mp3", "libmp3lame", cover=True)),
    "m4a-8khz": ("m4a", 1, lambda: encoded("mp4", "aac")),
    "m4a-cover": ("m4a", 2, lambda: encoded("mp4", "aac", rate=44100, layout="stereo", cover=True)),
    "m4a-fragmented": ("m4a", 1, lambda: encoded("mp4", "aac", muxer={"movflags": "frag_keyframe+empty_moov"})),
    "size-0": ("wav", 1, wav_header_says(0, 0)),
    "size-0-in-data": ("wav", 1, wav_header_says(0, 36 + 2 * 8000 * LENGTH_S)),
    "size-max": ("wav", 1, wav_header_says(0xFFFFFFFF, 0xFFFFFFFF)),
    "size-max-stereo": ("wav", 2, wav_header_says(0xFFFFFFFF, 0xFFFFFFFF, 2)),
    "size-max-signed": ("wav", 1, wav_header_says(0x7FFFFFFF, 0x7FFFFFFF)),
    "size-max-less-header": ("wav", 1, wav_header_says(0xFFFFFFFF - 36, 0xFFFFFFFF)),
    "a-law-size-0": ("wav", 1, lambda: a_law_streamed(0)),
    "a-law-size-max": ("wav", 1, lambda: a_law_streamed(0xFFFFFFFF)),
    "a-law-size-max-signed": ("wav", 1, lambda: a_law_streamed(0x7FFFF000)),
    "clipped": ("wav", 1, lambda: encoded("wav", "pcm_s16le", loud=10)),
    "clipped-float": ("wav", 1, lambda: encoded("wav", "pcm_f32le", loud=10)),
    "near-silence": ("wav", 2, lambda: encoded("wav", "pcm_s16le", layout="stereo", loud=2 / 32768)),
}
"""The format that is told, the channels that are heard, and the file."""


def heard(file: Path) -> np.ndarray[Any, Any]:
    """What the pipeline hears of a file: int16 [samples, channels]."""
    target = file.with_name("samples.s16")
    channels = sandbox.decode(file, target, lambda _: None, 60)
    return np.fromfile(target, "<i2").reshape(-1, channels)


def loudest_hz(samples: np.ndarray[Any, Any]) -> float:
    spectrum = np.abs(np.fft.rfft(samples.astype(float) * np.hanning(len(samples))))
    return float(spectrum.argmax()) * SAMPLE_RATE / len(samples)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_recording_is_heard_whole(name: str, tmp_path: Path) -> None:
    extension, channels, write = ODD[name]
    file = tmp_path / "recording"
    file.write_bytes(write())
    facts = sandbox.probe(file)
    assert facts.extension == extension
    assert facts.duration_ms == pytest.approx(LENGTH_S * 1000, abs=PADDING_S * 1000)
    sound = heard(file)
    assert sound.shape[1] == channels
    assert len(sound) / SAMPLE_RATE == pytest.approx(LENGTH_S, abs=PADDING_S)
    if name != "four-channels":
        assert [loudest_hz(side) for side in sound.T] == pytest.approx(TONES_HZ[:channels], abs=2)


def test_an_mp3_with_no_index_is_as_long_as_its_frames(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    file.write_bytes(long_quiet_beginning())
    assert sandbox.probe(file).duration_ms == pytest.approx(60_000, abs=PADDING_S * 1000)
    file.write_bytes(long_quiet_beginning()[:-100])
    with pytest.raises(audio.UnreadableAudio, match="ends before"):
        sandbox.probe(file)


def test_an_mp3_whose_index_tells_more_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    whole = encoded("mp3", "libmp3lame", sound=noise_after_silence(), encoder=VBR)
    file.write_bytes(whole)
    assert sandbox.probe(file).extension == "mp3"
    with av.open(str(file)) as container:
        ends = [packet.pos for packet in container.demux(audio=0) if packet.size]
    file.write_bytes(whole[: ends[-100]])
    with pytest.raises(audio.UnreadableAudio, match="ends before"):
        sandbox.probe(file)


def test_gsm_in_wav_is_heard_whole(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    file.write_bytes(gsm())
    facts = sandbox.probe(file)
    assert (facts.codec, facts.sample_rate, facts.duration_ms) == ("gsm_ms", 8000, LENGTH_S * 1000)
    sound = heard(file)
    assert len(sound) == LENGTH_S * SAMPLE_RATE
    assert sound.std() > 100


def test_an_mp3_that_goes_on_otherwise_is_heard_whole(tmp_path: Path) -> None:
    """Announcement and call glued together: mono first, then stereo at another rate."""
    plain: Options = {"write_xing": "0", "id3v2_version": "0"}
    parts = [
        encoded("mp3", "libmp3lame", rate=rate, layout=layout, muxer=plain)
        for rate, layout in ((8000, "mono"), (16_000, "stereo"))
    ]
    file = tmp_path / "recording"
    file.write_bytes(b"".join(parts))
    sound = heard(file)
    assert abs(len(sound) - 2 * LENGTH_S * SAMPLE_RATE) < 4 * PADDING_S * SAMPLE_RATE
    assert min(half.std() for half in np.array_split(sound.astype(float), 2)) > 1000


def test_clipping_stays_flat(tmp_path: Path) -> None:
    """Samples beyond full scale stop there instead of coming out on the other side."""
    file = tmp_path / "recording"
    file.write_bytes(ODD["clipped-float"][2]())
    sound = heard(file)[:, 0].astype(float)
    tone = tones(SAMPLE_RATE, 1)[: len(sound), 0]
    assert np.corrcoef(np.sign(sound[: len(tone)]), np.sign(tone))[0, 1] > 0.9
    assert np.mean(np.abs(sound) > 30000) > 0.8


def test_nobody_speaks_in_near_silence(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    file.write_bytes(ODD["near-silence"][2]())
    heard(file)
    assert speech_regions(audio.samples_of(tmp_path / "samples.s16", 2, 0)) == []


@pytest.mark.parametrize("name", ["pcm-8khz", "mp3-vbr", "m4a-cover"])
@pytest.mark.parametrize("claimed", ["call.wav", "call.mp3", "call.m4a", "call.MP3.wav", "call.txt"])
def test_the_content_says_what_a_file_is_not_its_name(name: str, claimed: str, tmp_path: Path) -> None:
    file = tmp_path / claimed
    file.write_bytes(ODD[name][2]())
    assert audio.probe(file).extension == ODD[name][0]
    assert audio.decode(file, tmp_path / "samples.s16") == ODD[name][1]


def test_the_table_is_what_it_says() -> None:
    with av.open(io.BytesIO(ODD["mp3-vbr"][2]())) as container:
        assert len({packet.size for packet in container.demux(audio=0)}) > 3
    for name in ("mp3-cover", "m4a-cover"):
        with av.open(io.BytesIO(ODD[name][2]())) as container:
            assert container.streams.video
