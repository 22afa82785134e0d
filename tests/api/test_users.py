"""Users as admins manage them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from uuid import UUID, uuid4

import httpx
import pytest
from PIL import Image
from sqlalchemy import select
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from appliance.models import ObjectDeletion, User
from appliance.services import passwords
from appliance.store import db, objects, users
from installer.site import Site
from tests.conftest import PASSWORD, SAMPLES, Running, _free_port, upload, wait_until

OWN = {"current_password": PASSWORD}
"""What the admin has to say along, to change what somebody logs in by."""


@pytest.fixture
def admin(running: Running, people: dict[str, str]) -> httpx.Client:
    return running.client(people["admin"])


@pytest.fixture
def made(admin: httpx.Client) -> Iterator[dict[str, str]]:
    """A user of this test's own."""
    name = f"Пётр {uuid4().hex[:8]}"
    body = {"name": name, "email": f"{uuid4().hex}@test.example", "role": "analyst", "password": PASSWORD}
    answer = admin.post("/api/users", json=body)
    assert answer.status_code == 201, answer.text
    yield answer.json()
    admin.delete(f"/api/users/{answer.json()['id']}")


def test_a_created_user_logs_in(running: Running, made: dict[str, str]) -> None:
    shown = {"id", "name", "email", "role", "must_change_password", "created_at", "updated_at", "is_active"}
    assert set(made) == shown
    me = running.client(made["email"]).get("/api/auth/me").json()
    assert me == {name: value for name, value in made.items() if name != "is_active"}


def test_users_are_listed_by_name_and_found(admin: httpx.Client, made: dict[str, str]) -> None:
    page = admin.get("/api/users", params={"search": made["name"].lower()[-8:]}).json()
    assert page == {"users": [made], "total": 1, "has_next": False, "has_prev": False}
    assert admin.get("/api/users", params={"search": made["name"], "role": "admin"}).json()["total"] == 0
    everybody = admin.get("/api/users", params={"limit": 100}).json()["users"]
    assert made in everybody
    first = admin.get("/api/users", params={"limit": 1}).json()
    assert (len(first["users"]), first["has_next"], first["has_prev"]) == (1, True, False)


def test_changes_are_kept(running: Running, admin: httpx.Client, made: dict[str, str]) -> None:
    email = f"new-{made['email']}"
    change = {"name": "Пётр Новый", "email": email, "role": "manager", "password": "another long one"} | OWN
    changed = admin.patch(f"/api/users/{made['id']}", json=change).json()
    assert (changed["name"], changed["email"], changed["role"]) == ("Пётр Новый", email, "manager")
    assert admin.get(f"/api/users/{made['id']}").json() == changed
    assert running.client(email, "another long one").get("/api/auth/me").json()["role"] == "manager"


@pytest.mark.parametrize("change", [{"is_active": False}, {"role": "manager"}, {"password": "another long one"} | OWN])
def test_what_changes_the_right_to_be_there_ends_the_sessions(
    running: Running, admin: httpx.Client, made: dict[str, str], change: dict[str, str | bool]
) -> None:
    theirs = running.client(made["email"])
    assert theirs.get("/api/auth/me").status_code == 200
    admin.patch(f"/api/users/{made['id']}", json=change).raise_for_status()
    assert theirs.get("/api/auth/me").status_code == 401


def test_who_is_deactivated_cannot_log_in_until_activated(
    running: Running, admin: httpx.Client, made: dict[str, str]
) -> None:
    admin.patch(f"/api/users/{made['id']}", json={"is_active": False}).raise_for_status()
    login = {"email": made["email"], "password": PASSWORD}
    assert httpx.post(running.url + "/api/auth/login", json=login).status_code == 401
    admin.patch(f"/api/users/{made['id']}", json={"is_active": True}).raise_for_status()
    assert httpx.post(running.url + "/api/auth/login", json=login).status_code == 200


def test_the_links_of_who_is_deactivated_lead_nowhere(
    running: Running, admin: httpx.Client, made: dict[str, str]
) -> None:
    call_id = upload(admin, SAMPLES / "ru-wrong-number.wav").json()["id"]
    theirs = running.client(made["email"])
    links = [theirs.get(f"/api/calls/{call_id}").json()["recordingUrl"]]
    links += [theirs.post("/api/calls/export", json={"format": "csv", "calls": [call_id]}).json()["download_url"]]
    assert [httpx.get(link).status_code for link in links] == [200, 200]
    admin.patch(f"/api/users/{made['id']}", json={"is_active": False}).raise_for_status()
    assert {(answer.status_code, answer.json()["code"]) for answer in map(httpx.get, links)} == {(403, "link_invalid")}


