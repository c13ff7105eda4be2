"""What a survey asks, and which behaviour after an answer counts as loyalty."""

from __future__ import annotations

import graphlib
from typing import Literal

from pydantic import Field, model_validator

from crm_analysis.profile.settings.base import NotNegative, Settings, Share, Text


class Item(Settings):
    """One survey item; its column name is its key under `survey.items`."""

    label: Text = ""
    role: Literal[
        "overall", "driver", "expectation", "perception", "importance", "recommend", "repurchase", "attachment"
    ] = "driver"
    expects: str = Field("", description="the expectation item beside which this perception stands")
    dimension: str = ""
    scale: tuple[float, float] = (1, 5)
    codes: list[float] = Field([], description="values that are no answers: don't know, refused, blank")
    reversed: bool = False
    target: float | None = None


ECSI_PATHS: dict[str, tuple[str, ...]] = {
    "expectation": ("image",),
    "quality": ("expectation",),
    "value": ("expectation", "quality"),
    "satisfaction": ("image", "expectation", "quality", "value"),
    "complaints": ("satisfaction",),
    "loyalty": ("image", "satisfaction", "complaints"),
}
"""The European customer satisfaction index: what leads to each block (Tenenhaus et al. 2005, figure 1)."""


class PathModel(Settings):
    """What leads to what among the dimensions of the survey, for the path model of satisfaction.

    A block holds the items whose `dimension` bears its name; overall satisfaction belongs to `satisfaction`.
    """

    preset: Literal["ecsi"] | None = Field(
        None, description="a structure by name: ecsi is the European customer satisfaction index"
    )
    paths: dict[str, tuple[str, ...]] = Field({}, description="for every block that others lead to, the names of those")
    satisfaction: str = Field("satisfaction", description="the block that the index measures")
    loyalty: str = Field("loyalty", description="the block that satisfaction should lead to in the end")

    @model_validator(mode="after")
    def leads_somewhere(self) -> PathModel:
        """One structure, whose arrows never lead back to where they began."""
        if (self.preset is None) == (not self.paths):
            raise ValueError("give either `preset: ecsi` or `paths`, for example {satisfaction: [quality, price]}")
        try:
            graphlib.TopologicalSorter(self._leading()).prepare()
        except graphlib.CycleError as error:
            round_ = " -> ".join(reversed(error.args[1]))
            raise ValueError(f"the paths lead round in a circle: {round_}; take one of these arrows out") from None
        if self.satisfaction not in self.blocks():
            raise ValueError(f"no path leads to or from the block of satisfaction, `{self.satisfaction}`")
        return self

    def _leading(self) -> dict[str, tuple[str, ...]]:
        return ECSI_PATHS if self.preset else self.paths

    def arrows(self) -> tuple[tuple[str, str], ...]:
        """Every arrow as (source, target)."""
        return tuple((source, target) for target, sources in self._leading().items() for source in sources)

    def blocks(self) -> tuple[str, ...]:
        """Every block, whatever leads to another before it."""
        return tuple(graphlib.TopologicalSorter(self._leading()).static_order())


class Survey(Settings):
    """What the survey's columns mean. `satisfaction` is the overall item."""

    satisfaction: Item = Item(role="overall")
    level_names: dict[int, Text] = {}
    items: dict[str, Item] = {}
    index_weights: dict[str, NotNegative] = {}
    model: PathModel | None = Field(
        None, description="path model between the items' dimensions; weighs the index where `index_weights` does not"
    )


class Loyalty(Settings):
    """How behaviour after an answer is measured."""

    window_days: int = Field(180, ge=1)
    gap_days: int = Field(1, ge=1)
    link_window_months: int = Field(24, ge=1)
    first_orders_only: bool = Field(False, description="keep only the answer to a customer's first order")
    indifference_margin: Share = Field(0.05, description="differences in retention below this do not matter")
    satisfied_from: float | None = Field(
        None, description="lowest score that counts as satisfied in the types; one below the top where absent"
    )
    attached_from: float | None = Field(
        None, description="lowest answer that counts as attached in the types; one below the top where absent"
    )
    repeat_from: int = Field(
        2, ge=1, description="days with a payment, in the year up to the answer, that count as repeat patronage"
    )
