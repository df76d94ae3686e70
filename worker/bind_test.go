package worker

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

type (
	base   struct{ X int }
	Base   struct{ X int }
	Tagged struct {
		X int `json:"x_"`
	}
	Name     string
	inString struct {
		ID int64 `json:"id,string"`
	}
	inNamed struct {
		Base `json:"base"`
	}
	inPointer struct {
		*Base
		Y int
	}
	inValue  struct{ Name }
	inHidden struct {
		Base
		X string
	}
	inOwn    struct{ base }
	inDashed struct {
		//lint:ignore SA5008 a tag that nobody should write, and encoding/json reads
		A int `json:"-,"`
		B int `json:"-"`
		//lint:ignore SA5008 a tag that nobody should write, and encoding/json reads
		C int `json:"a\"b"`
	}
	inDeep struct {
		inNamed
		Tagged
		T *inString `json:"t"`
	}
)

// A handler's input is what json.Unmarshal makes of the same value.
func TestAnInputIsWhatJSONMakesOfIt(t *testing.T) {
	for _, input := range []string{`{"id":"9007199254740993"}`, `{"base":{"x":3}}`, `{"base":{"X":3},"X":4,"Y":5}`, `{"X":7,"Y":2}`, `{"X":"seven"}`, `{"Name":"ann"}`,
		`{"-":1,"B":2,"C":3}`, `{"x_":9,"t":{"id":"5"},"base":{"X":1}}`, `{"t":null}`, `{}`} {
		same[inString](t, input)
		same[inNamed](t, input)
		same[inPointer](t, input)
		same[inValue](t, input)
		same[inHidden](t, input)
		same[inOwn](t, input)
		same[inDashed](t, input)
		same[inDeep](t, input)
		same[*inDeep](t, input)
	}
}

func same[In any](t *testing.T, input string) {
	t.Helper()
	var want, got In
	wrong := json.Unmarshal([]byte(input), &want)
	fn, err := Adapt(func(_ context.Context, in In) (int, error) { got = in; return 0, nil })
	if err != nil {
		t.Fatal(err)
	}
	_, err = fn(context.Background(), &Task{WorkflowInput: json.RawMessage(input)})
	if (err == nil) != (wrong == nil) || err == nil && !reflect.DeepEqual(got, want) {
		t.Errorf("%T of %s: %+v, %v; json makes %+v, %v", want, input, got, err, want, wrong)
	}
}

// What no value of the type could ever be read from or written as JSON is refused when the handler is named, not when it runs.
func TestATypeThatHasNoFormInJSONIsRefused(t *testing.T) {
	type list struct {
		Next *list
		F    func() `json:"-"`
		Z    func() `json:",omitzero"`
	}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"chan in":                      {adapt[chan int, int](), "input chan int"},
		"func in a field":              {adapt[struct{ F []func() }, int](), "field F: func() has no form"},
		"chan out":                     {adapt[int, chan int](), "output chan int"},
		"func out in a map":            {adapt[int, map[string]func()](), "func() has no form"},
		"complex out":                  {adapt[int, *complex128](), "complex128 has no form"},
		"keys":                         {adapt[map[float64]int, int](), "keys of type float64"},
		"a pointer that cannot be set": {adapt[struct{ *base }, int](), "embeds *worker.base"},
		"two fields": {adapt[struct {
			A int `json:"B"`
			B int
		}, int](), `two fields named "B"`},
		"what is left out":   {adapt[list, list](), ""},
		"a value of its own": {adapt[json.RawMessage, any](), ""},
	} {
		if (c.err == nil) != (c.want == "") || c.err != nil && !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, c.err, c.want)
		}
	}
}

func adapt[In, Out any]() error {
	_, err := Adapt(func(context.Context, In) (out Out, err error) { return out, nil })
	return err
}

// A map of numbers takes the keys of its only dependency's object, and not the object itself under the dependency's name.
func TestAMapOfNumbersTakesTheKeysOfItsDependency(t *testing.T) {
	task := &Task{WorkflowInput: json.RawMessage(`{"a":1,"b":2}`), Dependencies: map[string]json.RawMessage{"dep": json.RawMessage(`{"b":3}`)}}
	var numbers map[string]int64
	fn, _ := Adapt(func(_ context.Context, in map[string]int64) (int, error) { numbers = in; return 0, nil })
	if _, err := fn(context.Background(), task); err != nil || !reflect.DeepEqual(numbers, map[string]int64{"a": 1, "b": 3}) {
		t.Errorf("got %v, %v", numbers, err)
	}
	task.Dependencies["dep"] = json.RawMessage(`7`)
	if _, err := fn(context.Background(), task); err != nil || !reflect.DeepEqual(numbers, map[string]int64{"a": 1, "b": 2, "dep": 7}) {
		t.Errorf("got %v, %v", numbers, err)
	}
	task.Dependencies["dep"] = json.RawMessage(`{"b":3}`)
	var all map[string]any
	any, _ := Adapt(func(_ context.Context, in map[string]any) (int, error) { all = in; return 0, nil })
	if _, err := any(context.Background(), task); err != nil || !reflect.DeepEqual(all["dep"], map[string]interface{}{"b": 3.0}) {
		t.Errorf("got %v, %v", all, err)
	}
}

type params4 struct {
	A int `json:"a"`
	B int `json:"b"`
	C int `json:"c"`
	D int `json:"d"`
}

// What the templates of a step came to is the first place of parameters, and the whole input of a handler that takes one value.
func TestTheInputOfTemplatesComesFirst(t *testing.T) {
	task := &Task{Input: json.RawMessage(`{"a":1}`), InputData: json.RawMessage(`{"a":2,"b":2}`), Dependencies: map[string]json.RawMessage{"dep": json.RawMessage(`{"a":3,"c":3}`)},
		WorkflowInput: json.RawMessage(`{"a":4,"d":4}`)}
	fields, err := bound[params4](task)
	if err != nil || fields != (params4{1, 2, 3, 4}) {
		t.Errorf("a struct: %+v, %v", fields, err)
	}
	if all, err := bound[map[string]any](task); err != nil || all["a"] != 1.0 || all["b"] != 2.0 || all["d"] != 4.0 {
		t.Errorf("a map: %v, %v", all, err)
	}
	if whole, err := bound[json.RawMessage](task); err != nil || string(whole) != `{"a":1}` {
		t.Errorf("one value: %s, %v", whole, err)
	}
}

func bound[In any](task *Task) (in In, err error) {
	p, err := planFor[In]()
	if err == nil {
		err = p.bind(context.Background(), task, &in)
	}
	return in, err
}
