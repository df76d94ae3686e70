# To be sourced: a folder $work that goes away at the end, and a daemon at $url with the workflow "approval", which waits for "go".
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
here=$root/api/testdata/tools
tools=${AGNT5_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/agnt5d-tools} # what is fetched stays there
mkdir -p "$tools"
work=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill "$daemon"; wait; rm -rf "$work"' EXIT
(cd "$root" && go build -o "$work/agnt5d" ./cmd/agnt5d)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
"$work/agnt5d" serve --listen "127.0.0.1:$port" --file "$work/runs.db" >"$work/daemon.log" 2>&1 &
daemon=$!
for _ in $(seq 100); do
	if python3 -c "import urllib.request; urllib.request.urlopen('$url/readyz')" 2>/dev/null; then break; fi
	kill -0 "$daemon" || { cat "$work/daemon.log"; exit 1; }
	sleep 0.1
done
printf 'steps:\n  - name: approved\n    type: wait_signal\n    signal: {name: go}\n' >"$work/approval.yaml"
"$work/agnt5d" --url "$url" register approval "$work/approval.yaml" >/dev/null
cd "$work"