def test_a_user_without_calls_can_be_removed(admin: httpx.Client, made: dict[str, str]) -> None:
    assert admin.delete(f"/api/users/{made['id']}").status_code == 204
    for answer in (admin.get(f"/api/users/{made['id']}"), admin.delete(f"/api/users/{made['id']}")):
        assert (answer.status_code, answer.json()["code"]) == (404, "user_not_found")


def test_a_user_with_calls_cannot_be_removed(admin: httpx.Client) -> None:
    name = f"Мария {uuid4().hex[:8]}"
    upload(admin, SAMPLES / "ru-wrong-number.wav", managerName=name).raise_for_status()
    [manager] = admin.get("/api/users", params={"search": name}).json()["users"]
    assert (manager["email"], manager["role"]) == ("", "manager")
    answer = admin.delete(f"/api/users/{manager['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "user_has_calls")


def test_a_manager_known_by_name_gets_a_login_and_keeps_the_calls(running: Running, admin: httpx.Client) -> None:
    name = f"Олег {uuid4().hex[:8]}"
    call_id = upload(admin, SAMPLES / "ru-wrong-number.wav", managerName=name).json()["id"]
    body = {"name": name, "email": f"{uuid4().hex}@test.example", "role": "manager", "password": PASSWORD}
    created = admin.post("/api/users", json=body).json()
    assert running.client(created["email"]).get(f"/api/calls/{call_id}").json()["managerId"] == created["id"]


def test_there_is_always_an_admin(admin: httpx.Client) -> None:
    me = admin.get("/api/auth/me").json()["id"]
    for answer in (
        admin.patch(f"/api/users/{me}", json={"role": "analyst"}),
        admin.patch(f"/api/users/{me}", json={"is_active": False}),
        admin.delete(f"/api/users/{me}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "last_admin")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"email": "nobody"}, 422, "validation_failed"),
        ({"role": "owner"}, 422, "validation_failed"),
        ({"name": "  "}, 422, "validation_failed"),
        ({"password": "short"}, 422, "password_too_short"),
        ({"password": "password123"}, 422, "password_too_common"),
        ({"password": "call-analytics"}, 422, "password_guessable"),
        ({"is_admin": True}, 422, "validation_failed"),
    ],
)
def test_bad_input_is_refused(
    admin: httpx.Client, made: dict[str, str], change: dict[str, str], status: int, code: str
) -> None:
    body = {"name": "X", "email": "x@test.example", "role": "analyst", "password": PASSWORD, **change}
    for answer in (admin.post("/api/users", json=body), admin.patch(f"/api/users/{made['id']}", json=change | OWN)):
        assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("change", [{"email": "taken-over@test.example"}, {"password": "another long one"}])
def test_what_somebody_logs_in_by_is_not_changed_by_a_session_alone(
    running: Running, admin: httpx.Client, made: dict[str, str], change: dict[str, str]
) -> None:
    """Also the admin's own, whose session may have been stolen; guessing has to wait as at the log-in."""
    mine = running.client(_another_admin(admin))
    ids = (made["id"], mine.get("/api/auth/me").json()["id"])
    for user_id in ids:
        for guess in ({}, {"current_password": "a guess"}):
            answer = mine.patch(f"/api/users/{user_id}", json=change | guess)
            assert (answer.status_code, answer.json()["code"]) == (403, "own_password_wrong")
    assert running.client(made["email"]).get("/api/auth/me").status_code == 200
    guess = {"current_password": "a guess"}
    told = [mine.patch(f"/api/users/{ids[0]}", json=change | guess).status_code for _ in range(12)]
    assert set(told) == {403, 429}
    assert admin.patch(f"/api/users/{ids[0]}", json=change | OWN).status_code == 200
    admin.delete(f"/api/users/{ids[1]}").raise_for_status()


def test_guessing_the_own_password_has_to_wait(running: Running, made: dict[str, str]) -> None:
    """As at the log-in: a session that was stolen does not tell the password."""
    mine = running.client(made["email"])
    guesses = [
        mine.post("/api/auth/password", json={"current_password": f"guess {n}", "new_password": "a new long one"})
        for n in range(7)
    ]
    assert [answer.status_code for answer in guesses[:5]] == [401] * 5
    locked = next(answer for answer in guesses if answer.status_code == 429)
    assert locked.json()["code"] == "too_many_attempts"
    right = {"current_password": PASSWORD, "new_password": "a new long one"}

    def changed() -> bool:
        return mine.post("/api/auth/password", json=right).status_code == 200

    assert wait_until(changed, 60, "the wait to be over")


def _another_admin(admin: httpx.Client) -> str:
    body = {"name": "X", "email": f"{uuid4().hex}@test.example", "role": "admin", "password": PASSWORD}
    admin.post("/api/users", json=body).raise_for_status()
    return body["email"]


@pytest.mark.parametrize("password", ["ж" * 1023 + "ы", " \t\U0001f697\u0000 не обрезан ", "correct horse battery "])
def test_a_password_is_taken_as_it_is(admin: httpx.Client, made: dict[str, str], password: str) -> None:
    """Neither cut short nor trimmed: what is different by the last character alone is another password."""
    admin.patch(f"/api/users/{made['id']}", json={"password": password} | OWN).raise_for_status()
    with db.unit_of_work() as session:
        kept = session.get_one(User, UUID(made["id"])).password_hash or ""
    assert passwords.HASHES.verify(password, kept)
    assert not passwords.HASHES.verify(password[:-1], kept)


def test_a_password_that_an_admin_chose_is_said_to_be_one_until_it_is_changed(
    running: Running, admin: httpx.Client, made: dict[str, str]
) -> None:
    theirs = running.client(made["email"])
    assert theirs.get("/api/auth/me").json()["must_change_password"] is True
    same = {"current_password": PASSWORD, "new_password": PASSWORD}
    assert theirs.post("/api/auth/password", json=same).json()["code"] == "password_unchanged"
    own = {"current_password": PASSWORD, "new_password": "another long one"}
    theirs.post("/api/auth/password", json=own).raise_for_status()
    assert "must_change_password" not in theirs.get("/api/auth/me").json()
    admin.patch(f"/api/users/{made['id']}", json={"password": PASSWORD} | OWN).raise_for_status()
    login = {"email": made["email"], "password": PASSWORD}
    assert httpx.post(running.url + "/api/auth/login", json=login).json()["user"]["must_change_password"] is True


def test_where_it_is_enforced_nothing_works_before_the_first_password_is_changed(
    site: Site, people: dict[str, str], made: dict[str, str]
) -> None:
    own = Running(site, _free_port(), environment={"FIRST_PASSWORD": "enforced"})
    try:
        own.start("api")
        theirs = own.client(made["email"])
        token = theirs.headers["Authorization"].removeprefix("Bearer ")
        assert theirs.get("/api/auth/me").json()["must_change_password"] is True
        for answer in (theirs.get("/api/calls"), theirs.get("/api/auth/sessions"), theirs.post("/api/calls")):
            assert (answer.status_code, answer.json()["code"]) == (403, "password_change_required")
        with connect(f"ws://127.0.0.1:{own.port}/ws/calls?token={token}") as socket, pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)
        body = {"current_password": PASSWORD, "new_password": "another long one"}
        theirs.post("/api/auth/password", json=body).raise_for_status()
        assert theirs.get("/api/calls").status_code == 200
        assert own.client(people["admin"]).get("/api/calls").status_code == 200
    finally:
        own.stop()


