package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Binding: how a handler's input is filled.
//
// Each field of the input struct that encoding/json knows, by its JSON name, is a parameter. It is taken from the first place that
// has it: of a compensation, output and fate, and a key of the output, if that is an object; of a step of finally, fate; input, which the step's templates came to; of a step over a list, item and index, and a key of the item, if that is an object;
// input_data; a dependency of that name; a key of the only dependency's output, if that is an object; a key of the
// workflow's input. Found nowhere it stays zero, or, tagged `agnt5:"required"`, fails the attempt for good. What is found is what
// json.Unmarshal makes of an object with these keys.
//
// A map with string keys gets the union of these places, the first place winning. If its values are neither any nor
// json.RawMessage, an only dependency whose output is an object gives the keys of that object, and not its own name. Any other
// input gets, in a compensation, the output of the step that it takes back; else the step's input, if it has templates, else the item, else the only dependency's output, or, without dependencies, the
// workflow's input. An empty struct gets nothing.

type plan struct {
	kind   inputKind
	fields []param
}

type inputKind uint8

const (
	inputNothing inputKind = iota
	inputStruct
	inputMap
	inputTypedMap
	inputValue
)

type param struct {
	name     string
	required bool
}

func planFor[In any]() (*plan, error) {
	t := reflect.TypeFor[In]()
	if err := jsonType(t, readers, map[reflect.Type]bool{}); err != nil {
		return nil, fmt.Errorf("worker: the handler's input %s cannot be read from JSON: %w", t, err)
	}
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		t = t.Elem()
	}
	switch {
	case speaks(t, readers):
		return &plan{kind: inputValue}, nil
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		if e := t.Elem(); e.Kind() == reflect.Interface || e == reflect.TypeFor[json.RawMessage]() {
			return &plan{kind: inputMap}, nil
		}
		return &plan{kind: inputTypedMap}, nil
	case t.Kind() != reflect.Struct:
		return &plan{kind: inputValue}, nil
	case t.NumField() == 0:
		return &plan{kind: inputNothing}, nil
	}
	fields, err := params(t)
	if err != nil {
		return nil, fmt.Errorf("worker: the handler's input %s: %w", t, err)
	}
	return &plan{inputStruct, fields}, nil
}

// params gives the fields that encoding/json reads, each name once: of an embedded struct those that nothing nearer hides.
func params(t reflect.Type) (all []param, err error) {
	seen := map[string]bool{} // in front of this depth
	walked := map[reflect.Type]bool{t: true}
	for level := []reflect.Type{t}; len(level) > 0; {
		var next []reflect.Type
		here := map[string]bool{}
		for _, t := range level {
			for i := range t.NumField() {
				f := t.Field(i)
				name, inner, ok := jsonField(f)
				switch {
				case !ok || seen[name] && inner == nil:
				case inner == nil && here[name]:
					return nil, fmt.Errorf("it has two fields named %q", name)
				case inner == nil:
					here[name] = true
					all = append(all, param{name, f.Tag.Get("agnt5") == "required"})
				case f.Type.Kind() == reflect.Pointer && !f.IsExported():
					return nil, fmt.Errorf("it embeds %s, which encoding/json cannot set because the type is not exported; embed the struct itself, or give the field a name", f.Type)
				case !walked[inner]:
					walked[inner] = true
					next = append(next, inner)
				}
			}
		}
		for name := range here {
			seen[name] = true
		}
		level = next
	}
	return all, nil
}

// jsonField gives the name under which encoding/json knows the field, or the embedded struct whose fields stand for it. ok is false
// when it does not look at it.
func jsonField(f reflect.StructField) (name string, inner reflect.Type, ok bool) {
	tag := f.Tag.Get("json")
	t := f.Type
	if t.Kind() == reflect.Pointer && t.Name() == "" {
		t = t.Elem()
	}
	isStruct := t.Kind() == reflect.Struct
	if tag == "-" || !f.IsExported() && !(f.Anonymous && isStruct) {
		return "", nil, false
	}
	name, _, _ = strings.Cut(tag, ",")
	if !jsonName(name) {
		name = ""
	}
	switch {
	case name == "" && f.Anonymous && isStruct:
		return "", t, true
	case name == "":
		name = f.Name
	}
	return name, nil, true
}

// jsonName says whether encoding/json takes a name from a tag.
func jsonName(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return name != ""
}

