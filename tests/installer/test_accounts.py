"""Every process a user of its own: who may read what, and who the real processes are."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from installer import accounts, ownership, supervisor
from installer.language import pick
from installer.setup import layout
from installer.site import Site
from tests.conftest import ROOT, SAMPLES, _free_port, let_in, upload, wait_until
from tests.own_stack import Own, ended, own_stack

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: accounts could not be made and removed")

TEMPORARY = Path(tempfile.gettempdir())
NEEDED = (Path(sys.base_prefix), ROOT, TEMPORARY)


def closed_folders() -> set[Path]:
    """The uppermost ones that keep other users from the interpreter, the checkout or temporary files, as /root does."""
    ways = [[*reversed(place.parents), place] for place in accounts.places(TEMPORARY / "data")]
    closed = (next((part for part in way if not accounts.reachable_by("nobody", part)), None) for way in ways)
    return {part for part in closed if part}


CLOSED = closed_folders()


def opened(folder: Path) -> str:
    """A script for a mount namespace: of a folder there is only what is needed, and that is in everybody's reach."""
    script = f"kept=$(mktemp -d -p /run); mount --bind '{folder}' $kept; mount -t tmpfs -o mode=755 reach '{folder}'\n"
    for place in NEEDED:
        if place.is_relative_to(folder):
            script += f"mkdir -p '{place}'; mount --bind $kept/'{place.relative_to(folder)}' '{place}'\n"
    return script + "umount $kept; rmdir $kept\n"


@pytest.mark.skipif(not CLOSED, reason="everything is in reach: the tests below run as they are")
@pytest.mark.timeout(1500)
def test_all_of_these_where_other_users_reach_the_program() -> None:
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("NO MOUNTS: this system gives root none of its own")
    script = "set -e; umask 022\n" + "".join(map(opened, CLOSED)) + 'exec "$@"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
    command += [sys.executable, "-m", "pytest", "-q", "--timeout=900", "-p", "no:cacheprovider", __file__]
    environment = {name: value for name, value in os.environ.items() if name != "APPLIANCE_ENV_FILE"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-9000:] + done.stderr[-2000:]
    assert " passed, 1 skipped" in done.stdout, done.stdout[-2000:]


