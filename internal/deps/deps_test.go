// Package deps holds the rules of who may import whom, as a table that a test checks against the code.
package deps

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/agnt5/agnt5d/"

// may says which of our packages each package imports directly: no others, and each of these. Imports go down only: a package stands
// below those that it imports. replay and journal meet in archive alone.
var may = map[string][]string{
	"examples/etl/check":     {},
	"examples/etl/generate":  {},
	"examples/orders/push":   {},
	"internal/backoff":       {},
	"internal/build":         {},
	"internal/census":        {},
	"internal/cron":          {},
	"internal/cursor":        {},
	"internal/deps":          {},
	"internal/disk":          {},
	"internal/docs":          {},
	"internal/expression":    {},
	"internal/failure":       {},
	"internal/ids":           {},
	"internal/heap":          {},
	"internal/jsontext":      {},
	"internal/meter":         {},
	"internal/naive":         {},
	"internal/nearest":       {},
	"internal/objects":       {},
	"internal/pack":          {},
	"internal/refusal":       {},
	"internal/rfc3339":       {},
	"internal/socket":        {},
	"journal":                {"internal/meter"},
	"internal/queue":         {"journal"},
	"journal/bolt":           {"internal/disk", "internal/queue", "journal"},
	"journal/journaltest":    {"journal"},
	"journal/pg":             {"internal/queue", "journal"},
	"internal/pgtest":        {},
	"internal/killtest":      {},
	"model":                  {"internal/jsontext"},
	"signals":                {},
	"ui":                     {},
	"worker":                 {"internal/failure"},
	"internal/crew":          {"worker"},
	"internal/leases":        {"internal/heap", "worker"},
	"internal/pool":          {"internal/backoff", "internal/crew", "worker"},
	"flow":                   {"internal/cron", "internal/expression", "internal/ids", "internal/nearest"},
	"internal/diagram":       {"flow", "model"},
	"internal/event":         {"internal/pack", "internal/refusal"},
	"internal/wire":          {"internal/jsontext", "internal/nearest", "internal/pack", "worker"},
	"schedules":              {"flow", "internal/cron", "internal/nearest", "internal/rfc3339"},
	"timers":                 {"flow", "internal/cron", "internal/heap"},
	"client":                 {"flow", "internal/backoff", "internal/ids", "internal/socket", "internal/wire", "internal/pool", "model", "schedules", "worker"},
	"examples/orders/worker": {"client", "worker"},
	"replay":                 {"flow", "internal/event", "internal/failure", "internal/heap", "internal/pack", "internal/refusal", "internal/rfc3339", "signals", "timers"},
	"internal/archive":       {"flow", "internal/cursor", "internal/event", "internal/expression", "internal/ids", "internal/nearest", "internal/refusal", "internal/rfc3339", "journal", "model", "replay"},
	"seal":                   {},
	"internal/sealed":        {"internal/event", "journal"},
	"internal/evaluate":      {"flow", "internal/expression", "internal/failure", "internal/refusal", "internal/rfc3339", "internal/shard", "replay"},
	"internal/hub":           {"internal/failure", "internal/leases", "internal/refusal", "internal/shard", "journal"},
	"internal/shard":         {"flow", "internal/archive", "internal/event", "internal/failure", "internal/heap", "internal/leases", "internal/meter", "internal/objects", "internal/refusal", "journal", "replay", "schedules", "timers", "worker"},
	"internal/sim":           {"flow", "internal/archive", "internal/evaluate", "internal/event", "internal/failure", "internal/hub", "internal/leases", "internal/naive", "internal/refusal", "internal/shard", "journal", "replay", "schedules", "worker"},
	"engine":                 {"flow", "internal/archive", "internal/build", "internal/crew", "internal/evaluate", "internal/event", "internal/expression", "internal/failure", "internal/hub", "internal/ids", "internal/leases", "internal/nearest", "internal/refusal", "internal/rfc3339", "internal/sealed", "internal/shard", "journal", "journal/bolt", "model", "replay", "schedules", "signals", "timers", "worker"},
	"internal/listing":       {"flow", "model"},
	"enginetest":             {"engine", "flow", "worker"},
	"examples/approval":      {"engine", "flow"},
	"examples/poller":        {"engine", "flow"},
	"examples/crawler":       {"engine", "flow"},
	"examples/importer":      {"engine", "flow", "worker"},
	"examples/saga":          {"engine", "flow", "worker"},
	"examples/report":        {"engine", "flow"},
	"examples/parcels":       {"engine", "flow"},
	"examples/embed":         {"engine", "flow"},
	"examples/etl":           {"engine", "flow", "worker"},
	"internal/bench":         {"client", "engine", "flow", "internal/listing", "seal", "worker"},
	"access":                 {"engine", "flow", "internal/nearest", "internal/rfc3339", "model"},
	"push":                   {"engine", "flow", "internal/failure", "internal/sealed", "internal/wire", "model", "internal/pool", "seal", "worker"},
	"api":                    {"access", "engine", "flow", "internal/cursor", "internal/build", "internal/diagram", "internal/disk", "internal/ids", "internal/listing", "internal/meter", "internal/nearest", "internal/refusal", "internal/wire", "journal", "model", "push", "schedules", "worker"},
	"cmd/agnt5d":             {"access", "api", "client", "engine", "examples/etl", "flow", "internal/archive", "internal/bench", "internal/build", "internal/diagram", "internal/event", "internal/ids", "internal/listing", "internal/nearest", "internal/refusal", "internal/rfc3339", "internal/sealed", "internal/socket", "journal", "journal/bolt", "journal/pg", "model", "push", "replay", "schedules", "seal", "ui"},
}

// embedders is what a program that embeds the engine may link besides the standard library and our own packages.
var embedders = []string{"github.com/expr-lang/expr", "go.etcd.io/bbolt", "github.com/robfig/cron/v3", "github.com/oklog/ulid/v2", "github.com/goccy/go-yaml", "golang.org/x/sys"}

type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Standard"}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestImportsGoDownOnly(t *testing.T) {
	ruled := map[string]bool{}
	for _, p := range list(t, module+"...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, ok := may[name]
		if ruled[name] = true; !ok {
			t.Errorf("%s has no rule: add it to the table", name)
			continue
		}
		for _, i := range p.Imports {
			if ours, ok := strings.CutPrefix(i, module); ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s; it may import %v", name, ours, allowed)
			}
		}
		for _, a := range allowed {
			if !slices.Contains(p.Imports, module+a) {
				t.Errorf("%s does not import %s: take it out of the table", name, a)
			}
		}
	}
	for name := range may {
		if !ruled[name] {
			t.Errorf("there is no package %s: take it out of the table", name)
		}
	}
}

func TestAnEmbeddersProgramStaysSmall(t *testing.T) {
	linked := map[string]bool{}
	for _, p := range list(t, "-deps", module+"engine") {
		if p.Standard || strings.HasPrefix(p.ImportPath, module) {
			continue
		}
		i := slices.IndexFunc(embedders, func(m string) bool { return p.ImportPath == m || strings.HasPrefix(p.ImportPath, m+"/") })
		if i < 0 {
			t.Errorf("engine links %s", p.ImportPath)
			continue
		}
		linked[embedders[i]] = true
	}
	for _, m := range embedders {
		if !linked[m] {
			t.Errorf("engine does not link %s: take it out of the list", m)
		}
	}
}