def test_sessions_are_listed_and_ended(running: Running, admin: httpx.Client, made: dict[str, str]) -> None:
    here, there = running.client(made["email"]), running.client(made["email"])
    listed = here.get("/api/auth/sessions").json()["sessions"]
    assert [each["current"] for each in listed] == [False, True]
    foreign = listed[0]["id"]
    assert admin.delete(f"/api/auth/sessions/{foreign}").json()["code"] == "session_not_found"
    assert there.get("/api/auth/me").status_code == 200
    assert here.delete(f"/api/auth/sessions/{foreign}").status_code == 204
    assert there.get("/api/auth/me").status_code == 401
    of_user = f"/api/users/{made['id']}/sessions"
    assert [each["id"] for each in admin.get(of_user).json()["sessions"]] == [listed[1]["id"]]
    assert admin.delete(of_user).status_code == 204
    assert here.get("/api/auth/me").status_code == 401
    assert admin.get(of_user).json() == {"sessions": []}


def test_an_email_belongs_to_one_user(admin: httpx.Client, made: dict[str, str], people: dict[str, str]) -> None:
    taken = people["anna"].upper()
    body = {"name": "X", "email": taken, "role": "analyst", "password": PASSWORD}
    change = {"email": taken} | OWN
    for answer in (admin.post("/api/users", json=body), admin.patch(f"/api/users/{made['id']}", json=change)):
        assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")