@pytest.fixture(scope="module")
def users() -> Iterator[None]:
    """The accounts of an installation, under another name."""
    if CLOSED:
        pytest.skip(f"{CLOSED} is closed to other users: see the first test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "USER", f"ca-{uuid4().hex[:8]}")
        said: list[str] = []
        accounts.ensure(TEMPORARY / "data", said.append)
        assert said == ["making an account for each process / учётная запись для каждого процесса"]
        yield
        for user in (*map(accounts.of, accounts.SUFFIXES), layout.USER):
            subprocess.run(["userdel", user], check=True, capture_output=True)


@pytest.fixture
def site(users: None) -> Iterator[Site]:
    """An installation as it lies before its first start as separate users: everything is root's."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        made = Site(Path(folder) / "data")
        made.make_folders()
        for name in ("postgres/base", "swift/etc", "swift/srv/d1", "models"):
            (made.data_dir / name).mkdir(parents=True)
        for file in ("postgres/PG_VERSION", "swift/etc/proxy.conf", "swift/srv/d1/recording"):
            (made.data_dir / file).write_text("secret")
        made.choose_ports()
        made.write_settings(8000, demo=False)
        (made.data_dir / "postgres-admin.password").write_text("secret")
        ownership.hand_over(made)
        yield made


def test_the_accounts_are_made_once(users: None) -> None:
    assert accounts.missing() == []
    assert len({accounts.of(program) for program in accounts.SUFFIXES}) == len(accounts.SUFFIXES)


def may(user: str, *command: str) -> bool:
    """Whether a user is able to, as the kernel sees it."""
    done = subprocess.run(["runuser", "-u", user, "--", *command], capture_output=True, check=False, cwd="/")
    return done.returncode == 0


READS = {
    "appliance.env": {"api", "speech", "analysis", "housekeeping", "operator"},
    "postgres-owner.password": {"operator"},
    "postgres-admin.password": set(),
    "postgres/PG_VERSION": {"postgres"},
    "swift/etc/proxy.conf": {"swift"},
    "swift/srv/d1/recording": {"swift"},
    "log/supervisord.log": {"api", "speech", "analysis", "housekeeping", "operator"},
}
WRITES = {
    "": set(),
    "appliance.env": set(),
    "log": set(),
    "log/supervisord.log": set(),
    "run": set(),
    "postgres": {"postgres"},
    "swift": set(),
    "swift/etc": set(),
    "swift/srv": {"swift"},
    "spool": {"api", "speech", "analysis", "housekeeping", "operator"},
    "backup": {"operator"},
    "scratch": {"api", "speech", "analysis", "housekeeping", "operator"},
    "metrics": {"api", "speech", "analysis", "housekeeping", "operator"},
    "alive": {"api", "speech", "analysis", "housekeeping", "operator"},
}


@pytest.mark.parametrize("again", [False, True])
def test_everybody_reads_and_writes_what_is_theirs(site: Site, *, again: bool) -> None:
    if again:  # what a start writes anew passes over, too
        (site.swift / "etc" / "proxy.conf").unlink()
        (site.swift / "etc" / "proxy.conf").write_text("secret")
        site.write_settings(8000, demo=False)
        ownership.hand_over(site)
    everybody = {program: accounts.of(program) for program in accounts.SUFFIXES} | {"operator": layout.USER}
    for place, due in READS.items():
        able = {name for name, user in everybody.items() if may(user, "cat", str(site.data_dir / place))}
        assert able == due, place
    for place, due in WRITES.items():
        able = {name for name, user in everybody.items() if may(user, "test", "-w", str(site.data_dir / place))}
        assert able == due, place


def test_what_one_worker_makes_the_others_remove(site: Site) -> None:
    """Scratch files of the speech worker go when the analysis worker publishes the call."""
    made = site.data_dir / "scratch" / "call"
    script = f"umask 007; mkdir {made}; echo x > {made}/decoded"
    assert may(accounts.of("speech"), "sh", "-c", script)
    assert may(accounts.of("analysis"), "cat", str(made / "decoded"))
    assert may(accounts.of("analysis"), "rm", "-r", str(made))


def test_every_program_is_started_as_its_own_user(site: Site) -> None:
    with site.env_file.open("a") as file:
        file.write("VLLM_WEIGHTS=/models/a-model\nLOCAL_LLM_API_KEY=secret\n")
    tree = {program.name: program for program in supervisor.programs(site)}
    assert set(tree) == {*supervisor.INFRASTRUCTURE, *supervisor.APPLICATION, "vllm"}
    for name, program in tree.items():
        assert program.user == accounts.of(name)
    supervisor.render(site)
    written = (site.data_dir / "supervisor.conf").read_text()
    assert written.count("\nuser = ") == len(tree) + 1  # and supervisor itself, which is root
    assert f"chown = {layout.USER}:{layout.USER}" in written


def test_compiled_modules_are_kept_where_the_process_may_write(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh checkout has none; compiling everything anew at each start takes seconds."""
    for there in (True, False):
        monkeypatch.setattr(supervisor, "COMPILED", Path(__file__) if there else site.data_dir / "none")
        for program in supervisor.programs(site):
            place = program.environment.get("PYTHONPYCACHEPREFIX")
            assert place is None if there else may(program.user, "mkdir", "-p", str(place)), program.name


@pytest.fixture(scope="module")
def watched(users: None) -> Iterator[Path]:
    """A folder for recordings, as docs/installation.md has it: the group writes there."""
    with tempfile.TemporaryDirectory(prefix="watched-") as made:
        os.chown(made, 0, grp.getgrnam(layout.USER).gr_gid)
        Path(made).chmod(0o770)
        yield Path(made)


@pytest.fixture(scope="module")
def own(watched: Path) -> Iterator[Own]:
    """A whole demonstration that root started, with every process of it."""
    with own_stack(WATCH_FOLDER=str(watched), WATCH_STABLE_S="0.5") as made:
        yield made


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def test_each_real_process_is_the_user_of_its_program_and_can_be_no_other(own: Own) -> None:
    """Its children are, too: the decoder's server of the API and the workers, the sessions of PostgreSQL."""
    numbers: set[int] = set()
    for name in (*supervisor.INFRASTRUCTURE, *supervisor.APPLICATION):
        account = pwd.getpwnam(accounts.of(name))
        numbers.add(account.pw_uid)
        for pid in wait_until(lambda name=name: own.pids(name), 60, name):
            found = status_of(pid)
            assert found["Uid"].split() == [str(account.pw_uid)] * 4, name
            assert set(found["Gid"].split()) | set(found["Groups"].split()) == {str(account.pw_gid)}, name
            assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == 0, name
    assert 0 not in numbers
    assert len(numbers) == len(accounts.SUFFIXES) - 1  # no language model here
    top = int((own.site.run_dir / "supervisord.pid").read_text())
    assert {status_of(pid)["Uid"].split()[0] for pid in supervisor.leftovers(own.site) if pid != top} == {
        str(number) for number in numbers
    }


def test_the_settings_are_out_of_reach_for_those_who_do_not_need_them(own: Own) -> None:
    """As files and as what a neighbour was told, with the modes that the running installation has."""
    apart = [accounts.of(name) for name in accounts.OUTSIDE]
    api = own.pids("api")[0]
    for user in apart:
        assert not may(user, "cat", str(own.site.env_file)), user
        assert not may(user, "cat", f"/proc/{api}/environ"), user
        assert not may(user, "kill", "-0", str(api)), user
    assert not may(accounts.of("api"), "cat", str(own.site.data_dir / "postgres-owner.password"))
    assert {path.name for path in own.site.data_dir.rglob("*") if is_open(path, own.site.data_dir)} == {
        "ports.json",
        "supervisord.pid",
    }


def is_open(path: Path, top: Path) -> bool:
    """Whether anybody on the machine may read a file."""
    above = path.parents[: len(path.relative_to(top).parts)]
    return path.is_file() and bool(path.stat().st_mode & 0o4) and all(folder.stat().st_mode & 0o1 for folder in above)


def test_a_call_goes_all_the_way_and_no_process_misses_a_right(own: Own, watched: Path) -> None:
    """By upload and by the watch folder; what is scratch is gone, and nobody was refused anything."""
    accepted = [upload(own.client(), SAMPLES / "ru-wrong-number.wav").raise_for_status().json()["id"]]
    lies = watched / "external-101-79160000001-20240101-120000-1704099600.1.mp3"
    shutil.copyfile(SAMPLES / "ru-test-drive.mp3", lies)
    wait_until((watched / "done" / lies.name).exists, 60, "the watched recording to be taken")
    accepted += [row[0] for row in own.query("SELECT id::text FROM calls WHERE uploaded_by_id IS NULL")]
    assert len(accepted) == 2
    assert set(ended(own, accepted).values()) == {"completed"}
    scratch = own.site.data_dir / "scratch"
    wait_until(lambda: not [file for file in scratch.rglob("*") if file.is_file()], 30, "scratch files to go")
    for log in own.site.logs.glob("*.log"):
        assert "Permission denied" not in log.read_text(encoding="utf-8", errors="replace"), log.name


STARTED = """
import sys
from pathlib import Path
from installer.setup import layout
layout.USER = sys.argv[1]
from installer.site import Site
from installer import stack
from tests.own_stack import Own
own = Own(Site(Path(sys.argv[2])), int(sys.argv[3]))
try:
    own.up()
    print(*(state["statename"] for state in stack.status(own.site.data_dir)))
finally:
    stack.down(own.site.data_dir)
"""


def test_what_the_unit_leaves_to_root_is_enough(users: None) -> None:
    """The tree starts and stops with the capabilities that call-analytics.service has, and can gain no others."""
    unit = (supervisor.TEMPLATES / "systemd" / "call-analytics.service").read_text(encoding="utf-8")
    left = next(line.split("=")[1].split() for line in unit.splitlines() if line.startswith("CapabilityBoundingSet="))
    bounds = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in left)
    setpriv = ["setpriv", "--no-new-privs", f"--bounding-set=-all,{bounds}", "--inh-caps=-all"]
    with tempfile.TemporaryDirectory() as folder:
        let_in(Path(folder))
        command = [*setpriv, sys.executable, "-c", STARTED, layout.USER, folder, str(_free_port())]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["RUNNING"] * (len(supervisor.INFRASTRUCTURE) + len(supervisor.APPLICATION))


