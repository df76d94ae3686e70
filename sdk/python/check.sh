#!/usr/bin/env bash
# All that must hold for the Python SDK: style, types, tests against a real daemon, a wheel that installs. Needs Python 3.11 and
# Go; fetches the rest itself into .venv.
set -euo pipefail
cd "$(dirname "$0")"
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "want Python 3.11 or newer"; exit 1; }
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --upgrade --disable-pip-version-check build mypy==1.18.2 ruff==0.14.5 pytest pytest-asyncio "setuptools>=77" wheel
(cd ../.. && go build -o bin/agnt5d ./cmd/agnt5d)
.venv/bin/ruff check .
.venv/bin/mypy
AGNT5D_BIN="$PWD/../../bin/agnt5d" PYTHONPATH=src .venv/bin/python -m pytest -q --durations=5
cmp LICENSE ../../LICENSE # the wheel carries a copy
rm -rf dist build
.venv/bin/python -m build --quiet --wheel --no-isolation
.venv/bin/python -m venv --clear .venv/clean
.venv/clean/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-index dist/agnt5d-*.whl
.venv/clean/bin/python -c 'import agnt5, importlib.resources as r; assert (r.files("agnt5") / "py.typed").is_file(); import importlib.metadata as m; d = m.metadata("agnt5d"); assert d["License-Expression"] == "Apache-2.0" and d["License-File"] == "LICENSE" and d["Author"] and len(d.get_all("Project-URL")) == 4, d.items(); print("wheel installs, agnt5", agnt5.__version__)'
# The plugin as pip installs it: the tests among the examples, as they stand.
rm -rf .venv/plugged src/*.egg-info
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-index --target .venv/plugged dist/agnt5d-*.whl
here=$PWD
(cd ../../examples/python && AGNT5D_BIN="$here/../../bin/agnt5d" PYTHONPATH="$here/.venv/plugged" "$here/.venv/bin/python" -m pytest -q -p no:cacheprovider -p no:asyncio testing_definitions.py testing_approval.py integration.py)
