"""`appliance users`: people who log in."""

from __future__ import annotations

import enum
import os
from typing import Annotated

import typer

from appliance.cli.language import ours
from appliance.cli.show import wide

app = typer.Typer(no_args_is_help=True, help="People who log in / Пользователи.")


Email = Annotated[str, typer.Argument(help="Logs in with it / С ним входят в систему")]


class RoleName(enum.StrEnum):
    admin = "admin"
    manager = "manager"
    analyst = "analyst"


@app.command()
def create(
    email: Email,
    name: Annotated[str, typer.Option(prompt="Name / Имя", help="As it stands on calls / Как в звонках")],
    role: Annotated[RoleName, typer.Option(help="What the user may do / Что пользователю можно")] = RoleName.manager,
    password: Annotated[
        str,
        typer.Option(envvar="APPLIANCE_PASSWORD", help="Asked for where left out / Без параметра будет спрошен"),
    ] = "",
    keep_password: Annotated[
        bool,
        typer.Option(
            "--keep-password", help="The user chose it: it need not be changed / Пароль выбран самим пользователем"
        ),
    ] = False,
) -> None:
    """Create a user / Создать пользователя."""
    from appliance.services import users

    user_id = users.create(name, email, password or _asked(), role.value, must_change_password=not keep_password)
    typer.echo(ours((f"Создан {role.value} {email}: {user_id}", f"{role.value} {email} created: {user_id}")))


@app.command("list")
def list_users() -> None:
    """Show who there is, and who can log in / Показать пользователей."""
    from rich.table import Table

    from appliance.services import users

    heads = ("имя", "e-mail", "роль", "доб.", "может войти"), ("name", "e-mail", "role", "extension", "can log in")
    table = Table(*ours(heads))
    for user in users.listed():
        able = user.is_active and user.password_hash is not None
        table.add_row(
            user.name, user.email or "", user.role, user.extension or "", ours(("да", "yes") if able else ("нет", "no"))
        )
    wide(160).print(table)


@app.command()
def password(email: Email) -> None:
    """Give a user a new password, to be changed by them; ends their sessions / Задать пользователю новый пароль."""
    from appliance.services import users

    users.change_by_operator(email, users.Change(password=os.environ.get("APPLIANCE_PASSWORD") or _asked()))
    typer.echo(ours((f"Новый пароль задан: {email}", f"The password is set: {email}")))


@app.command()
def deactivate(email: Email) -> None:
    """Let a user log in no more; their calls stay / Закрыть пользователю вход, звонки остаются."""
    from appliance.services import users

    users.change_by_operator(email, users.Change(is_active=False))
    typer.echo(ours((f"Вход закрыт: {email}", f"No more log-in: {email}")))


@app.command()
def activate(email: Email) -> None:
    """Let a user log in again / Снова открыть пользователю вход."""
    from appliance.services import users

    users.change_by_operator(email, users.Change(is_active=True))
    typer.echo(ours((f"Вход открыт: {email}", f"May log in again: {email}")))


def _asked() -> str:
    """Typed twice, unseen."""
    while True:
        first = str(typer.prompt(ours(("Пароль", "Password")), hide_input=True))
        if first == typer.prompt(ours(("Ещё раз", "Again")), hide_input=True):
            return first
        typer.echo(ours(("Пароли не совпали.", "The two differ.")), err=True)