def test_a_start_without_the_accounts_takes_everything_back(own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next one with them gives it out again: nothing is lost either way."""
    sound = SAMPLES / "ru-wrong-number.wav"
    call_id = upload(own.client(), sound).raise_for_status().json()["id"]
    ended(own, [call_id])
    for is_separate in (False, True):
        own.cut_power()
        with monkeypatch.context() as patch:
            if not is_separate:
                patch.setattr(accounts, "separate", lambda _: False)
            own.up()
        call = own.client().get(f"/api/calls/{call_id}").raise_for_status().json()
        assert httpx.get(call["recordingUrl"]).content == sound.read_bytes()
        assert ended(own, [upload(own.client(), sound).json()["id"]])
        users = {name: status_of(own.pids(name)[0])["Uid"].split()[0] for name in ("api", "swift-object")}
        due = {name: str(pwd.getpwnam(accounts.of(name)).pw_uid) if is_separate else "0" for name in users}
        assert users == due


def test_below_a_closed_folder_everything_runs_as_before(users: None, tmp_path: Path) -> None:
    """And the start says so."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    let_in(tmp_path)
    assert accounts.separate(tmp_path / "data")
    assert not accounts.separate(closed / "data")
    said: list[str] = []
    accounts.ensure(closed / "data", said.append)
    [told] = said
    assert pick(told, "en") == f"no users of their own, {closed} is closed to others"
    assert pick(told, "ru") == f"без отдельных пользователей: {closed} закрыта"
