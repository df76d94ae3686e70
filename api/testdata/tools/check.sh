#!/usr/bin/env bash
# The API document, looked at by tools of others: one that checks the document, and one that makes requests from it, of a daemon.
# Needs Go, Python 3.11 with venv; fetches the rest itself.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/daemon.sh"
venv=$tools/check
[ -x "$venv/bin/st" ] || { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check openapi-spec-validator==0.9.0 schemathesis==4.32.5; }
"$venv/bin/openapi-spec-validator" "$root/docs/openapi.json"
"$work/agnt5d" --url "$url" start approval --id order-17 >/dev/null
SCHEMATHESIS_HOOKS=hooks PYTHONPATH=$here timeout 240 "$venv/bin/st" run "$url/openapi.json" --phases coverage --max-examples 3 --request-timeout 30 \
	--continue-on-failure --seed 1 --suppress-health-check all --checks \
	not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance,negative_data_rejection
