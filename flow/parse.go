package flow

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Limits of a definition.
const (
	MaxBytes = 32 << 20 // as JSON, and in canonical form
	MaxYAML  = 8 << 20  // as YAML, which takes a hundred times its size to read
	MaxSteps = 100_000
)

// documentNesting is how deep the text of a definition may be nested: input_data, which may be nested MaxNesting deep, stands
// in an object in a list in an object.
const documentNesting = MaxNesting + 3

// Read reads a definition as JSON or YAML, as ParseAny does, and validates it: every problem at once.
func Read(b []byte) (*Definition, Problems) {
	d, problems, _ := Check(b)
	return d, problems
}

// Check is Read, and Warnings when there is no problem. Problems and warnings say where in the text they are.
func Check(b []byte) (d *Definition, problems, warnings Problems) {
	r := readAny(b)
	if r.d == nil {
		return nil, r.problems(), nil
	}
	v := newValidator(r.d)
	v.findings, v.flaws, v.root = r.findings, r.flaws, r.root
	v.main = len(r.d.Steps)
	v.check()
	if len(v.list) > 0 {
		return r.d, v.problems(), nil
	}
	v.warn()
	return r.d, nil, v.problems()
}

// ParseAny reads a definition as JSON if it begins with {, else as YAML. It reports what cannot be read; Validate the rest.
func ParseAny(b []byte) (*Definition, Problems) {
	r := readAny(b)
	return r.d, r.problems()
}

// Parse reads a definition from JSON. The problems are those of reading: text that is not JSON, keys that nobody knows or that
// stand twice, values of the wrong type. When the text cannot be read at all the definition is nil.
func Parse(b []byte) (*Definition, Problems) {
	r := readText(b)
	return r.d, r.problems()
}

func readAny(b []byte) *reader {
	text := bytes.TrimLeft(b, " \t\r\n")
	if len(text) == 0 {
		r := &reader{}
		r.whole(0, CodeInvalidJSON, "the definition is empty: want steps, as YAML or JSON")
		return r
	}
	if text[0] != '{' {
		return readYAML(b)
	}
	return readText(b)
}

func readText(b []byte) *reader {
	r := &reader{}
	if len(b) > MaxBytes {
		r.whole(0, CodeTooLarge, "the definition is %d bytes, the limit is %d", len(b), MaxBytes)
		return r
	}
	r.source = &jsonSource{text: b}
	if err := checkJSON(b, 0, documentNesting); err != nil {
		var at int32
		if bad, ok := errors.AsType[*jsonError](err); ok {
			at = int32(bad.at)
		}
		r.whole(at, CodeInvalidJSON, "the definition %v", err)
		return r
	}
	v := readJSON(b)
	r.definition(&v)
	return r
}

// reader turns a JSON value into a Definition and collects what does not fit.
type reader struct {
	findings
	d      *Definition // nil: the text could not be read
	root   *value
	flaws  map[int]flaw
	at     int // index of the step being read; -1: outside
	name   string
	kind   StepType // its type
	hinted int
	prefix string // of keys in the object being read: "retry."
}

// flaw is what could not be read of a step, so that Validate does not report it as missing, too.
type flaw uint8

const (
	someField flaw = 1 + iota
	itsType        // or all of it
)

func (r *reader) add(place int32, code, format string, args ...any) {
	if r.at < 0 {
		r.whole(place, code, format, args...)
		return
	}
	r.step(r.at, place, r.name, code, format, args...)
}

func (r *reader) flawed(f flaw) {
	if r.flaws == nil {
		r.flaws = map[int]flaw{}
	}
	r.flaws[r.at] = max(r.flaws[r.at], f)
}

func (r *reader) wrong(v *value, key, want string) {
	r.add(v.at, CodeWrongType, "%s must be %s, not %s", key, want, v.describe())
	r.flawed(someField)
}

func (v *value) describe() string {
	switch v.kind {
	case 'n':
		return "null"
	case 'b':
		return "a boolean"
	case '#':
		return "the number " + cut(v.text, 64)
	case '"':
		return "a string"
	case '[':
		return "a list"
	}
	return "an object"
}

