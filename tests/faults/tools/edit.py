"""`edit FILE LINE CODE`: change one line of JSON, or all of a file (line 0), by Python that finds it as `r`.

`r = TEXT`, where the code leaves a str that begins with RAW:, writes that text as it is.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path


def main(file: str, number: str, code: str) -> None:
    path, line = Path(file), int(number)
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines() if line else [text]
    names = {"r": json.loads(lines[line - 1 if line else 0]), "nan": math.nan, "inf": math.inf}
    exec(code, names)
    r = names["r"]
    if isinstance(r, str) and r.startswith("RAW:"):
        written = r.removeprefix("RAW:")
    else:
        written = json.dumps(r, indent=None if line else 1, separators=(",", ":") if line else None)
    lines[line - 1 if line else 0] = written
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogatepass")


main(*sys.argv[1:])
