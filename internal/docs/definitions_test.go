package docs

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/schedules"
)

// TestDefinitionsAreValid reads every yaml and json block of README and docs: each is a whole definition without a problem or a
// warning.
func TestDefinitionsAreValid(t *testing.T) {
	n := 0
	for _, page := range pages(t) {
		for _, m := range block.FindAllStringSubmatch(text(t, page), -1) {
			if m[1] != "yaml" && m[1] != "json" {
				continue
			}
			n++
			if strings.HasPrefix(m[2], "schedules:") {
				if _, problems := schedules.ReadFile([]byte(m[2])); len(problems) > 0 {
					t.Errorf("%s: %v\n%s", page, problems, m[2])
				}
				continue
			}
			d, problems := flow.Read([]byte(m[2]))
			if len(problems) == 0 {
				problems = flow.Warnings(d)
			}
			if len(problems) > 0 {
				t.Errorf("%s: %v\n%s", page, problems, m[2])
			}
		}
	}
	if n < 6 {
		t.Errorf("only %d definitions", n)
	}
}

// row is a row of the tables of keys in definitions.md.
type row struct{ key, steps, kind, standard, limits string }

// whole is before the keys that stand beside the steps.
const whole = "the whole."

func rows(t *testing.T) []row {
	var all []row
	for line := range strings.Lines(text(t, filepath.Join(root, "docs/definitions.md"))) {
		if c := cells(line); len(c) == 6 && strings.HasPrefix(c[0], "`") {
			r := row{strings.Trim(c[0], "`"), c[1], c[2], c[3], c[4]}
			if r.steps == "" {
				r.key = whole + r.key
			}
			all = append(all, r)
		}
	}
	return all
}

// cells gives the cells of a table's row.
func cells(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") || !strings.HasSuffix(line, "|") {
		return nil
	}
	list := strings.Split(strings.Trim(line, "|"), "|")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// known gives every key that flow knows of a definition, with a value: each field of the Go types, filled, as flow writes it.
func known(t *testing.T) map[string]json.RawMessage {
	var d flow.Definition
	fill(reflect.ValueOf(&d).Elem())
	d.Output = json.RawMessage("1")
	for _, s := range []*flow.Step{&d.Steps[0], &d.Finally[0]} {
		s.InputData, s.Input, s.ForEach = json.RawMessage("1"), json.RawMessage("{}"), json.RawMessage("[]")
	}
	body, err := flow.Canonical(&d)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]json.RawMessage{}
	var add func(prefix string, body []byte)
	add = func(prefix string, body []byte) {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(body, &object); err != nil {
			t.Fatal(err)
		}
		for key, v := range object {
			keys[prefix+key] = v
			switch {
			case key == "input":
			case prefix == "compensate." && key == "retry": // its keys are those of retry
			case key == "steps":
				var steps []json.RawMessage
				if err := json.Unmarshal(v, &steps); err != nil {
					t.Fatal(err)
				}
				add("", steps[0])
			case v[0] == '{':
				add(prefix+key+".", v)
			}
		}
	}
	add(whole, body)
	return keys
}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("x")
	case reflect.Int64:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(7)
	}
}

