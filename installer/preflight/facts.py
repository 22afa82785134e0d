"""What a machine is: gathered by reading alone, or loaded from a recording."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from installer.ports import is_free
from installer.preflight import given

NVIDIA_VENDOR = "0x10de"
PROBE_BYTES = 64 * 1024 * 1024
QUERY = "name,memory.total,memory.free,compute_cap,driver_version"
OURS = "call-analytics"


@dataclass(frozen=True)
class Card:
    """A graphics card as nvidia-smi tells of it; memory in MiB."""

    name: str
    memory_mb: int
    free_mb: int
    compute: float
    driver: str


@dataclass(frozen=True)
class Part:
    """A part of the company's that a setting names. version: empty where it could not be asked."""

    setting: str
    address: str
    answers: bool
    version: str = ""


@dataclass(frozen=True)
class Machine:
    """Facts of one machine. Sizes in MiB; None where it could not be found out."""

    os_id: str
    os_version: str
    architecture: str
    cores: int
    cpu_flags: tuple[str, ...]
    memory_mb: int
    disk_free_mb: int
    disk_write_mb_s: int | None
    ports_taken: tuple[int, ...]
    clock: float
    clock_synchronised: bool | None
    python: str
    systemd: bool
    is_root: bool
    sudo: bool
    user_exists: bool
    installed_version: str
    postgres_clusters: tuple[str, ...]
    nvidia_hardware: bool
    cards: tuple[Card, ...] = field(default=())
    parts: tuple[Part, ...] = field(default=())
    listens_on: str = ""
    listens_here: bool = True

    @property
    def card(self) -> Card | None:
        """The one that the appliance uses: with the most free memory, the first of its like."""
        return max(self.cards, key=lambda each: each.free_mb, default=None)

    @property
    def numbered_card(self) -> str:
        """Its number, as nvidia-smi counts; empty where there is no other card that it could be taken for."""
        return str(self.cards.index(self.card)) if self.card and len(self.cards) > 1 else ""

    @classmethod
    def load(cls, text: str) -> Machine:
        """A recording, as `dump` writes it."""
        data = json.loads(text)
        cards = tuple(Card(**card) for card in data.pop("cards", ()))
        parts = tuple(Part(**part) for part in data.pop("parts", ()))
        for name in ("cpu_flags", "ports_taken", "postgres_clusters"):
            data[name] = tuple(data[name])
        return cls(**data, cards=cards, parts=parts)

    def dump(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)


def gather(
    ports: tuple[int, ...], folder: Path, *, measure_disk: bool = True, settings: Mapping[str, str] | None = None
) -> Machine:
    """Look at this machine. The one thing written is a probe file for the disk's speed, and that is removed.

    settings: those that are given before the installation. Raises Unreadable, which names one that is no address.
    """
    settings = settings or {}
    system = platform.freedesktop_os_release()
    place = next(part for part in (folder, *folder.parents) if part.is_dir())
    return Machine(
        os_id=system.get("ID", ""),
        os_version=system.get("VERSION_ID", ""),
        architecture=platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        cpu_flags=_cpu_flags(Path("/proc/cpuinfo").read_text(encoding="utf-8")),
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2,
        disk_free_mb=shutil.disk_usage(place).free // 1024**2,
        disk_write_mb_s=_write_speed(place) if measure_disk else None,
        ports_taken=tuple(port for port in ports if not is_free(port)),
        clock=time.time(),
        clock_synchronised=_clock_synchronised(),
        python=platform.python_version(),
        systemd=Path("/run/systemd/system").is_dir(),
        is_root=os.geteuid() == 0,
        sudo=shutil.which("sudo") is not None,
        user_exists=re.search(rf"^{OURS}:", Path("/etc/passwd").read_text(encoding="utf-8"), re.MULTILINE) is not None,
        installed_version=installed_version(),
        postgres_clusters=tuple(str(path) for path in sorted(Path("/var/lib/postgresql").glob("*/*/PG_VERSION"))),
        nvidia_hardware=any(_is_nvidia(device) for device in Path("/sys/bus/pci/devices").glob("*")),
        cards=cards(_nvidia_smi()),
        parts=tuple(_part(name, host, port, settings[name]) for name, host, port in given.parts(settings)),
        listens_on=settings.get("HOST", ""),
        listens_here=_is_here(settings.get("HOST") or "0.0.0.0"),
    )


def _part(setting: str, host: str, port: int, address: str) -> Part:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return Part(setting, f"{host}:{port}", answers=False)
    version = _postgres_version(address) if setting == "DATABASE_URL" else ""
    return Part(setting, f"{host}:{port}", answers=True, version=version)


def _postgres_version(address: str) -> str:
    """Of a server that lets us in, as far as this Python can ask it; a bare system's cannot, the installation will."""
    try:
        import psycopg
    except ImportError:
        return ""
    try:
        with psycopg.connect(address, connect_timeout=5) as connection:
            return str(connection.info.server_version // 10_000)
    except psycopg.Error:
        return ""


def _is_here(host: str) -> bool:
    """Whether the API could listen on it: an address or a name of this machine."""
    try:
        kind, *_, place = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind) as probe:
            probe.bind(place)
    except OSError:
        return False
    return True


def installed_version(root: Path = Path("/opt/call-analytics")) -> str:
    """The version that `current` points at; empty where none is installed."""
    link = root / "current"
    return link.resolve().name if link.is_symlink() else ""


def cards(listing: str) -> tuple[Card, ...]:
    """Cards from nvidia-smi's csv; what it cannot tell ("[N/A]") counts as nothing."""
    found = []
    for line in listing.splitlines():
        name, total, free, compute, driver = (part.strip() for part in line.rsplit(",", 4))
        numbers = [float(value) if re.fullmatch(r"[\d.]+", value) else 0.0 for value in (total, free, compute)]
        found.append(Card(name, int(numbers[0]), int(numbers[1]), numbers[2], driver))
    return tuple(found)


def _nvidia_smi() -> str:
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    return _answer(command)


def _answer(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu_flags(text: str) -> tuple[str, ...]:
    line = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    known = set(line[1].split()) if line else set()
    return tuple(sorted(known & {"avx", "avx2", "avx512f", "f16c", "fma"}))


def _clock_synchronised() -> bool | None:
    answer = _answer(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    return {"yes": True, "no": False}.get(answer)


def _is_nvidia(device: Path) -> bool:
    try:
        vendor, kind = (device / "vendor").read_text(), (device / "class").read_text()
    except OSError:
        return False
    return vendor.strip() == NVIDIA_VENDOR and kind.startswith("0x03")


def _write_speed(folder: Path) -> int | None:
    """MiB/s that reach the disk, none where the folder is not ours to write in."""
    probe = folder / f".call-analytics-probe-{os.getpid()}"
    block = os.urandom(1024 * 1024)
    try:
        began = time.monotonic()
        with probe.open("wb") as file:
            for _ in range(PROBE_BYTES // len(block)):
                file.write(block)
            os.fsync(file.fileno())
        return int(PROBE_BYTES / 1024**2 / max(time.monotonic() - began, 0.001))
    except OSError:
        return None
    finally:
        probe.unlink(missing_ok=True)
