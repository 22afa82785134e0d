"""Make two later bundles of one: the next version, and one whose migration changes the data and then fails.

usage: python -m tests.appliance.derive BUNDLE_FOLDER KEY
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from installer.bundle import seal

BROKEN = '''"""Empties the calls, and fails."""
revision = "9999"
down_revision = "{head}"
branch_labels = depends_on = None


def upgrade() -> None:
    from alembic import op

    with op.get_context().autocommit_block():
        op.execute("DELETE FROM segments")
    raise RuntimeError("this migration always fails")
'''


def derive(folder: Path, name: str, version: str, key: Path, *, broken: bool) -> None:
    made = folder.parent / name
    subprocess.run(["cp", "-a", "--reflink=auto", str(folder), str(made)], check=True)
    about = json.loads((made / "bundle.json").read_text())
    project = made / "release" / "pyproject.toml"
    project.write_text(project.read_text().replace(f'version = "{about["version"]}"', f'version = "{version}"', 1))
    (made / "bundle.json").write_text(json.dumps({**about, "version": version}))
    if broken:
        versions = made / "release" / "migrations" / "versions"
        texts = [file.read_text() for file in versions.glob("*.py")]
        known = {found for text in texts for found in re.findall(r"^revision\b.*['\"](\w+)['\"]", text, re.MULTILINE)}
        parents = {
            found for text in texts for found in re.findall(r"^down_revision\b.*['\"](\w+)['\"]", text, re.MULTILINE)
        }
        (head,) = known - parents
        (versions / "9999_broken.py").write_text(BROKEN.format(head=head))
    seal.seal(made, key)


if __name__ == "__main__":
    bundle, signing = Path(sys.argv[1]), Path(sys.argv[2])
    derive(bundle, "next", "0.2.0", signing, broken=False)
    derive(bundle, "broken", "0.3.0", signing, broken=True)