func (r *reader) definition(v *value) {
	r.d, r.root, r.at = &Definition{}, v, -1
	readKeys(r, v, "the definition", definitionKeys, r.d)
}

func (r *reader) steps(v *value, into *Definition) {
	switch {
	case v.kind != '[':
		r.wrong(v, "steps", "a list")
	case len(v.items) > MaxSteps:
		r.add(v.at, CodeTooLarge, "%d steps, the limit is %d", len(v.items), MaxSteps)
		r.flawed(someField)
	default:
		into.Steps = r.readSteps(v, 0)
	}
}

// finally reads the steps that come last. They are numbered behind the others, which may stand later in the text.
func (r *reader) finally(v *value, into *Definition) {
	switch {
	case v.kind == 'n':
	case v.kind != '[':
		r.wrong(v, "finally", "a list")
	case len(v.items) > MaxSteps:
		r.add(v.at, CodeTooLarge, "%d steps in finally, the limit is %d", len(v.items), MaxSteps)
		r.flawed(someField)
	default:
		r.main = 0
		if steps, _ := r.root.field("steps"); steps != nil && steps.kind == '[' && len(steps.items) <= MaxSteps {
			r.main = len(steps.items)
		}
		into.Finally = r.readSteps(v, r.main)
	}
}

func (r *reader) readSteps(v *value, first int) []Step {
	steps := make([]Step, len(v.items))
	for i := range v.items {
		r.at, r.name = first+i, v.items[i].textOf("name")
		r.kind = typeOf(&Step{Type: StepType(v.items[i].textOf("type"))})
		r.readStep(&steps[i], &v.items[i])
	}
	r.at = -1
	return steps
}

// textOf gives the first text of that key, "" when there is none.
func (v *value) textOf(key string) string {
	for i := range v.keys {
		if v.keys[i].text == key && v.items[i].kind == '"' {
			return v.items[i].text
		}
	}
	return ""
}

func (r *reader) readStep(s *Step, v *value) {
	s.Type = TypeTask
	if v.kind != '{' {
		r.flawed(itsType)
	}
	readKeys(r, v, "the step", stepKeys, s)
}

func (r *reader) stepType(v *value, into *StepType) {
	switch {
	case v.kind == 'n':
	case v.kind != '"':
		r.wrong(v, "type", "a string")
		r.flawed(itsType)
	case v.text == "": // in Go the zero value means a task; in a text somebody wrote it
		r.add(v.at, CodeTypeUnknown, "type is empty; %s", wantType)
		r.flawed(itsType)
	default:
		*into = StepType(v.text)
	}
}

func (r *reader) input(v *value, s *Step) {
	if at, err := v.duplicated(); err != nil {
		r.add(at, CodeKeyDuplicate, "input_data is ambiguous: %v", err)
	} else if v.kind != 'n' {
		s.InputData = v.appendCanonical(nil)
	}
}

// short reads the i-th value of an object, a duration as text, for a key in milliseconds.
func (r *reader) short(object *value, i int, long string, read func(*value)) {
	v, key := &object.items[i], r.prefix+object.keys[i].text
	if v.kind == 'n' {
		return
	}
	if other, _ := object.field(long); other != nil && other.kind != 'n' {
		r.add(object.keys[i].at, CodeDurationTwice, "%s and %s are two ways to say one thing: keep one of them", key, r.prefix+long)
		r.flawed(someField)
		return
	}
	switch {
	case v.kind == '#' && v.text == "0": // the one number that needs no unit
		read(v)
		return
	case v.kind == '#':
		r.add(v.at, CodeWrongType, "%s must be a duration such as 30s, not %s; milliseconds without a unit are %s", key, v.describe(), r.prefix+long)
	case v.kind != '"':
		r.add(v.at, CodeWrongType, "%s must be a duration such as 30s, not %s", key, v.describe())
	default:
		n, err := ParseDuration(v.text)
		if err == nil {
			read(&value{kind: '#', at: v.at, text: strconv.FormatInt(n, 10)})
			return
		}
		code := CodeDurationInvalid
		if errors.Is(err, errTooLong) {
			code = CodeOutOfRange
		}
		r.add(v.at, code, "%s %v", key, err)
	}
	r.flawed(someField)
}

