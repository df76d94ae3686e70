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

// may says which of our packages each package may import directly. Imports go down only; replay and journal never meet.
var may = map[string][]string{
	"internal/event":      {},
	"internal/cron":       {},
	"internal/nearest":    {},
	"internal/ids":        {},
	"flow":                {"internal/cron", "internal/ids", "internal/nearest"},
	"signals":             {},
	"internal/objects":    {},
	"timers":              {"flow", "internal/cron"},
	"replay":              {"internal/event", "flow", "signals", "timers"},
	"internal/meter":      {},
	"journal":             {"internal/meter"},
	"journal/bolt":        {"journal"},
	"journal/journaltest": {"journal"},
	"worker":              {},
	"internal/wire":       {"internal/event", "internal/jsontext", "internal/nearest", "worker"},
	"model":               {"internal/jsontext"},
	"internal/diagram":    {"flow"},
	"internal/fold":       {"internal/event", "flow", "journal", "replay"},
	"internal/shard":      {"internal/event", "flow", "internal/fold", "internal/meter", "journal", "internal/objects", "replay", "timers", "worker"},
	"engine":              {"internal/event", "flow", "internal/fold", "internal/ids", "journal", "journal/bolt", "replay", "internal/shard", "timers", "model", "worker"},
	"internal/sim":        {"internal/event", "flow", "internal/fold", "journal", "replay", "internal/shard", "worker"},
	"enginetest":          {"engine", "flow", "worker"},
	"push":                {"engine", "flow", "model", "worker", "internal/wire"},
	"api":                 {"engine", "flow", "internal/ids", "internal/meter", "internal/nearest", "push", "internal/shard", "model", "internal/wire"},
	"client":              {"flow", "internal/ids", "model", "worker", "internal/wire"},
}

// embedders is what a program that embeds the engine may link besides the standard library and our own packages.
var embedders = []string{"go.etcd.io/bbolt", "github.com/vmihailenco/msgpack/v5", "github.com/vmihailenco/tagparser/v2", "github.com/robfig/cron/v3",
	"github.com/oklog/ulid/v2", "github.com/goccy/go-yaml", "go.opentelemetry.io/otel", "golang.org/x/sys"}

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
	for _, p := range list(t, module+"...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, ruled := may[name]
		if !ruled {
			if !strings.HasPrefix(name, "cmd/") && !strings.HasPrefix(name, "examples/") && !strings.HasPrefix(name, "internal/") {
				t.Errorf("%s has no rule: add it to the table", name)
			}
			continue
		}
		for _, i := range p.Imports {
			if ours, ok := strings.CutPrefix(i, module); ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s; it may import %v", name, ours, allowed)
			}
		}
	}
}

func TestAnEmbeddersProgramStaysSmall(t *testing.T) {
	for _, p := range list(t, "-deps", module+"engine") {
		if p.Standard || strings.HasPrefix(p.ImportPath, module) {
			continue
		}
		if !slices.ContainsFunc(embedders, func(m string) bool { return p.ImportPath == m || strings.HasPrefix(p.ImportPath, m+"/") }) {
			t.Errorf("engine links %s", p.ImportPath)
		}
	}
}
