"""The decision table: facts of a machine to findings, each with its remedy. Nothing here looks at anything itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from installer.preflight.facts import Card, Machine
from installer.preflight.plan import NothingFits, plan

Verdict = Literal["ok", "warn", "refuse"]

SYSTEMS = {("debian", "12"): (3, 11), ("ubuntu", "24.04"): (3, 12)}
"""What bundles are built for, and the Python that each brings."""

LEAST_MEMORY_MB, GOOD_MEMORY_MB = 3_600, 7_600
"""A machine sold as 4 GB shows some 3.8 GiB. PostgreSQL, the store, three workers and the API take 2 GiB."""
DISK_GIB = {"cpu": (20, 100), "nvidia": (40, 150)}
"""At least, and for a year's calls. Of the NVIDIA variant a release alone takes 17 GiB, the next is laid beside it."""
LEAST_WRITE_MB_S, GOOD_WRITE_MB_S = 10, 80
LEAST_DRIVER = (580, 0)
"""The first driver for CUDA 13, which the locked torch is built with."""
LEAST_COMPUTE, GOOD_COMPUTE = 7.5, 8.0
"""CUDA 13 knows no older cards; bfloat16 begins at 8.0."""
OLDEST_POSTGRES = 13
"""Of a server of the company's: gen_random_uuid and the trigram operators that the list uses are there from it on."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; texts in Russian and English, a remedy wherever the verdict is not ok."""

    check: str
    verdict: Verdict
    ru: str
    en: str
    remedy_ru: str = ""
    remedy_en: str = ""


def decide(machine: Machine, variant: str, ports: tuple[int, ...], built_at: float = 0) -> list[Finding]:
    """Everything there is to say about a machine for a variant (cpu or nvidia).

    built_at: when the release was built, in seconds since 1970; no clock can be right that shows less.
    """
    findings = [_system(machine), _processor(machine), _cores(machine), _memory(machine), _disk(machine, variant)]
    findings += [_disk_speed(machine), _clock(machine, built_at), _python(machine), _systemd(machine), _rights(machine)]
    findings += _ports(machine, ports)
    findings += [_account(machine), *_database(machine), *_host(machine), *_parts(machine)]
    return findings + list(_cards(machine, variant))


def verdict(findings: list[Finding]) -> Verdict:
    """The worst of them."""
    order: tuple[Verdict, ...] = ("ok", "warn", "refuse")
    return max((finding.verdict for finding in findings), key=order.index)


def _graded(value: float, least: float, good: float) -> Verdict:
    return "refuse" if value < least else "warn" if value < good else "ok"


def _system(machine: Machine) -> Finding:
    shown = f"{machine.os_id} {machine.os_version} {machine.architecture}"
    known = (machine.os_id, machine.os_version) in SYSTEMS and machine.architecture == "x86_64"
    return Finding(
        "system",
        "ok" if known else "refuse",
        f"Система: {shown}",
        f"System: {shown}",
        "" if known else "Установите Debian 12 или Ubuntu 24.04 для x86-64",
        "" if known else "Install Debian 12 or Ubuntu 24.04 for x86-64",
    )


def _processor(machine: Machine) -> Finding:
    able = "avx2" in machine.cpu_flags
    return Finding(
        "processor",
        "ok" if able else "refuse",
        "Процессор: AVX2 " + ("есть" if able else "нет"),
        "Processor: " + ("with AVX2" if able else "without AVX2"),
        "" if able else "Нужен процессор с AVX2 (2013 года и новее); в виртуальной машине включите тип процессора host",
        ""
        if able
        else "A processor with AVX2 is needed (2013 or later); in a virtual machine set the CPU type to host",
    )


def _cores(machine: Machine) -> Finding:
    grade = _graded(machine.cores, 2, 4)
    return Finding(
        "cores",
        grade,
        f"Ядра: {machine.cores}",
        f"Cores: {machine.cores}",
        "" if grade == "ok" else "Нужно не меньше 2 ядер, для работы без очередей - 4 и больше",
        "" if grade == "ok" else "At least 2 cores are needed, 4 or more to work without queues",
    )


def _memory(machine: Machine) -> Finding:
    grade = _graded(machine.memory_mb, LEAST_MEMORY_MB, GOOD_MEMORY_MB)
    return Finding(
        "memory",
        grade,
        f"Память: {machine.memory_mb} МиБ",
        f"Memory: {machine.memory_mb} MiB",
        "" if grade == "ok" else "Нужно не меньше 4 ГБ, для настоящих весов распознавания - от 8 ГБ",
        "" if grade == "ok" else "At least 4 GB are needed, 8 GB or more for real speech weights",
    )


def _disk(machine: Machine, variant: str) -> Finding:
    least, good = DISK_GIB[variant]
    grade = _graded(machine.disk_free_mb, least * 1024, good * 1024)
    gib = machine.disk_free_mb // 1024
    return Finding(
        "disk",
        grade,
        f"Свободно на диске: {gib} ГиБ",
        f"Free disk space: {gib} GiB",
        ""
        if grade == "ok"
        else f"Нужно не меньше {least} ГиБ, для года записей - от {good} ГиБ: освободите место или расширьте том",
        ""
        if grade == "ok"
        else f"At least {least} GiB are needed, {good} GiB or more for a year's calls: free or add space",
    )


