"""Avatars: small pictures of users, drawn anew from whatever was uploaded, behind signed links."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO
from uuid import UUID, uuid4

from PIL import Image, ImageOps
from sqlalchemy import select

from appliance.errors import ApplianceError
from appliance.models import User
from appliance.services import failures, links
from appliance.services.users import UserNotFound
from appliance.store import db, deletions, objects
from appliance.store.visibility import Viewer

SIDE = 256
LARGEST_BYTES = 2 * 2**20
LARGEST_PIXELS = 40_000_000
MEDIA_TYPE = "image/webp"


class NotAnImage(ApplianceError):
    code = "unsupported_image"
    status = 415
    ru = "Нужна картинка png, jpeg или webp"
    en = "A png, jpeg or webp picture is needed"


class ImageTooLarge(ApplianceError):
    code = "image_too_large"
    status = 413
    ru = "Картинка больше 40 мегапикселей"
    en = "The picture is larger than 40 megapixels"


def put(viewer: Viewer, user_id: UUID, picture: BinaryIO) -> User:
    """Give a user an avatar: cut to a square of 256 pixels, without whatever else the file holds.

    Admins may do so for everybody, others for themselves. Raises NotAllowed, UserNotFound, NotAnImage, ImageTooLarge.
    """
    _may_change(viewer, user_id)
    drawn = _draw(picture)
    key = f"avatars/{uuid4()}.webp"
    with db.unit_of_work() as session:
        deletions.mark_unfinished(session, key)
    objects.put(key, io.BytesIO(drawn), len(drawn), MEDIA_TYPE)
    return _replace(user_id, key)


def remove(viewer: Viewer, user_id: UUID) -> User:
    """Take the avatar away. Raises NotAllowed, UserNotFound."""
    _may_change(viewer, user_id)
    return _replace(user_id, None)


def find(name: str, expires: int, signature: str) -> Iterator[bytes]:
    """The picture that a signed link names. Raises LinkInvalid, ObjectMissing."""
    key = f"avatars/{name}"
    links.check("/api/" + key, expires, signature)
    with db.unit_of_work() as session:
        if session.scalar(select(User.id).where(User.avatar == key)) is None:
            raise objects.ObjectMissing
    return objects.stream(key, 0, 0)


def _may_change(viewer: Viewer, user_id: UUID) -> None:
    if viewer.role != "admin" and viewer.id != user_id:
        raise failures.NotAllowed


def _draw(picture: BinaryIO) -> bytes:
    try:
        with Image.open(picture, formats=("PNG", "JPEG", "WEBP")) as image:
            if image.width * image.height > LARGEST_PIXELS:
                raise ImageTooLarge
            square = ImageOps.fit(ImageOps.exif_transpose(image).convert("RGB"), (SIDE, SIDE))
    except Image.DecompressionBombError:
        raise ImageTooLarge from None
    except (OSError, ValueError, SyntaxError):  # what Pillow raises for damaged files
        raise NotAnImage from None
    target = io.BytesIO()
    square.save(target, "WEBP", quality=85)
    return target.getvalue()


def _replace(user_id: UUID, key: str | None) -> User:
    with db.unit_of_work() as session:
        user = session.get(User, user_id, with_for_update=True)
        if user is None:
            raise UserNotFound
        deletions.mark(session, [user.avatar])
        user.avatar = key
        if key:
            deletions.withdraw(session, key)
        session.flush()
        session.refresh(user)
    return user
