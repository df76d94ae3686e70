package flow

import (
	"fmt"
	"strings"
	"testing"
)

const tableHead = "| key | steps | type, unit | default | limits | what it means |\n|---|---|---|---|---|---|\n"

// The tables of keys in docs/definitions.md are those of this package: the keys of the whole, those of a step, then one table for
// each object in a step.
func TestTheDocsHaveEveryKey(t *testing.T) {
	var tables []string
	rows := map[string]string{}
	for _, k := range everyKey() {
		object, _, nested := strings.Cut(k.name, ".")
		switch {
		case k.top:
			object = "the whole"
		case !nested:
			object = "a step"
		}
		if rows[object] == "" {
			tables = append(tables, object)
		}
		rows[object] += k.row()
	}
	parts := strings.Split(string(read(t, testdata+"/../../docs/definitions.md")), tableHead)
	if len(parts) != 1+len(tables) {
		t.Fatalf("docs/definitions.md has %d tables of keys, want %d: %q", len(parts)-1, len(tables), tables)
	}
	for i, object := range tables {
		end := strings.Index(parts[i+1], "\n\n") + 1
		parts[i+1] = rows[object] + parts[i+1][end:]
	}
	golden(t, "../../docs/definitions.md", []byte(strings.Join(parts, tableHead)))
}

// row is a key's row in the docs.
func (k *keyInfo) row() string {
	steps, kind, standard, limits := k.stepsText(), k.kind.String(), k.standard, k.limits
	switch {
	case k.top:
	case steps == "":
		steps = "all"
	}
	switch {
	case k.required:
		standard = "required"
	case standard == "":
		standard = "none"
	}
	switch {
	case limits != "":
	case k.kind == kindName:
		limits = "a name"
	case k.kind == kindCount, k.kind == kindMS:
		limits = commas(k.least) + " to " + commas(k.most)
	}
	if k.kind == kindMS {
		kind = "whole number, ms"
	}
	row := fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s |\n", k.name, steps, kind, standard, limits, k.doc)
	return strings.ReplaceAll(row, "|  |", "| |")
}
