package census

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/agnt5/agnt5d/flow"
)

const root = "../.."

// definition is a definition of testdata/census: NAME.yaml, as `agnt5d register NAME NAME.yaml` takes it, with its cases in NAME.cases.
type definition struct {
	name  string
	def   *flow.Definition
	Of    [2]string       `json:"of"` // the source and the name of the public definition whose behaviour it has; of a child: none
	Cases map[string]plan `json:"cases"`
}

// plan is one run of a definition: what comes from outside, and what must become of it.
type plan struct {
	// What comes from outside. An item of a step may be named by its place, too, as STEP[INDEX], and a step of a child with that of its
	// parent before it: PARENT/STEP.
	Input    json.RawMessage              `json:"input"`
	Gives    map[string]json.RawMessage   `json:"gives"`    // what a step's handler gives; not named: {}
	Rounds   map[string][]json.RawMessage `json:"rounds"`   // what it gives in each round; the last for all later ones
	Items    map[string][]json.RawMessage `json:"items"`    // what it gives for each item
	Fails    map[string]string            `json:"fails"`    // its handler fails for good
	Breaks   []string                     `json:"breaks"`   // each attempt fails
	Stumbles []string                     `json:"stumbles"` // the first attempt fails
	Hangs    []string                     `json:"hangs"`    // no attempt comes back by itself
	Signals  map[string]json.RawMessage   `json:"signals"`  // sent once the run is there; to a child: PARENT/SIGNAL

	// What must become of it. Each step is named once.
	State       string            `json:"state"`
	Error       string            `json:"error"`  // STEP: CODE, or CODE
	Output      json.RawMessage   `json:"output"` // none: not looked at
	Ran         []string          `json:"ran"`    // completed
	Skipped     map[string]string `json:"skipped"`
	Failed      []string          `json:"failed"`
	TimedOut    []string          `json:"timed_out"`
	Cancelled   []string          `json:"cancelled"`
	Never       []string          `json:"never"`       // its turn never came
	Ended       map[string]string `json:"ended"`       // of a step that goes over a list: how many items completed, failed and were cancelled, as 3/1/0
	Attempts    map[string]uint32 `json:"attempts"`    // at least so many
	Took        map[string]uint32 `json:"took"`        // rounds
	Compensated []string          `json:"compensated"` // in this order
	Children    map[string]string `json:"children"`    // what became of the child of a step, or of an item
}

func load(t *testing.T) []*definition {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "testdata/census/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var all []*definition
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d := &definition{name: strings.TrimSuffix(filepath.Base(f), ".yaml")}
		var problems, warnings flow.Problems
		if d.def, problems, warnings = flow.Check(text); len(problems)+len(warnings) > 0 {
			t.Errorf("%s: %v%v", f, problems, warnings)
			continue
		}
		cases, err := os.ReadFile(strings.TrimSuffix(f, ".yaml") + ".cases")
		if err == nil {
			err = d.read(cases)
		} else if errors.Is(err, fs.ErrNotExist) { // a child of others
			err = nil
		}
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		all = append(all, d)
	}
	if t.Failed() {
		t.FailNow()
	}
	return all
}

// read reads the cases of a definition.
func (d *definition) read(text []byte) error {
	body, err := yaml.YAMLToJSON(text)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	return dec.Decode(d)
}

// is says whether a list has one of these names.
func is(list, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(list, name) })
}
