"""The Python blocks of README.md as one program: ``python -m tests.readme`` prints it, for mypy."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def blocks() -> list[str]:
    """Source of each Python block."""
    return re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)


if __name__ == "__main__":
    print("\n\n".join(blocks()))
