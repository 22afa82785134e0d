"""`appliance users`: people who log in."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from appliance.cli.language import ours

app = typer.Typer(no_args_is_help=True, help="People who log in / Пользователи.")


class RoleName(enum.StrEnum):
    admin = "admin"
    manager = "manager"
    analyst = "analyst"


@app.command()
def create(
    email: Annotated[str, typer.Argument(help="Logs in with it / С ним входят в систему")],
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


def _asked() -> str:
    """Typed twice, unseen."""
    while True:
        first = str(typer.prompt(ours(("Пароль", "Password")), hide_input=True))
        if first == typer.prompt(ours(("Ещё раз", "Again")), hide_input=True):
            return first
        typer.echo(ours(("Пароли не совпали.", "The two differ.")), err=True)
