"""What captions of all topics share."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis.language import _
from crm_analysis.satisfaction_loyalty.study import Study

NOTHING = {"title": "", "alt": "", "how_to_read": ""}


def followed(study: Study) -> bool:
    """Whether anybody's behaviour after an answer is known: without it, tables of behaviour do not apply."""
    return study.follow is not None and study.follow.n > 0


def weighting(study: Study) -> str:
    """Why a share is not the number beside it over their total; empty without weights."""
    return " " + _("Shares are weighted, the numbers of answers are not.") if study.answers.weighted else ""


def noted(title: str, frame: pd.DataFrame | None, note: str = "", *, otherwise: str = "") -> dict[str, Any]:
    """Keyword arguments of `report.table`: the note where the table has rows, `otherwise` where it has none."""
    return {"title": title, "frame": frame, "note": otherwise if frame is None or frame.empty else note}