func (r *reader) coefficient(key string, v *value, p *Retry) {
	if r.factor(key, v, &p.BackoffCoefficient, &p.text) && p.BackoffCoefficient == 0 {
		p.zeros |= zeroCoefficient
	}
}

// factor reads a number, and its text. It says whether there was one.
func (r *reader) factor(key string, v *value, into *float64, text *string) bool {
	if v.kind == 'n' {
		return false
	}
	f, err := strconv.ParseFloat(v.text, 64)
	switch {
	case v.kind != '#':
		r.wrong(v, r.prefix+key, "a number")
	case err != nil || math.IsInf(f, 0):
		r.add(v.at, CodeOutOfRange, "%s is out of range: %s", r.prefix+key, cut(v.text, 64))
	default:
		*into, *text = f, v.text
		return true
	}
	return false
}

// template reads JSON of the kind that a key wants. An empty text counts as nothing.
func (r *reader) template(k *keyInfo, v *value, into *json.RawMessage) {
	switch {
	case v.kind == 'n', v.kind == '"' && v.text == "":
		return
	case !k.takes(v.kind):
		r.wrong(v, r.prefix+k.name, k.wants())
		return
	}
	if at, err := v.duplicated(); err != nil {
		r.add(at, CodeKeyDuplicate, "%s is ambiguous: %v", r.prefix+k.name, err)
		return
	}
	*into = v.appendCanonical(nil)
}

func (k *keyInfo) takes(kind byte) bool {
	switch k.kind {
	case kindTemplates:
		return kind == '{'
	case kindItems:
		return kind == '[' || kind == '"'
	}
	return true
}

func (k *keyInfo) wants() string {
	if k.kind == kindItems {
		return "a list, or an expression as a string"
	}
	return "an object"
}

var percentage = regexp.MustCompile(`^(0|[1-9][0-9]*)%$`)

func (r *reader) tolerance(v *value, into *Step) {
	var n *int64
	switch m := percentage.FindStringSubmatch(v.text); {
	case v.kind == 'n', v.kind == '"' && v.text == "":
		return
	case v.kind == '#':
		if r.number("tolerate", v, &n); n != nil {
			into.Tolerate = &Tolerance{N: *n}
		}
	case v.kind != '"' || m == nil:
		r.wrong(v, "tolerate", "a whole number or a percentage such as 10%")
	default:
		if r.number("tolerate", &value{kind: '#', at: v.at, text: m[1]}, &n); n != nil {
			into.Tolerate = &Tolerance{N: *n, Percent: true}
		}
	}
}

func (r *reader) text(key string, v *value, into *string) {
	switch v.kind {
	case '"':
		*into = v.text
	case 'n':
	default:
		r.wrong(v, r.prefix+key, "a string")
	}
}

func (r *reader) list(key string, v *value, into *[]string) {
	switch v.kind {
	case 'n':
		return
	case '[':
	default:
		r.wrong(v, r.prefix+key, "a list of strings")
		return
	}
	*into = make([]string, 0, len(v.items))
	for i := range v.items {
		if v.items[i].kind != '"' {
			r.wrong(&v.items[i], r.prefix+key, "a list of strings")
			return
		}
		*into = append(*into, v.items[i].text)
	}
}

// number reads a whole number of milliseconds or a count.
func (r *reader) number(key string, v *value, into **int64) {
	if v.kind == 'n' {
		return
	}
	if v.kind != '#' || strings.ContainsAny(v.text, ".eE") {
		r.wrong(v, r.prefix+key, "a whole number"+durationHint(key, v))
		return
	}
	n, err := strconv.ParseInt(v.text, 10, 64)
	switch {
	case err == nil:
		*into = &n
	case errors.Is(err, strconv.ErrRange):
		if v.text[0] == '-' {
			r.add(v.at, CodeNegative, "%s is negative", r.prefix+key)
		} else {
			r.add(v.at, CodeOutOfRange, "%s is out of range: %s", r.prefix+key, cut(v.text, 64))
		}
		r.flawed(someField)
	default:
		r.wrong(v, r.prefix+key, "a whole number"+durationHint(key, v))
	}
}
