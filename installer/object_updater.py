"""Swift's object updater for the bundled store; Swift's own command looks for swift.conf in /etc alone."""

from __future__ import annotations

import sys
from pathlib import Path

from swift.common.utils import set_swift_dir
from swift.obj import updater


def main() -> None:
    """Put into listings what was written or removed while their server was away, for ever."""
    set_swift_dir(str(Path(sys.argv[1]).parent))
    updater.main()


if __name__ == "__main__":
    main()
