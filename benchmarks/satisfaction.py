"""A large survey: index, drivers, path model and shape with 999 bootstrap draws, against a loop over drawn frames.

The bar is two minutes on two processors. The peer is the plain way: draw rows, fit every regression that the shares
need again with statsmodels; it runs on fewer answers, items and draws, and ours runs on the same.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks.measuring import Comparison, seconds
from crm_analysis.estimators import moments
from crm_analysis.profile.settings import PathModel, Survey
from crm_analysis.satisfaction_loyalty import bends, contrasts, drivers, measure, pls, shape
from crm_analysis.satisfaction_loyalty.answers import Answers, prepare

SEED = 20264
DRAWS = 999
MOST_SECONDS = 120.0
THIN = 150
DIMENSIONS = ("quality", "value", "image", "expectation", "loyalty")
SMALL = {"n": 2000, "items": 5, "draws": 49}


def survey(n: int, items: int, seed: int = SEED) -> tuple[Answers, Survey, pd.DataFrame]:
    """Answers on 1 to 5 that share a common leaning, weighted, in five dimensions; and who came back."""
    rng = np.random.default_rng(seed)
    leaning = rng.normal(size=(n, 1))
    scores = np.clip(np.round(3.4 + 0.8 * leaning + 0.8 * rng.normal(size=(n, items))), 1, 5)
    pull = np.linspace(0.4, 0.0, items)
    overall = np.clip(np.round(3.4 + (scores - 3.4) @ pull / pull.sum() + 0.7 * rng.normal(size=n)), 1, 5)
    names = [f"item{k}" for k in range(items)]
    raw = pd.DataFrame(scores, columns=names).assign(
        response_id=np.arange(n).astype(str),
        customer_id=[f"c{k}" for k in range(n)],
        branch="b",
        answered_on=pd.Timestamp("2026-01-01"),
        satisfaction=overall,
        weight=rng.uniform(0.5, 1.5, n),
    )
    settings = {name: {"dimension": DIMENSIONS[k % len(DIMENSIONS)], "target": 4} for k, name in enumerate(names)}
    asked = Survey.model_validate({"items": settings, "index_weights": {"satisfaction": 2, "item0": 1, "item5": 1}})
    answers = prepare(raw, asked)
    loyal = rng.random(n) < np.array([0.3, 0.35, 0.4, 0.45, 0.6])[overall.astype(int) - 1]
    return answers, asked, answers.frame[["satisfaction", "weight"]].assign(loyal=loyal)


def everything(answers: Answers, asked: Survey, followed: pd.DataFrame, *, draws: int = DRAWS) -> dict[str, float]:
    """Seconds of each part: index with its error, drivers, path model, shape of the link with its bootstrap."""
    structure = PathModel(preset="ecsi")
    index = measure.respondent_index(answers.frame, *measure.index_settings(answers, asked))

    def link() -> None:
        levels = shape.tabulate(
            followed["satisfaction"], followed["loyal"], scale=answers.scale, weights=followed["weight"]
        )
        bent = shape.examine(levels, margin=0.05, seed=1, draws=draws)
        bends.hinge(bent, shape.straight_line(bent)["rate"], draws=draws)
        few = followed.head(THIN)  # thin cells, where every p-value comes from the bootstrap
        levels = shape.tabulate(few["satisfaction"], few["loyal"], scale=answers.scale, weights=few["weight"])
        shape.examine(levels, margin=0.05, seed=1, draws=draws)

    def drawn_index() -> None:
        rng = np.random.default_rng(1)
        summed = moments.blocks(index.to_numpy()[:, None], answers.frame["weight"].to_numpy(float), rng)
        np.quantile(moments.means(moments.resample(summed, rng, draws)), (0.025, 0.975))

    return {
        "index": seconds(lambda: measure.measure(answers.frame, answers, asked)) + seconds(drawn_index),
        "drivers": seconds(
            lambda: drivers.importance(answers.frame, answers, index=index, followed=followed, draws=draws)
        ),
        "path model": seconds(lambda: pls.model(answers.frame, answers, structure, draws=draws)),
        "shape": seconds(link),
    }


def loop(answers: Answers, *, draws: int) -> np.ndarray:
    """LMG shares and penalty-reward contrasts the plain way: statsmodels on every drawn frame; limits of the shares."""
    import statsmodels.api as sm

    names = list(answers.items)
    p = len(names)
    rng = np.random.default_rng(SEED)
    found = []
    for _draw in range(draws):
        drawn = answers.frame.sample(len(answers.frame), replace=True, random_state=rng)
        r2 = {(): 0.0}
        for size in range(1, p + 1):
            for chosen in itertools.combinations(names, size):
                design = sm.add_constant(drawn[list(chosen)])
                r2[chosen] = sm.WLS(drawn["satisfaction"], design, weights=drawn["weight"]).fit().rsquared
        shares = dict.fromkeys(names, 0.0)
        for entered, before in r2.items():
            share = math.factorial(len(entered)) * math.factorial(p - len(entered) - 1) if len(entered) < p else 0
            for name in names:
                if name not in entered:
                    after = r2[tuple(each for each in names if each in entered or each == name)]
                    shares[name] += share / math.factorial(p) * (after - before)
        found.append(list(shares.values()))
    dummies = {
        f"{name}_{side}": hit.astype(float)
        for name in names
        for side, hit in (("low", answers.frame[name] <= 2), ("high", answers.frame[name] >= 5))  # noqa: PLR2004
    }
    sm.WLS(answers.frame["satisfaction"], sm.add_constant(pd.DataFrame(dummies)), weights=answers.frame["weight"]).fit(
        cov_type="HC3"
    )
    limits: np.ndarray = np.quantile(np.array(found) / np.sum(found, axis=1, keepdims=True), (0.025, 0.975), axis=0)
    return limits


def run(*, quick: bool) -> Iterator[Comparison]:
    """200,000 answers and 20 items; a tenth of the answers when `quick`."""
    n, items = (20_000 if quick else 200_000), 20
    answers, asked, followed = survey(n, items)
    took = everything(answers, asked, followed)
    parts = ", ".join(f"{name} {each:.1f} s" for name, each in took.items())
    print(f"seed {SEED}, {n:,} weighted answers, {items} items, {DRAWS} draws: {parts}")
    yield Comparison(
        f"survey, {n:,} answers, {items} items", sum(took.values()), "two minutes", MOST_SECONDS, at_most=1.0
    )

    small, _asked, _followed = survey(SMALL["n"], SMALL["items"])
    ours = drivers.importance(small.frame, small, draws=SMALL["draws"])
    limits = loop(small, draws=SMALL["draws"])
    table = ours.table.set_index("item").loc[list(small.items)]
    assert np.abs(limits[0] - table["low"]).max() < 0.02 and np.abs(limits[1] - table["high"]).max() < 0.02  # noqa: PLR2004
    their_seconds = seconds(lambda: loop(small, draws=SMALL["draws"]))

    def mine() -> None:
        drivers.importance(small.frame, small, draws=SMALL["draws"])
        contrasts.penalty_reward(small.frame, list(small.items), small)

    size = f"drivers, {SMALL['n']:,} answers, {SMALL['items']} items, {SMALL['draws']} draws"
    yield Comparison(size, seconds(mine, repeat=3), "statsmodels on drawn frames", their_seconds, at_least=20)
