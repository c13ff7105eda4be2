"""The matrix chapter x branch x period: planning, skipping, executing, recording.

```python
plan = runs.plan(profile, chapters=None, branches=["all", "seoul"], periods=["2026Q3"], language="en",
                 parameters={"customer_value": {"horizon_months": 12}}, force=False)      # -> Plan
plan.cells          # every Cell asked for: .chapter .branch .period .key .reason ('' = unchanged) .is_due .name
plan.due            # those that will run, the longest first
results = runs.execute(plan, workers=None, executor=None, progress=None)                  # -> list[CellResult]
results[0]          # .chapter .branch .period .status ('done', 'failed', 'skipped') .seconds .error
runs.status(profile)                                        # -> list[CellStatus], what the manifest knows, no planning
runs.published(profile, chapter, branch, period)            # -> CellStatus: what a page may show, and how stale it is
runs.outcome(plan)                                          # -> list[CellStatus] of every cell asked for, after a run
```

`progress` is called with each CellResult as it comes in. `execute` raises KeyboardInterrupt after Ctrl-C, when all
workers have ended and the manifest is whole. Files: `executed/<period>/<safe branch>/<chapter>.ipynb`,
`<chapter>.findings.json` beside it, `manifest.json` in the profile's build folder. Notebooks are found in `analyses/`
of the working directory.

Nothing here reads customer rows: the data enter a key as fingerprints, which `tables.ingest` leaves behind.
"""

from crm_analysis import imports
from crm_analysis.runs.executing import execute
from crm_analysis.runs.manifest import CellResult, CellStatus, alone, published, status
from crm_analysis.runs.planning import Cell, Plan, outcome, plan

__all__ = ["Cell", "CellResult", "CellStatus", "Plan", "alone", "execute", "outcome", "plan", "published", "status"]

imports.spare_address_grammar()  # workers come by here before they load papermill
