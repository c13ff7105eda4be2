"""What every group of settings stands on: frozen models that refuse unknown keys, and the kinds of numbers and text."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Text = str | dict[str, str]


class Settings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
