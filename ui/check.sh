#!/usr/bin/env bash
# The web page: its types, its logic, what is committed against what the sources give, and whole flows in a browser.
# Needs Node 20 or newer, npm, Go, Python 3.11, and Chromium for the browser tests (CHROMIUM names another one).
set -euo pipefail
cd "$(dirname "$0")"
npm ci --no-audit --no-fund
npx tsc --noEmit
npx vite build
if [ -n "$(git status --porcelain -- dist)" ]; then
	git --no-pager diff --stat -- dist
	echo "ui/dist is not what the sources give: commit what \"make ui\" has built" >&2
	exit 1
fi
npx vitest run
