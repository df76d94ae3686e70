"""The etl-service and the reporting-service of the nightly pipeline, on real weather (../etl/DATA.md says where it is from).

Three kinds of source: CSV files, an HTTP API that this process serves, and a SQLite database that it fills. Steps hand each
other paths, never the data. A handler may run again after a kill, so what it writes goes to a temporary file that is renamed.
Everything lies in the folder AGNT5_ETL_DIR (default: etl-data).
"""

import asyncio
import csv
import http.server
import json
import os
import pathlib
import sqlite3
import tempfile
import threading
import urllib.request
from collections.abc import Iterable, Iterator

from agnt5 import Context, NonRetryableError, Worker, function

import nightly_etl  # noqa: F401  registers nightly_etl

HERE = pathlib.Path(__file__).parent
SOURCES = HERE.parent / "etl" / "data"
FOLDER = pathlib.Path(os.environ.get("AGNT5_ETL_DIR", "etl-data"))
FIELDS = ["city", "date", "precipitation", "temp_max", "temp_min"]
PAGE = 100


class Api(http.server.BaseHTTPRequestHandler):
    """GET /observations?page=N: so many rows of New York, and the number of pages."""

    rows = [json.loads(line) for line in (SOURCES / "sources/api/observations.jsonl").read_text().splitlines()]

    def do_GET(self) -> None:
        page = int(self.path.rpartition("=")[2])
        body = json.dumps({"rows": self.rows[page * PAGE : (page + 1) * PAGE], "pages": -(-len(self.rows) // PAGE)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def serve_api() -> str:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/observations?page="


def fill_database(path: pathlib.Path) -> None:
    """Both cities in 2015."""
    if path.exists():
        return
    temp = path.with_suffix(".new")
    temp.unlink(missing_ok=True)
    with sqlite3.connect(temp) as db, (SOURCES / "weather.csv").open() as source:
        db.execute("CREATE TABLE observations (city TEXT, date TEXT, precipitation REAL, temp_max REAL, temp_min REAL)")
        rows = [r for r in csv.DictReader(source) if r["date"].startswith("2015")]
        db.executemany("INSERT INTO observations VALUES (?,?,?,?,?)", [(r["location"], *(r[f] for f in FIELDS[1:])) for r in rows])
    db.close()
    temp.rename(path)


API = serve_api()
DATABASE = FOLDER / "archive.sqlite"


def write(ctx: Context, rows: Iterable[dict]) -> dict:
    """Write a step's rows to its own file, whole or not at all."""
    path = FOLDER / ctx.workflow_id / f"{ctx.step_name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, newline="") as out:
        sheet = csv.DictWriter(out, FIELDS, extrasaction="ignore")
        sheet.writeheader()
        for row in rows:
            sheet.writerow(row)
            count += 1
    os.replace(out.name, path)
    with (FOLDER / "ledger").open("a") as ledger:  # what truly ran, behind the engine's back
        ledger.write(f"{ctx.workflow_id} {ctx.step_name} {ctx.attempt} {os.getpid()}\n")
    return {"path": str(path), "rows": count}


def read(path: str) -> Iterator[dict]:
    with open(path, newline="") as source:
        yield from csv.DictReader(source)


@function
def validate_data_sources() -> list:
    missing = [str(p) for p in (SOURCES / "sources/files", SOURCES / "weather.csv") if not p.exists()]
    if missing:
        raise NonRetryableError(f"no such source: {', '.join(missing)}")
    fill_database(DATABASE)
    return ["files", "api", "database"]


@function
def extract_from_files(ctx: Context) -> dict:
    return write(ctx, (row for path in sorted((SOURCES / "sources/files").glob("*.csv")) for row in read(str(path))))


@function
def extract_from_api(ctx: Context) -> dict:
    rows: list[dict] = []
    page = pages = 0
    while page <= pages:
        with urllib.request.urlopen(f"{API}{page}") as answer:
            got = json.load(answer)
        rows += got["rows"]
        page, pages = page + 1, got["pages"] - 1
        ctx.heartbeat({"pages": page, "of": pages + 1})
    return write(ctx, rows)


@function
def extract_from_database(ctx: Context) -> dict:
    db = sqlite3.connect(DATABASE)
    try:
        return write(ctx, [dict(zip(FIELDS, row)) for row in db.execute(f"SELECT {','.join(FIELDS)} FROM observations")])
    finally:
        db.close()


@function
def merge_data(ctx: Context, extract_database: dict, extract_api: dict, extract_files: dict) -> dict:
    """Each parameter is the dependency of its name."""
    return write(ctx, (row for part in (extract_files, extract_api, extract_database) for row in read(part["path"])))


def clean(row: dict) -> bool:
    try:
        high, low, rain = float(row["temp_max"]), float(row["temp_min"]), float(row["precipitation"])
    except ValueError:
        return False
    return -60 < low <= high < 60 and rain >= 0


@function
def clean_and_normalize(ctx: Context, path: str) -> dict:
    """``path`` is a key of the only dependency's output. One row for each city and day, and only what can be."""
    rows = {(row["city"], row["date"]): row for row in read(path) if clean(row)}
    return write(ctx, (rows[key] for key in sorted(rows)))


@function
def enrich_with_metadata(ctx: Context, path: str) -> dict:
    return write(ctx, read(path))


@function
def load_data_warehouse(ctx: Context) -> dict:
    """It depends on the timer alone, so it finds the file of the step before by run and step."""
    target = FOLDER / "warehouse.csv"
    source = FOLDER / ctx.workflow_id / "enrich_data.csv"
    got = write(ctx, read(str(source)))
    os.replace(got["path"], target)
    return {"path": str(target), "rows": got["rows"]}


@function
def generate_daily_reports(path: str) -> dict:
    """Days of rain and the hottest day of each city."""
    report: dict[str, dict] = {}
    for row in read(path):
        city = report.setdefault(row["city"], {"days": 0, "days_of_rain": 0, "hottest": -99.0})
        city["days"] += 1
        city["days_of_rain"] += float(row["precipitation"]) > 0
        city["hottest"] = max(city["hottest"], float(row["temp_max"]))
    return report


async def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    await asyncio.gather(Worker("etl-service").run(), Worker("reporting-service").run())


if __name__ == "__main__":
    asyncio.run(main())