def _disk_speed(machine: Machine) -> Finding:
    speed = machine.disk_write_mb_s
    if speed is None:
        return Finding(
            "disk-speed",
            "warn",
            "Скорость диска не измерена",
            "The disk's speed was not measured",
            "Запустите проверку от root",
            "Run the check as root",
        )
    grade = _graded(speed, LEAST_WRITE_MB_S, GOOD_WRITE_MB_S)
    return Finding(
        "disk-speed",
        grade,
        f"Запись на диск: {speed} МиБ/с",
        f"Writing to the disk: {speed} MiB/s",
        "" if grade == "ok" else "Используйте SSD; проверьте RAID и загрузку диска",
        "" if grade == "ok" else "Use an SSD; look at the RAID and at what else writes",
    )


def _clock(machine: Machine, built_at: float) -> Finding:
    shown = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(machine.clock))
    wrong = machine.clock < built_at
    grade: Verdict = "refuse" if wrong else "ok" if machine.clock_synchronised else "warn"
    remedy_ru = "Настройте время (chrony или systemd-timesyncd); без интернета - сервер времени в локальной сети"
    remedy_en = "Set up the time (chrony or systemd-timesyncd); without internet, a time server in the local network"
    return Finding(
        "clock",
        grade,
        f"Часы: {shown}" + (", раньше выпуска этой версии" if wrong else ""),
        f"Clock: {shown}" + (", before this release was made" if wrong else ""),
        "" if grade == "ok" else remedy_ru,
        "" if grade == "ok" else remedy_en,
    )


def _python(machine: Machine) -> Finding:
    wanted = SYSTEMS.get((machine.os_id, machine.os_version))
    fits = wanted is None or machine.python.startswith("{}.{}.".format(*wanted))
    return Finding(
        "python",
        "ok" if fits else "refuse",
        f"Python {machine.python}",
        f"Python {machine.python}",
        "" if fits else "Нужен python3 из самой системы: уберите другой из PATH",
        "" if fits else "The system's own python3 is needed: take the other one out of PATH",
    )


def _systemd(machine: Machine) -> Finding:
    return Finding(
        "systemd",
        "ok" if machine.systemd else "warn",
        "systemd работает" if machine.systemd else "systemd не работает",
        "systemd runs" if machine.systemd else "systemd does not run",
        "" if machine.systemd else "Автозапуска не будет: запускайте вручную командой call-analytics up",
        "" if machine.systemd else "Nothing starts by itself: start with call-analytics up",
    )


def _rights(machine: Machine) -> Finding:
    able = machine.is_root or machine.sudo
    return Finding(
        "rights",
        "ok" if machine.is_root else "warn" if able else "refuse",
        "Запущено от root" if machine.is_root else "Запущено не от root",
        "Run as root" if machine.is_root else "Not run as root",
        "" if machine.is_root else "Установку запускайте так: sudo ./install" if able else "Войдите как root: su -",
        "" if machine.is_root else "Install with: sudo ./install" if able else "Become root: su -",
    )


def _ports(machine: Machine, ports: tuple[int, ...]) -> Iterator[Finding]:
    for port in ports:
        # An installed appliance holds its own port: that is what an upgrade finds.
        taken = port in machine.ports_taken and not machine.installed_version
        yield Finding(
            "port",
            "refuse" if taken else "ok",
            f"Порт {port} " + ("занят" if taken else "свободен"),
            f"Port {port} is " + ("taken" if taken else "free"),
            f"Остановите программу (ss -ltnp 'sport = :{port}') или укажите другой: --port" if taken else "",
            f"Stop the program (ss -ltnp 'sport = :{port}') or choose another: --port" if taken else "",
        )


def _account(machine: Machine) -> Finding:
    foreign = machine.user_exists and not machine.installed_version
    return Finding(
        "account",
        "warn" if foreign else "ok",
        "Пользователь call-analytics " + ("уже есть" if machine.user_exists else "будет создан"),
        "The user call-analytics " + ("exists" if machine.user_exists else "will be made"),
        "Осталась от прежней установки? Тогда всё в порядке; иначе переименуйте эту учётную запись" if foreign else "",
        "Left by an earlier installation? Then all is well; otherwise rename that account" if foreign else "",
    )


def _database(machine: Machine) -> Iterator[Finding]:
    if any(part.setting == "DATABASE_URL" for part in machine.parts):
        return  # none of our own is made: see _parts
    found = bool(machine.postgres_clusters)
    yield Finding(
        "postgresql",
        "warn" if found else "ok",
        "PostgreSQL: " + ("на машине есть другие базы, их не трогаем" if found else "других баз нет"),
        "PostgreSQL: " + ("other clusters are here and stay as they are" if found else "no other clusters"),
        "Устройство использует свой кластер на своём порту; памяти должно хватать на оба" if found else "",
        "The appliance runs its own cluster on its own port; there must be memory for both" if found else "",
    )


