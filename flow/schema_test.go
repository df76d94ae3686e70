package flow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

// validSchema compiles the schema that the repository has, which is the one that this package makes.
func validSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	golden(t, "../../docs/workflow.schema.json", Schema())
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("workflow.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("workflow.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance is a definition's text as a schema sees it; not ok: the text cannot be read.
func instance(text []byte) (v any, ok bool) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) == 0 || trimmed[0] != '{' {
		y, err := yamlValue(text, &yamlSource{})
		if err != nil {
			return nil, false
		}
		text = y.appendCanonical(nil)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	return v, err == nil
}

// Every definition in the repository that is right fits the schema.
func TestWhatIsReadFitsTheSchema(t *testing.T) {
	schema := validSchema(t)
	texts := map[string][]byte{}
	for _, name := range slices.Concat(files(t, "document"), files(t, "canonical"), []string{"../examples/orders/order.yaml"}) {
		texts[name] = read(t, name)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(read(t, testdata+"/python.jsonl"))), "\n") {
		texts[fmt.Sprintf("python.jsonl:%d", i+1)] = []byte(line)
	}
	pages, _ := filepath.Glob("../docs/*.md")
	block := regexp.MustCompile("(?ms)^```(yaml|json)\n(.*?)^```")
	for _, page := range append(pages, "../README.md") {
		for i, m := range block.FindAllSubmatch(read(t, page), -1) {
			if !bytes.HasPrefix(m[2], []byte("schedules:")) { // those are package schedules' to read
				texts[fmt.Sprintf("%s, block %d", page, i+1)] = m[2]
			}
		}
	}
	if len(texts) < 250 {
		t.Errorf("only %d definitions", len(texts))
	}
	for name, text := range texts {
		if _, problems := Read(text); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
		if v, ok := instance(text); !ok {
			t.Errorf("%s cannot be read", name)
		} else if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// seen are the codes of problems that the schema sees, too.
var seen = []string{CodeUnknownKey, CodeMisplacedKey, CodeWrongType, CodeNoSteps, CodeNameInvalid, CodeTypeUnknown, CodeDepRepeated, CodeServiceMissing,
	CodeHandlerMissing, CodeObjectKeyTwice, CodeSignalMissing, CodeTimerKeyMissing, CodeNegative, CodeOutOfRange, CodeDurationInvalid}

func TestTheSchemaRefusesWhatItSees(t *testing.T) {
	schema := validSchema(t)
	refused := 0
	for _, name := range files(t, "invalid") {
		text := read(t, name)
		_, problems := Read(text)
		v, ok := instance(text)
		if ok && slices.ContainsFunc(problems, func(p Problem) bool { return slices.Contains(seen, p.Code) }) {
			if refused++; schema.Validate(v) == nil {
				t.Errorf("%s fits the schema: %v", name, problems)
			}
		}
	}
	if refused < 20 {
		t.Errorf("only %d", refused)
	}
	// Every key, with one letter too many, wherever it may stand.
	for _, k := range everyKey() {
		doc := map[string]any{"steps": []any{map[string]any{"name": "a", "service_name": "s", "handler_name": "h"}}}
		if k.top {
			doc[k.name+"s"] = []any{}
		} else {
			step := doc["steps"].([]any)[0].(map[string]any)
			switch {
			case k.belongs(TypeTask):
			case k.belongs(TypeWaitSignal):
				step = map[string]any{"name": "a", "type": TypeWaitSignal, "signal": map[string]any{"name": "s"}}
			default:
				step = map[string]any{"name": "a", "type": TypeWaitTimer, "timer": map[string]any{"key": "k", "delay_ms": 1}}
			}
			doc["steps"] = []any{step}
			if object, own, nested := strings.Cut(k.name, "."); nested {
				if step[object] == nil {
					step[object] = map[string]any{}
				}
				if object == "repeat" {
					step[object] = map[string]any{"until": "true", "max_rounds": 1}
				}
				if object == "compensate" {
					step[object] = map[string]any{"handler_name": "u"}
				}
				step[object].(map[string]any)[own+"s"] = nil
			} else {
				step[k.name+"s"] = nil
			}
		}
		text, _ := json.Marshal(doc)
		v, _ := instance(text)
		_, problems := Read(text)
		if len(problems) != 1 || problems[0].Code != CodeUnknownKey || schema.Validate(v) == nil {
			t.Errorf("%s: %v", text, problems)
		}
	}
}

// values that a key may be given, right and wrong.
var values = []string{`null`, `""`, `"a"`, `"b"`, `"a b"`, `"task"`, `"wait_signal"`, `"wait_timer"`, `"30s"`, `"1h30m"`, `"@daily"`, `"UTC"`, `0`, `1`, `-1`, `1.5`, `2`, `9223372036854`,
	`9223372036855`, `[]`, `["a"]`, `["b","b"]`, `[1]`, `{}`, `{"x":1}`, `true`}

// fits are values of which one may be right for a key.
var fits = map[kind][]string{kindName: {`"b"`, `"c"`}, kindType: {`"task"`, `null`}, kindSteps: {`["a"]`, `[]`, `null`}, kindObjects: {`["k 1"]`, `[]`}, kindMS: {`5`, `"5s"`, `null`},
	kindCount: {`1`, `3`}, kindFactor: {`1`, `1.5`, `2`}, kindStep: {`"a"`, `""`, `null`}, kindText: {`"@daily"`, `""`, `null`}, kindJSON: {`{"x":[1]}`}, kindChoice: {`"any"`, `"settled"`, `"all"`, `""`, `null`}, kindExpression: {`"true"`, `""`, `null`},
	kindItems: {`[1]`, `[]`, `"[1]"`, `null`}, kindTolerance: {`0`, `3`, `"10%"`, `""`, `null`}, kindTemplates: {`{}`, `{"a":"${ 1 }"}`, `null`}, kindObject: {`{}`, `null`}, kindBool: {`true`, `false`, `null`}}

// Whatever is put together of the keys and such values: what Read takes fits the schema.
func TestTheSchemaTakesWhatReadTakes(t *testing.T) {
	schema := validSchema(t)
	drawn, taken := 0, 0
	ofSteps := slices.DeleteFunc(everyKey(), func(k keyInfo) bool { return k.top })
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			drawn++
			step := rapid.SampledFrom([]map[string]string{
				{"name": `"b"`, "service_name": `"s"`, "handler_name": `"h"`},
				{"name": `"b"`, "type": `"wait_signal"`, "signal.name": `"s"`},
				{"name": `"b"`, "type": `"wait_timer"`, "timer.key": `"k"`, "timer.delay_ms": `1`},
			}).Draw(t, "base")
			step = maps.Clone(step)
			for range rapid.IntRange(0, 4).Draw(t, "keys") {
				k := rapid.SampledFrom(ofSteps).Draw(t, "key")
				v := rapid.SampledFrom(values).Draw(t, "value")
				if rapid.IntRange(0, 4).Draw(t, "fits") > 0 {
					v = rapid.SampledFrom(fits[k.kind]).Draw(t, "fit")
				}
				step[rapid.SampledFrom(k.spellings()).Draw(t, "spelled")] = v
			}
			inner := map[string][]string{}
			for _, path := range slices.Sorted(maps.Keys(step)) {
				if object, own, nested := strings.Cut(path, "."); nested {
					inner[object] = append(inner[object], fmt.Sprintf("%q:%s", own, step[path]))
					delete(step, path)
				}
			}
			var fields []string
			for object, keys := range inner {
				step[object] = "{" + strings.Join(keys, ",") + "}"
			}
			for key, v := range step {
				fields = append(fields, fmt.Sprintf("%q:%s", key, v))
			}
			text := []byte(`{"steps":[{"name":"a","service_name":"s","handler_name":"h"},{` + strings.Join(fields, ",") + `}]}`)
			if _, problems := Read(text); len(problems) > 0 {
				continue
			}
			taken++
			v, ok := instance(text)
			if err := schema.Validate(v); !ok || err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
	})
	if taken < drawn/10 {
		t.Errorf("only %d of %d were right: this shows little", taken, drawn)
	}
}
