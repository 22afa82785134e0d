"""Growing past one machine, on the further one: it becomes a node by the file that the first machine made."""

from __future__ import annotations

import secrets
from pathlib import Path
from urllib.parse import quote

from installer import nodes
from installer.failures import AnotherInstallation, OtherRelease
from installer.site import Site


def check(file: Path) -> nodes.Join:
    """The file's content, fit for this release. Raises JoinFileUnfit, OtherRelease."""
    from appliance import __version__
    from appliance.store.nodes import expected_schema

    join = nodes.Join.read(file)
    if join.schema != expected_schema():
        raise OtherRelease(theirs=join.version, schema=join.schema, ours=__version__, expected=expected_schema())
    return join


def settle(join: nodes.Join, site: Site, **own: str) -> None:
    """Write the settings of a node. `own`: what this machine has of its own. Raises AnotherInstallation.

    A node holds no calls: it may join anew, under another name or elsewhere.
    """
    facts = site.facts()
    if facts.get("DATABASE_URL") and not site.node:
        raise AnotherInstallation(folder=str(site.data_dir))
    site.data_dir.mkdir(parents=True, exist_ok=True)
    told = dict(join.settings)
    authority = site.data_dir / "first-machine-ca.pem"
    if join.bundled:
        authority.write_text(join.authority, encoding="ascii")
        authority.chmod(0o644)  # the workers read it, and it is no secret
        if "DATABASE_URL" in join.bundled:
            told["DATABASE_URL"] += f"?sslmode=verify-full&sslrootcert={quote(str(authority))}"
        if "S3_ENDPOINT" in join.bundled:
            told["S3_CA_FILE"] = str(authority)
    # Whatever is made of it here is worth nothing on the first machine.
    secret = {"JWT_SECRET": facts.get("JWT_SECRET") or secrets.token_hex(32)}
    # What another first machine told is of no use with this one.
    kept = {name: value for name, value in facts.items() if not nodes.is_told(name)}
    if kept.get("S3_CA_FILE") == str(authority) and "S3_ENDPOINT" not in join.bundled:
        del kept["S3_CA_FILE"]
    wanted = kept | told | own | secret
    if wanted != facts:  # a join that is refused later leaves a node at work as it was
        site.replace_settings(wanted)


def other_weights(join: nodes.Join, site: Site) -> tuple[str, str] | None:
    """What to say, in Russian and English, where speech weights are not the first machine's."""
    weights = Path(site.facts().get("WHISPER_MODEL_PATH", "")).name
    if weights == join.weights:
        return None
    here, there = weights or "demo", join.weights or "demo"
    return (
        f"Веса распознавания здесь {here}, на первой машине {there}: см. appliance weights",
        f"The speech weights are {here} here and {there} on the first machine: see appliance weights",
    )