def _host(machine: Machine) -> Iterator[Finding]:
    if machine.listens_on:
        here = machine.listens_here
        yield Finding(
            "host",
            "ok" if here else "refuse",
            f"HOST={machine.listens_on}" + ("" if here else ": такого адреса у этой машины нет"),
            f"HOST={machine.listens_on}" + ("" if here else ": this machine has no such address"),
            "" if here else "Укажите адрес этой машины (ip -brief address) или уберите HOST: тогда любой",
            "" if here else "Name an address of this machine (ip -brief address), or take HOST out: then it is any",
        )


def _parts(machine: Machine) -> Iterator[Finding]:
    """What the company's own settings lead to; whether it does what is needed is tried before anything starts."""
    for part in machine.parts:
        old = part.version.isdigit() and int(part.version) < OLDEST_POSTGRES
        fine = part.answers and not old
        ru, en = ("отвечает", "answers") if part.answers else ("не отвечает", "does not answer")
        shown = f"{part.setting}: {part.address}"
        remedy_ru, remedy_en = (
            f"Проверьте {part.setting}, сеть и межсетевой экран",
            f"Check {part.setting}, network, firewall",
        )
        if old:
            remedy_ru = f"Нужен PostgreSQL {OLDEST_POSTGRES} или новее; или уберите DATABASE_URL: тогда свой"
            remedy_en = (
                f"PostgreSQL {OLDEST_POSTGRES} or newer is needed; or take DATABASE_URL out: then one of our own"
            )
        yield Finding(
            part.setting.lower(),
            "ok" if fine else "refuse",
            f"{shown} {ru}" + (f", PostgreSQL {part.version}" if part.version else ""),
            f"{shown} {en}" + (f", PostgreSQL {part.version}" if part.version else ""),
            "" if fine else remedy_ru,
            "" if fine else remedy_en,
        )


def _cards(machine: Machine, variant: str) -> Iterator[Finding]:
    if variant == "cpu":
        if machine.cards or machine.nvidia_hardware:
            yield Finding(
                "card",
                "warn",
                "Видеокарта есть, но этот выпуск её не использует",
                "There is a card, but this bundle does not use it",
                "Возьмите выпуск для NVIDIA",
                "Take the bundle for NVIDIA",
            )
        return
    card = machine.card
    if card is None:
        driver = machine.nvidia_hardware
        yield Finding(
            "card",
            "refuse",
            "Видеокарта NVIDIA " + ("есть, но драйвер не отвечает" if driver else "не найдена"),
            "An NVIDIA card is " + ("there, but its driver does not answer" if driver else "not found"),
            "Установите драйвер 580 или новее и перезагрузите" if driver else "Вставьте карту или возьмите выпуск cpu",
            "Install driver 580 or later and reboot" if driver else "Put a card in, or take the bundle for cpu",
        )
        return
    yield _driver(card.driver)
    grade = _graded(card.compute, LEAST_COMPUTE, GOOD_COMPUTE)
    yield Finding(
        "compute",
        grade,
        f"{card.name}: вычислительные возможности {card.compute}",
        f"{card.name}: compute capability {card.compute}",
        "" if grade == "ok" else "Нужна карта поколения Turing (7.5), лучше Ampere (8.0) или новее",
        "" if grade == "ok" else "A card of the Turing generation (7.5) is needed, Ampere (8.0) or later is better",
    )
    yield _video_memory(machine, card)


def _driver(version: str) -> Finding:
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    fits = numbers >= LEAST_DRIVER
    return Finding(
        "driver",
        "ok" if fits else "refuse",
        f"Драйвер NVIDIA {version}",
        f"NVIDIA driver {version}",
        "" if fits else "Нужен драйвер 580 или новее: обновите его и перезагрузите машину",
        "" if fits else "Driver 580 or later is needed: upgrade it and reboot",
    )


def _video_memory(machine: Machine, card: Card) -> Finding:
    ru, en = f"Свободно видеопамяти: {card.free_mb} МиБ", f"Free memory of the card: {card.free_mb} MiB"
    try:
        found = plan(machine, "nvidia")
    except NothingFits:
        return Finding(
            "video-memory",
            "refuse",
            ru,
            en,
            "Нужно от 7 ГиБ: освободите карту (nvidia-smi покажет, кто её занимает) или возьмите другую",
            "7 GiB or more are needed: free the card (nvidia-smi shows who holds it) or take another one",
        )
    held = card.memory_mb - card.free_mb > 1024
    grade: Verdict = "ok" if found.language_model and not held else "warn"
    return Finding(
        "video-memory",
        grade,
        ru,
        en,
        ""
        if grade == "ok"
        else "Языковая модель меньше возможной: освободите карту или возьмите карту с 16 ГБ и больше",
        ""
        if grade == "ok"
        else "Less of a language model than could be: free the card, or take one with 16 GB or more",
    )
