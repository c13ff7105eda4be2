"""What captions of all topics share."""

from __future__ import annotations

from typing import Any

import pandas as pd

NOTHING = {"title": "", "alt": "", "how_to_read": ""}


def noted(title: str, frame: pd.DataFrame | None, note: str = "", *, otherwise: str = "") -> dict[str, Any]:
    """Keyword arguments of `report.table`: the note where the table has rows, `otherwise` where it has none."""
    return {"title": title, "frame": frame, "note": otherwise if frame is None or frame.empty else note}