def picture(form: str, size: tuple[int, int] = (640, 480)) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, "orange").save(target, form)
    return target.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_an_avatar_is_shown_by_its_link(running: Running, made: dict[str, str], form: str) -> None:
    mine = running.client(made["email"])
    answer = mine.put(f"/api/users/{made['id']}/avatar", files={"image": ("me", picture(form))})
    assert answer.status_code == 200, answer.text
    link = mine.get("/api/auth/me").json()["avatar"]
    shown = httpx.get(link)
    assert (shown.status_code, shown.headers["Content-Type"]) == (200, "image/webp")
    assert Image.open(io.BytesIO(shown.content)).size == (256, 256)
    assert httpx.get(link.replace("signature=", "signature=0")).status_code == 403


def test_a_replaced_avatar_leaves_nothing_behind(admin: httpx.Client, made: dict[str, str]) -> None:
    address = f"/api/users/{made['id']}/avatar"
    first = admin.put(address, files={"image": ("a", picture("PNG"))}).json()["avatar"]
    key = first.split("?")[0].split("/api/")[1]
    second = admin.put(address, files={"image": ("b", picture("JPEG"))}).json()["avatar"]
    assert httpx.get(first).status_code == 404
    assert httpx.get(second).status_code == 200
    assert "avatar" not in admin.delete(address).json()

    def gone() -> bool:
        try:
            objects.stream(key, 0, 0)
        except objects.ObjectMissing:
            with db.unit_of_work() as session:
                return session.scalar(select(ObjectDeletion).where(ObjectDeletion.key == key)) is None
        return False

    wait_until(gone, 20, "the old picture to vanish from the store, and what was noted of that")


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"not a picture", 415, "unsupported_image"),
        (picture("PNG")[:200], 415, "unsupported_image"),
        (picture("GIF"), 415, "unsupported_image"),
        (b"", 415, "unsupported_image"),
        (picture("PNG", (9000, 9000)), 413, "image_too_large"),
        (b"\x89PNG" + bytes(2 * 2**20), 413, "upload_too_large"),
        (bytes(4 * 2**20), 413, "upload_too_large"),
    ],
)
def test_what_is_no_picture_is_refused(
    admin: httpx.Client, made: dict[str, str], content: bytes, status: int, code: str
) -> None:
    answer = admin.put(f"/api/users/{made['id']}/avatar", files={"image": ("x.png", content)})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "avatar" not in admin.get(f"/api/users/{made['id']}").json()


def test_an_extension_is_one_users(admin: httpx.Client, made: dict[str, str]) -> None:
    at = str(100000 + uuid4().int % 900000)
    path = f"/api/users/{made['id']}"
    assert admin.patch(path, json={"extension": at}).json()["extension"] == at
    other = {"name": "Б", "email": f"{uuid4().hex}@test.example", "role": "analyst", "password": PASSWORD}
    answer = admin.post("/api/users", json={**other, "extension": at})
    assert (answer.status_code, answer.json()["code"]) == (409, "extension_taken")
    assert admin.patch(path, json={"extension": "1x"}).status_code == 422
    assert "extension" not in admin.patch(path, json={"extension": ""}).json()


def test_who_is_known_by_extension_only_gets_the_log_in(admin: httpx.Client) -> None:
    at = str(100000 + uuid4().int % 900000)
    with db.unit_of_work() as session:
        known = users.manager_at(session, at).id
    body = {"name": f"Вера {at}", "email": f"{at}@test.example", "role": "manager", "password": PASSWORD}
    created = admin.post("/api/users", json={**body, "extension": at}).json()
    assert (created["id"], created["name"], created["extension"]) == (str(known), body["name"], at)
    admin.delete(f"/api/users/{known}").raise_for_status()
