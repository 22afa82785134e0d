"""`appliance users`: people who log in."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="People who log in.")


class RoleName(enum.StrEnum):
    admin = "admin"
    manager = "manager"
    analyst = "analyst"


@app.command()
def create(
    email: str,
    name: Annotated[str, typer.Option(prompt=True, help="As it stands on calls")],
    role: Annotated[RoleName, typer.Option(help="admin, manager or analyst")] = RoleName.manager,
    password: Annotated[
        str, typer.Option(prompt=True, confirmation_prompt=True, hide_input=True, envvar="APPLIANCE_PASSWORD")
    ] = "",
    keep_password: Annotated[
        bool, typer.Option("--keep-password", help="The user chose it: it need not be changed")
    ] = False,
) -> None:
    """Create a user. The password is asked for, or taken from APPLIANCE_PASSWORD."""
    from appliance.services import users

    user_id = users.create(name, email, password, role.value, must_change_password=not keep_password)
    typer.echo(f"{role.value} {email} created: {user_id}")
