"""What a check leaves below the build folder, read without the libraries that made it."""

from __future__ import annotations

from pathlib import Path

from crm_analysis import files


def complete(build_dir: Path) -> bool:
    """Every file of the last check stands: its report, the failures, and the rows set aside of each table."""
    folder = Path(build_dir) / "data_quality"
    stored = files.read_json(folder / "report.json")
    if not isinstance(stored, dict) or not isinstance(stored.get("set_aside"), dict):
        return False
    exports = Path(build_dir) / "exports" / "set_aside"
    wanted = [exports / f"{table}.csv" for table, rows in stored["set_aside"].items() if rows]
    return all(path.is_file() for path in (folder / "failures.parquet", exports / "examples.json", *wanted))