// TestEveryKeyIsInTheTables holds the tables of keys to flow: every key, none that it does not know, the step types that it
// belongs to, the limits of whole numbers and the defaults of retry.
func TestEveryKeyIsInTheTables(t *testing.T) {
	keys := known(t)
	listed := map[string]bool{}
	policy, err := flow.Canonical(&flow.Definition{Steps: []flow.Step{{Retry: &flow.DefaultRetry}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows(t) {
		if _, ok := keys[r.key]; !ok || listed[r.key] {
			t.Errorf("%s: flow does not know it, or it appears twice", r.key)
			continue
		}
		listed[r.key] = true
		if !strings.HasPrefix(r.key, whole) {
			belongs(t, r, keys)
		}
		if r.kind == "whole number" || r.kind == "whole number, ms" {
			limits(t, r)
		}
		name, retry := strings.CutPrefix(r.key, "retry.")
		if retry && !strings.Contains(string(policy), fmt.Sprintf("%q:%s", name, r.standard)) {
			t.Errorf("%s: the default is not %s: %s", r.key, r.standard, policy)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !listed[key] {
			t.Errorf("%s is in no table", key)
		}
	}
	page := text(t, filepath.Join(root, "docs/definitions.md"))
	for what, n := range map[string]int{"1 to %s": flow.MaxSteps, "at most %s MiB": flow.MaxBytes >> 20, "%s MiB in canonical form": flow.MaxInput >> 20, "nested %s deep": flow.MaxNesting} {
		if want := fmt.Sprintf(what, commas(n)); !strings.Contains(page, want) {
			t.Errorf("definitions.md does not say %q", want)
		}
	}
}

func commas(n int) string {
	s := strconv.Itoa(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

// belongs puts the key into a step of each type: it is misplaced where the table does not name it.
func belongs(t *testing.T, r row, keys map[string]json.RawMessage) {
	key, _, inner := strings.Cut(r.key, ".")
	for _, kind := range []string{"task", "wait_signal", "wait_timer", "workflow"} {
		step := map[string]json.RawMessage{"type": json.RawMessage(strconv.Quote(kind))}
		if key != "type" {
			step[key] = keys[key]
		}
		if inner && keys[key][0] != '{' {
			t.Errorf("%s: %s is no object", r.key, key)
		}
		body, err := json.Marshal(map[string]any{"steps": []any{step}})
		if err != nil {
			t.Fatal(err)
		}
		_, problems := flow.Read(body)
		misplaced := slices.ContainsFunc(problems, func(p flow.Problem) bool { return p.Code == flow.CodeMisplacedKey })
		if want := r.steps != "all" && !slices.Contains(strings.Split(r.steps, ", "), kind); misplaced != want {
			t.Errorf("%s in a %s: misplaced %v, the table says %q", r.key, kind, misplaced, r.steps)
		}
	}
}

// limits tries both ends of what the table gives, and the numbers beyond.
func limits(t *testing.T, r row) {
	m := regexp.MustCompile(`^([0-9,]+) to ([0-9,]+)$`).FindStringSubmatch(r.limits)
	if m == nil {
		t.Errorf("%s: the limits are %q", r.key, r.limits)
		return
	}
	least, err1 := strconv.ParseUint(strings.ReplaceAll(m[1], ",", ""), 10, 64)
	most, err2 := strconv.ParseUint(strings.ReplaceAll(m[2], ",", ""), 10, 64)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	within := map[string]bool{fmt.Sprint(least): true, fmt.Sprint(most): true, fmt.Sprint(int64(least) - 1): false, fmt.Sprint(most + 1): false}
	for n, want := range within {
		kind, _, _ := strings.Cut(r.steps, ", ")
		step := map[string]any{"name": "a", "type": kind}
		switch kind {
		case "workflow":
			step["workflow_name"] = "w"
		case "task":
			step["service_name"], step["handler_name"] = "s", "h"
		case "wait_signal":
			step["signal"] = map[string]any{"name": "s"}
		case "wait_timer":
			step["timer"] = map[string]any{"key": "k"}
			if r.key != "timer.delay_ms" {
				step["timer"] = map[string]any{"key": "k", "cron_expr": "@daily"}
			}
		}
		at := step
		key := r.key
		if outer, inner, ok := strings.Cut(r.key, "."); ok && r.steps != "" {
			if step[outer] == nil {
				step[outer] = map[string]any{}
			}
			at, key = step[outer].(map[string]any), inner
		}
		switch outer, _, _ := strings.Cut(r.key, "."); {
		case key == "max_items", key == "max_parallel":
			step["for_each"] = []int{}
		case outer == "compensate":
			at["handler_name"] = "u"
		case outer == "repeat":
			at["until"], at["max_rounds"] = "true", 1
		}
		def := map[string]any{"steps": []any{step}}
		if name, top := strings.CutPrefix(r.key, whole); top {
			step["type"], step["service_name"], step["handler_name"] = "task", "s", "h"
			at, key = def, name
			if outer, inner, nested := strings.Cut(name, "."); nested {
				at, key = map[string]any{}, inner
				def[outer] = at
			}
		}
		at[key] = json.RawMessage(n)
		body, err := json.Marshal(def)
		if err != nil {
			t.Fatal(err)
		}
		_, problems := flow.Read(body)
		problems = slices.DeleteFunc(problems, func(p flow.Problem) bool { return p.Code == flow.CodeNotSupported })
		if (len(problems) == 0) != want {
			t.Errorf("%s: %s: %v", r.key, n, problems)
		}
	}
}

// TestEveryProblemIsInTheTable holds the table of problems to flow.Codes, which a test of flow holds to its constants.
func TestEveryProblemIsInTheTable(t *testing.T) {
	_, table, _ := strings.Cut(text(t, filepath.Join(root, "docs/definitions.md")), "\n## Problems\n")
	var got, want []string
	for line := range strings.Lines(table) {
		if c := cells(line); len(c) == 3 && strings.HasPrefix(c[0], "`") {
			got = append(got, strings.Trim(c[0], "`")+": "+c[1])
			if c[2] == "" {
				t.Errorf("%s: nothing mends it", c[0])
			}
		}
	}
	for _, c := range flow.Codes {
		want = append(want, c.Code+": "+c.Means)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the table has\n%s\nflow has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func pages(t *testing.T) []string {
	all, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	return append(all, filepath.Join(root, "README.md"))
}

func text(t *testing.T, name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
