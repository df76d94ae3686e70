package worker

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Binding: how a handler's input is filled.
//
// Each exported field of the input struct, by its JSON name, is a parameter. It is taken from the first place that has it:
// input_data; a dependency of that name; a key of the only dependency's output, if that is an object; a key of the
// workflow's input. Found nowhere it stays zero, or, tagged `agnt5:"required"`, fails the attempt for good.
//
// A map with string keys gets the union of these places, the first place winning. Any other input gets the only
// dependency's output, or, without dependencies, the workflow's input. An empty struct gets nothing.

type plan struct {
	kind   inputKind
	fields []param
}

type inputKind uint8

const (
	inputNothing inputKind = iota
	inputStruct
	inputMap
	inputValue
)

type param struct {
	name     string
	index    []int
	required bool
}

func planFor[In any]() (*plan, error) {
	t := reflect.TypeFor[In]()
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return &plan{kind: inputValue}, nil
	}
	switch {
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		return &plan{kind: inputMap}, nil
	case t.Kind() != reflect.Struct:
		return &plan{kind: inputValue}, nil
	case t.NumField() == 0:
		return &plan{kind: inputNothing}, nil
	}
	p := &plan{kind: inputStruct}
	seen := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		if !f.IsExported() || f.Anonymous {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		if seen[name] {
			return nil, fmt.Errorf("worker: input %s has two fields named %q", t, name)
		}
		seen[name] = true
		p.fields = append(p.fields, param{name, f.Index, f.Tag.Get("agnt5") == "required"})
	}
	return p, nil
}

func (p *plan) bind(t *Task, in any) error {
	switch p.kind {
	case inputNothing:
		return nil
	case inputValue:
		raw := t.WorkflowInput
		if len(t.Dependencies) == 1 {
			for _, out := range t.Dependencies {
				raw = out
			}
		} else if len(t.Dependencies) > 1 {
			return unbound("the handler's input is no struct or map, and the step has %d dependencies: which of them is meant?", len(t.Dependencies))
		}
		return unmarshal(raw, in, "input")
	}
	places := t.places()
	if p.kind == inputMap {
		return unmarshal(union(places), in, "input")
	}
	v := reflect.ValueOf(in).Elem()
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	for _, f := range p.fields {
		raw, ok := find(places, f.name)
		if !ok {
			if f.required {
				return unbound("parameter %q is required and found neither in input_data, nor among the dependencies, nor in the workflow's input", f.name)
			}
			continue
		}
		field, err := v.FieldByIndexErr(f.index)
		if err != nil {
			return unbound("parameter %q: %v", f.name, err)
		}
		if err := unmarshal(raw, field.Addr().Interface(), fmt.Sprintf("parameter %q", f.name)); err != nil {
			return err
		}
	}
	return nil
}

func unbound(format string, args ...any) error {
	no := false
	return &Error{Message: fmt.Sprintf(format, args...), Code: "input_unbound", Retryable: &no}
}

func unmarshal(raw json.RawMessage, into any, what string) error {
	if len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return unbound("%s: %v", what, err)
	}
	return nil
}

// places gives where parameters are looked for, the first place first.
func (t *Task) places() []map[string]json.RawMessage {
	places := []map[string]json.RawMessage{object(t.InputData), t.Dependencies}
	if len(t.Dependencies) == 1 {
		for _, out := range t.Dependencies {
			places = append(places, object(out))
		}
	}
	return append(places, object(t.WorkflowInput))
}

// object gives the keys of a JSON object; nil of anything else.
func object(raw json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if len(raw) == 0 || json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

func find(places []map[string]json.RawMessage, name string) (json.RawMessage, bool) {
	for _, p := range places {
		if raw, ok := p[name]; ok {
			return raw, true
		}
	}
	return nil, false
}

func union(places []map[string]json.RawMessage) json.RawMessage {
	all := map[string]json.RawMessage{}
	for i := len(places) - 1; i >= 0; i-- {
		for k, v := range places[i] {
			all[k] = v
		}
	}
	b, _ := json.Marshal(all) // values are JSON already
	return b
}
