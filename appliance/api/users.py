"""/api/users: who may log in, and as what. For admins; the own avatar is everybody's own."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response, UploadFile
from fastapi.responses import StreamingResponse

from appliance.api.deps import BaseUrl, ViewerDep
from appliance.api.documentation import BINARY
from appliance.api.schemas import AccountOut, SessionList, UserChangeIn, UserIn, UserPage
from appliance.models.users import Role
from appliance.services import avatars, users
from appliance.services.failures import UploadTooLarge

router = APIRouter(prefix="/api", tags=["users"])


@router.get("/users", response_model_exclude_none=True)
def browse(
    viewer: ViewerDep,
    base_url: BaseUrl,
    search: Annotated[str, Query(max_length=200, description="Part of a name or an e-mail")] = "",
    role: Role | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> UserPage:
    """A page of users, by name. Managers who only appear on calls so far have an empty e-mail."""
    found, total = users.page(viewer, search, role, limit, offset)
    return UserPage(
        users=[AccountOut.of(user, base_url) for user in found],
        total=total,
        has_next=offset + len(found) < total,
        has_prev=offset > 0,
    )


@router.post("/users", status_code=201, response_model_exclude_none=True)
def create(viewer: ViewerDep, base_url: BaseUrl, body: UserIn) -> AccountOut:
    """Create a user. A manager known from calls, by name or extension, gets the log-in and keeps those calls."""
    made = users.create_for(viewer, body.name, body.email, body.password, body.role, body.extension)
    return AccountOut.of(made, base_url)


@router.get("/users/{user_id}", response_model_exclude_none=True)
def read(user_id: UUID, viewer: ViewerDep, base_url: BaseUrl) -> AccountOut:
    """One user."""
    return AccountOut.of(users.get(viewer, user_id), base_url)


@router.patch("/users/{user_id}", response_model_exclude_none=True)
def change(user_id: UUID, viewer: ViewerDep, base_url: BaseUrl, body: UserChangeIn) -> AccountOut:
    """Change a user. A new role or password and deactivation end the user's sessions at once.

    A new e-mail or password needs the admin's own password along, whoever's they are.
    """
    wanted = users.Change(body.name, body.email, body.role, body.password, body.is_active, body.extension)
    return AccountOut.of(users.change(viewer, user_id, wanted, body.current_password), base_url)


@router.delete("/users/{user_id}", status_code=204)
def delete(user_id: UUID, viewer: ViewerDep) -> None:
    """Remove a user who has no calls; who has some can be deactivated."""
    users.remove(viewer, user_id)


@router.get("/users/{user_id}/sessions")
def list_sessions(user_id: UUID, viewer: ViewerDep) -> SessionList:
    """Where a user is logged in."""
    return SessionList.of(users.sessions_of(viewer, user_id))


@router.delete("/users/{user_id}/sessions", status_code=204)
def end_sessions(user_id: UUID, viewer: ViewerDep) -> None:
    """Log a user out everywhere, at once."""
    users.end_sessions(viewer, user_id)


@router.put("/users/{user_id}/avatar", response_model_exclude_none=True)
def put_avatar(user_id: UUID, viewer: ViewerDep, base_url: BaseUrl, image: UploadFile) -> AccountOut:
    """Set the avatar: png, jpeg or webp, up to 2 MB. It is cut to a square."""
    if (image.size or 0) > avatars.LARGEST_BYTES:
        raise UploadTooLarge(megabytes=avatars.LARGEST_BYTES // 2**20)
    return AccountOut.of(avatars.put(viewer, user_id, image.file), base_url)


@router.delete("/users/{user_id}/avatar", response_model_exclude_none=True)
def delete_avatar(user_id: UUID, viewer: ViewerDep, base_url: BaseUrl) -> AccountOut:
    """Take the avatar away."""
    return AccountOut.of(avatars.remove(viewer, user_id), base_url)


@router.get("/avatars/{name}", response_class=Response, responses={200: {"content": {avatars.MEDIA_TYPE: BINARY}}})
def show_avatar(name: str, expires: int, signature: str) -> StreamingResponse:
    """The picture that a user's `avatar` points at."""
    headers = {"Cache-Control": "private, max-age=3600"}
    return StreamingResponse(avatars.find(name, expires, signature), headers=headers, media_type=avatars.MEDIA_TYPE)
