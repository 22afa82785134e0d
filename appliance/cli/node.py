"""`appliance node`: further machines that take part of the work, and becoming one."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from appliance.cli import show
from appliance.cli.language import ours
from appliance.cli.operate import adopt
from appliance.cli.stack import DataDir

if TYPE_CHECKING:
    from installer.site import Site

app = typer.Typer(no_args_is_help=True, help="Further machines / Дополнительные машины.")

Name = Annotated[str, typer.Argument(help="Its name / Её имя")]

STATES = {"expected": "ещё не подключилась", "at work": "работает", "silent": "молчит"}


def _first(data_dir: Path) -> Site:
    from installer.failures import NotTheFirst

    site = adopt(data_dir)
    if site.node:
        raise NotTheFirst(name=site.node)
    return site


@app.command()
def add(
    name: Name,
    address: Annotated[str, typer.Option(help="The node's address: it alone is let in / Адрес машины")],
    listen: Annotated[
        str, typer.Option(help="Address of this machine to serve nodes on / Адрес этой машины для остальных")
    ] = "",
    file: Annotated[
        Path | None, typer.Option(help="Where to write the join file / Куда записать файл подключения")
    ] = None,
    data_dir: DataDir = Path("var"),
) -> None:
    """Let a further machine in and write the file that it joins by / Добавить машину и создать файл подключения."""
    from appliance.services import nodes as known
    from appliance.store import sealing
    from appliance.store.nodes import expected_schema
    from installer import nodes

    site = _first(data_dir)
    nodes.check_name(name)
    known.check_new(name)
    address = nodes.address_of(address)
    if listen:
        nodes.listen(site, listen)
    nodes.check_reach(site, name)
    apart = known.model_is_out_of_reach()
    workers = "speech" if apart else "speech,analysis"
    addresses = known.addresses() | {name: address}
    join = nodes.let_in(site, name, addresses, sealing.key(), workers=workers, schema=expected_schema())
    target = (file or site.data_dir / f"{name}.join").resolve()
    join.write(target)
    known.add(name, address)
    _tell_added(site, name, address, target, apart=apart)


def _say(ru: str, en: str) -> None:
    typer.echo(ours((ru, en)))


def _tell_added(site: Site, name: str, address: str, target: Path, *, apart: bool) -> None:
    _say(
        f"{target}: секреты для {name}. Перенесите на неё и подключите: ./install --join ФАЙЛ "
        "(без комплекта: appliance node join ФАЙЛ), затем удалите файл на обеих машинах",
        f"{target}: secrets for {name}. Carry it there and join: ./install --join FILE "
        "(without a bundle: appliance node join FILE), then delete it on both machines",
    )
    ports = site.ports()
    for port in [ports["postgres"]] * site.own_database + [ports["nodes"]] * site.own_store:
        typer.echo(f"ufw allow from {address} to {site.nodes_listen} port {port} proto tcp")
    if not site.own_database or not site.own_store:
        _say(
            "Внешние база или хранилище: машина получила ключи установки. Свои, с меньшими правами: docs/growing.md",
            "External database or store: the node has this installation's keys. Lesser ones: docs/growing.md",
        )
    if apart:
        _say(
            "Языковая модель отвечает только этой машине: анализ останется на ней, новая распознаёт речь",
            "The language model answers this machine alone: analysis stays here, the node recognises speech",
        )
    if site.facts().get("VOCABULARY_FILE"):
        _say("Скопируйте на машину и VOCABULARY_FILE", "Copy VOCABULARY_FILE to the node, too")


@app.command("list")
def list_nodes(
    data_dir: DataDir = Path("var"),
    as_json: Annotated[bool, typer.Option("--json", help="For programs / Для программ")] = False,
) -> None:
    """Show the further machines and when each was last heard of / Показать машины и когда каждая отзывалась."""
    from appliance.services import nodes as known

    adopt(data_dir)
    found = known.listed()
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False, indent=2))
        return
    heads = (
        ("машина", "адрес", "состояние", "речь", "анализ", "звонков", "версия"),
        ("node", "address", "state", "speech", "analysis", "calls", "version"),
    )
    table = Table(*ours(heads))
    for each in found:
        heard = ("-" if s is None else f"{s:.0f} s" for s in (each.speech_silent_s, each.analysis_silent_s))
        table.add_row(
            each.name, each.address, ours((STATES[each.state], each.state)), *heard, str(each.calls), each.version
        )
    show.wide(120).print(table)


@app.command()
def remove(name: Name, data_dir: DataDir = Path("var")) -> None:
    """Put a machine out: its keys end at once, its calls go on elsewhere / Отключить машину и отозвать её ключи."""
    from appliance.services import nodes as known
    from installer import nodes

    site = _first(data_dir)
    stay = {each: address for each, address in known.addresses().items() if each != name}
    known.remove(name)
    nodes.put_out(site, name, stay)
    lease_s = site.facts().get("LEASE_S", "30")
    _say(
        f"{name} отключена. Её звонки продолжатся на других машинах не позже чем через {lease_s} с",
        f"{name} is out. Its calls go on elsewhere within {lease_s} s",
    )
    if site.facts().get("REDIS_URL") or not site.own_database or not site.own_store:
        _say(
            "Пароли Redis, внешних базы и хранилища она знает и дальше: смените их",
            "It still knows the passwords of Redis and of an external database and store: change them",
        )


@app.command()
def join(
    file: Annotated[Path, typer.Argument(help="As `node add` wrote it / Файл, созданный node add")],
    data_dir: DataDir = Path("var"),
) -> None:
    """Make this machine a node: workers alone, for the calls of the first one / Подключить эту машину."""
    from installer import join as joining
    from installer import nodes, stack
    from installer.site import Site

    told = joining.check(file)
    site = Site(data_dir.resolve())
    joining.settle(told, site)
    nodes.check_release(site)
    stack.up(data_dir, 8000, show.step)
    _say(
        f"Машина {site.node} работает. Удалите {file}. Проверка: appliance doctor",
        f"The node {site.node} works. Delete {file}. To check it: appliance doctor",
    )
    if differs := joining.other_weights(told, site):
        _say(*differs)
