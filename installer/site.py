"""One installation: its folders, ports, secrets and the settings file that every process reads."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import secrets
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from installer import accounts
from installer.failures import NodePortTaken
from installer.ports import is_free

FIRST_PORT, LAST_PORT = 21_000, 29_000
"""Where inner ports are chosen: above what servers use by default, below what Linux gives to clients."""

OWN_STORE_KEY = "calls:appliance"
INNER = ("postgres", "s3", "account", "container", "object", "vllm", "nodes")
SERVED_TO_NODES = ("postgres", "nodes")
SOCKET_PATH_LIMIT = 100
"""A unix socket's path may have 107 bytes; supervisor adds a suffix while it starts."""


@dataclass(frozen=True)
class Site:
    """Where an installation lies. Everything is under `data_dir`, but what its path is unfit for."""

    data_dir: Path

    @property
    def digest(self) -> str:
        return hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:12]

    @property
    def env_file(self) -> Path:
        return self.data_dir / "appliance.env"

    @property
    def logs(self) -> Path:
        return self.data_dir / "log"

    @property
    def swift(self) -> Path:
        return self.data_dir / "swift"

    @property
    def postgres_user(self) -> str:
        """PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return pwd.getpwuid(os.geteuid()).pw_name
        return accounts.of("postgres") if self.separate else "postgres"

    @property
    def separate(self) -> bool:
        """Whether each process has a user of its own."""
        return accounts.separate(self.data_dir)

    @property
    def backups(self) -> Path:
        """Where a backup is put together before it goes to its target."""
        return self.data_dir / "backup"

    @property
    def postgres_data(self) -> Path:
        """Beside the rest; below /var/lib where the server's user could not reach that.

        Where it lies it stays: a folder above that is closed or opened later must not make an empty database.
        """
        beside, below = self.data_dir / "postgres", Path("/var/lib") / f"call-analytics-{self.digest}" / "postgres"
        for place in (below, beside):
            if (place / "PG_VERSION").exists():
                return place
        if os.geteuid() != 0 or self.separate or accounts.reachable_by("postgres", self.data_dir):
            return beside
        return below

    @property
    def run_dir(self) -> Path:
        """For sockets and pid files."""
        inside = self.data_dir / "run"
        if len(str(inside / "supervisor.sock")) <= SOCKET_PATH_LIMIT:
            return inside
        base = Path("/run") if os.geteuid() == 0 else Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp"))  # noqa: S108
        return base / f"call-analytics-{self.digest}"

    @property
    def own_database(self) -> bool:
        """Whether the bundled PostgreSQL serves: no other is named in DATABASE_URL."""
        facts = self.facts()
        known, password = facts.get("DATABASE_URL", ""), facts.get("POSTGRES_PASSWORD", "")
        return not known or bool(password and password in known)

    @property
    def own_store(self) -> bool:
        """Whether the bundled object store serves: no other's key is in S3_ACCESS_KEY."""
        return self.facts().get("S3_ACCESS_KEY", OWN_STORE_KEY) == OWN_STORE_KEY

    @property
    def node(self) -> str:
        """The name of a further machine, which has workers alone; empty on the first one."""
        return self.facts().get("NODE_NAME", "")

    @property
    def nodes_listen(self) -> str:
        """The address that the bundled database and store serve further machines on; empty where they do not."""
        return self.facts().get("NODES_LISTEN", "")

    @property
    def nodes_tls(self) -> Path:
        """Certificate and authority of what is served to further machines."""
        return self.data_dir / "nodes-tls"

    def node_keys(self) -> dict[str, str]:
        """The keys that further machines read the bundled store with, by name."""
        file = self.data_dir / "nodes.json"
        found: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        return found

    def keep_node_keys(self, keys: dict[str, str]) -> None:
        _write_secret(self.data_dir / "nodes.json", json.dumps(keys))

    def make_folders(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if self.separate:
            self.data_dir.chmod(0o751)  # each finds its own in it, and sees nothing of the rest
        # What processes counted is of no use to those that come after a stop, and scratch files are made again.
        for name in ("metrics", "scratch", "spool", "alive"):
            shutil.rmtree(self.data_dir / name, ignore_errors=True)
        inner = (self.data_dir / name for name in ("spool", "scratch", "metrics", "alive"))
        for folder in (self.logs, self.run_dir, self.backups, *inner):
            place = folder.resolve()  # what a link leads to may be gone: systemd removes /run/... with a stop
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(0o700)

    def facts(self) -> dict[str, str]:
        """The settings file as a mapping; empty before the first preparation."""
        if not self.env_file.exists():
            return {}
        lines = self.env_file.read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    def url(self) -> str:
        """The API on this machine."""
        facts = self.facts()
        return f"{'https' if 'TLS_CERT_FILE' in facts else 'http'}://localhost:{facts['PORT']}"

    def owner_password(self) -> str:
        """The password of the database role that owns the tables; made when it is first asked for.

        It stands beside the settings, not in them: no process that serves needs it.
        """
        file = self.data_dir / "postgres-owner.password"
        if not file.exists():
            part = file.with_suffix(".part")
            part.touch(mode=0o600)
            part.write_text(secrets.token_hex(32), encoding="utf-8")
            part.replace(file)
        return file.read_text(encoding="utf-8")

    def ports(self) -> dict[str, int]:
        """The inner ports that were chosen."""
        found: dict[str, int] = json.loads((self.data_dir / "ports.json").read_text(encoding="utf-8"))
        return found

    def choose_ports(self) -> bool:
        """Keep the inner ports while they are free, choose others where not; whether anything changed.

        Only for a stack that does not run. Raises NodePortTaken where further machines know the port.
        """
        file = self.data_dir / "ports.json"
        known: dict[str, int] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        chosen: dict[str, int] = {}
        for name in INNER:
            port = known.get(name, 0)
            if port and self.nodes_listen and name in SERVED_TO_NODES and not is_free(port):
                raise NodePortTaken(port=port)
            if not port or not is_free(port) or port in chosen.values():
                port = free_port(chosen.values())
            chosen[name] = port
        if chosen != known:
            part = file.with_suffix(".part")
            part.write_text(json.dumps(chosen), encoding="utf-8")
            part.replace(file)
        return chosen != known

    def write_settings(self, port: int, *, demo: bool) -> None:
        """Write the settings file: secrets and whatever an operator added are kept, addresses follow the ports."""
        facts, inner = self.facts(), self.ports()
        own_database, own_store = self.own_database, self.own_store
        for name in ("JWT_SECRET",) if self.node else ("JWT_SECRET", "POSTGRES_PASSWORD", "S3_SECRET_KEY"):
            facts.setdefault(name, secrets.token_hex(32))
        facts |= {
            "DATA_DIR": str(self.data_dir),
            "PORT": str(port),
            "DEMO": str(demo).lower(),
        }
        if own_database:
            password = facts["POSTGRES_PASSWORD"]
            facts["DATABASE_URL"] = f"postgresql://appliance:{password}@127.0.0.1:{inner['postgres']}/call_analytics"
        if own_store:
            facts |= {"S3_ENDPOINT": f"http://127.0.0.1:{inner['s3']}", "S3_ACCESS_KEY": OWN_STORE_KEY}
        if facts.get("VLLM_WEIGHTS"):
            facts["LOCAL_LLM_URL"] = f"http://127.0.0.1:{inner['vllm']}/v1"
            facts["LOCAL_LLM_API_KEY"] = facts.get("LOCAL_LLM_API_KEY") or secrets.token_hex(32)
        facts.setdefault("MODELS_DIR", str(self.data_dir / "models"))
        self.replace_settings(facts)

    def change_settings(self, **changed: str) -> None:
        """Write these into the settings file and keep the others."""
        self.replace_settings(self.facts() | changed)

    def replace_settings(self, facts: dict[str, str]) -> None:
        """Write the settings file with these alone."""
        text = "# Settings of the appliance; secrets inside. See docs/settings.md.\n"
        text += "".join(f"{name}={value}\n" for name, value in sorted(facts.items()))
        _write_secret(self.env_file.resolve(), text)  # in production a link to /etc


def free_port(taken: Collection[int]) -> int:
    """One for this machine's own use."""
    while not is_free(port := secrets.SystemRandom().randint(FIRST_PORT, LAST_PORT)) or port in taken:
        continue
    return port


def _write_secret(target: Path, text: str) -> None:
    part = target.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(text, encoding="utf-8")
    part.replace(target)