func (p *plan) bind(ctx context.Context, t *Task, in any) error {
	if err := p.fetch(ctx, t); err != nil {
		return err
	}
	switch p.kind {
	case inputNothing:
		return nil
	case inputValue:
		raw := t.WorkflowInput
		if t.Output != nil {
			raw = t.Output
		} else if t.Input != nil {
			raw = t.Input
		} else if t.Index != nil {
			raw = t.Item
		} else if out, is := t.only(); is {
			raw = out
		} else if n := len(t.Dependencies) + len(t.References); n > 1 {
			return unbound("the handler's input is not a struct or map, but the step has %d dependencies: which one is meant?", n)
		}
		return unmarshal(raw, in, "input")
	}
	places := t.places()
	switch p.kind {
	case inputTypedMap:
		if t.Index != nil && places[placeItemKeys] != nil { // by itself it would be a value of another kind
			places[placeItem] = nil
		}
		if places[placeOnly] != nil {
			places[placeDependencies] = nil
		}
		return unmarshal(union(places), in, "input")
	case inputMap:
		return unmarshal(union(places), in, "input")
	}
	if v := reflect.ValueOf(in).Elem(); v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
	}
	for _, f := range p.fields {
		raw, ok := find(places, f.name)
		if !ok {
			if f.required {
				return unbound("parameter %q is required and found neither in input, nor %sin input_data, nor among the dependencies, nor in the workflow's input", f.name, t.inItem())
			}
			continue
		}
		name, _ := json.Marshal(f.name)
		if err := unmarshal(slices.Concat([]byte("{"), name, []byte(":"), raw, []byte("}")), in, fmt.Sprintf("parameter %q", f.name)); err != nil {
			return err
		}
	}
	return nil
}

// fetch reads what the task refers to and the input needs.
func (p *plan) fetch(ctx context.Context, t *Task) error {
	switch {
	case len(t.References) == 0 || p.kind == inputNothing:
		return nil
	case p.kind == inputValue && (t.Output != nil || t.Input != nil || t.Index != nil || len(t.Dependencies)+len(t.References) > 1): // it looks at none of them
		return nil
	case p.kind != inputStruct || len(t.Dependencies)+len(t.References) == 1:
		return t.fetchAll(ctx)
	}
	before := t.places()[:placeDependencies]
	var names []string
	for _, f := range p.fields {
		if _, found := find(before, f.name); !found {
			names = append(names, f.name)
		}
	}
	return t.fetch(ctx, names...)
}

// only gives the output of the only dependency.
func (t *Task) only() (out json.RawMessage, is bool) {
	if len(t.Dependencies) != 1 || len(t.References) > 0 {
		return nil, false
	}
	for _, out = range t.Dependencies {
	}
	return out, true
}

// inItem names the item among the places that have been looked at.
func (t *Task) inItem() string {
	if t.Index == nil {
		return ""
	}
	return "in the item, nor "
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

// The places where parameters are looked for, the first one first.
const (
	placeEnding     = iota // output and fate
	placeOutputKeys        // of the output that a compensation takes back
	placeInput
	placeItem     // item and index
	placeItemKeys // of the item
	placeInputData
	placeDependencies
	placeOnly // the only dependency's output
	placeWorkflow
	allPlaces
)

// places gives what stands in each place; nil: nothing.
func (t *Task) places() []map[string]json.RawMessage {
	places := make([]map[string]json.RawMessage, allPlaces)
	places[placeInput], places[placeInputData], places[placeWorkflow] = object(t.Input), object(t.InputData), object(t.WorkflowInput)
	places[placeDependencies] = t.Dependencies
	for name, b := range map[string]json.RawMessage{"fate": t.Fate, "output": t.Output} {
		if b == nil {
			continue
		}
		if places[placeEnding] == nil {
			places[placeEnding] = map[string]json.RawMessage{}
		}
		places[placeEnding][name] = b
	}
	places[placeOutputKeys] = object(t.Output)
	if t.Index != nil {
		places[placeItem] = map[string]json.RawMessage{"item": t.Item, "index": json.RawMessage(strconv.Itoa(*t.Index))}
		places[placeItemKeys] = object(t.Item)
	}
	if out, is := t.only(); is {
		places[placeOnly] = object(out)
	}
	return places
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
