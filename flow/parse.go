package flow

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
)

// Limits of a definition.
const (
	MaxBytes = 8 << 20
	MaxSteps = 100_000
)

// documentNesting is how deep the text of a definition may be nested: input_data, which may be nested MaxNesting deep, stands
// in an object in a list in an object.
const documentNesting = MaxNesting + 3

// Read reads a definition as JSON or YAML, as ParseAny does, and validates it: every problem at once.
func Read(b []byte) (*Definition, Problems) {
	r := readAny(b)
	if r.d == nil {
		return nil, r.problems()
	}
	v := newValidator(r.d)
	v.findings, v.flaws = r.findings, r.flaws
	v.check()
	return r.d, v.problems()
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
		r.whole(CodeInvalidJSON, "the definition is empty: want steps, as YAML or JSON")
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
		r.whole(CodeTooLarge, "the definition is %d bytes, the limit is %d", len(b), MaxBytes)
	} else if err := checkJSON(b, 0, documentNesting); err != nil {
		r.whole(CodeInvalidJSON, "the definition %v", err)
	} else {
		v := readJSON(b)
		r.definition(&v)
	}
	return r
}

// reader turns a JSON value into a Definition and collects what does not fit.
type reader struct {
	findings
	d     *Definition // nil: the text could not be read
	flaws map[int]flaw
	at    int // index of the step being read; -1: outside
	name  string
}

// flaw is what could not be read of a step, so that Validate does not report it as missing, too.
type flaw uint8

const (
	someField flaw = 1 + iota
	itsType        // or all of it
)

func (r *reader) add(code, format string, args ...any) {
	if r.at < 0 {
		r.whole(code, format, args...)
		return
	}
	r.step(r.at, r.name, code, format, args...)
}

func (r *reader) flawed(f flaw) {
	if r.flaws == nil {
		r.flaws = map[int]flaw{}
	}
	r.flaws[r.at] = max(r.flaws[r.at], f)
}

func (r *reader) wrong(key, want string, v *value) {
	r.add(CodeWrongType, "%s must be %s, not %s", key, want, v.describe())
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
	r.d, r.at = &Definition{}, -1
	r.object(v, "the definition", func(key string, v *value) bool {
		if key != "steps" {
			return false
		}
		switch {
		case v.kind != '[':
			r.wrong("steps", "a list", v)
		case len(v.items) > MaxSteps:
			r.add(CodeTooLarge, "%d steps, the limit is %d", len(v.items), MaxSteps)
			r.flawed(someField)
		default:
			r.d.Steps = make([]Step, len(v.items))
			for i := range v.items {
				r.at, r.name = i, v.items[i].nameOfStep()
				r.readStep(&r.d.Steps[i], &v.items[i])
			}
			r.at = -1
		}
		return true
	})
}

// object calls fn for each key, once; fn says whether it knows it.
func (r *reader) object(v *value, what string, fn func(key string, v *value) bool) {
	if v.kind != '{' {
		r.wrong(what, "an object", v)
		return
	}
	if key, twice := v.repeated(); twice {
		r.add(CodeKeyDuplicate, "%s has the key %s twice", what, quote(key))
	}
	for i, key := range v.keys {
		if !fn(key, &v.items[i]) {
			r.add(CodeUnknownKey, "%s has an unknown key %s", what, quote(key))
		}
	}
}

func (v *value) nameOfStep() string {
	for i, key := range v.keys {
		if key == "name" && v.items[i].kind == '"' {
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
	r.object(v, "the step", func(key string, v *value) bool {
		switch key {
		case "name":
			r.text(key, v, &s.Name)
		case "type":
			r.stepType(v, &s.Type)
		case "service_name":
			r.text(key, v, &s.Service)
		case "handler_name":
			r.text(key, v, &s.Handler)
		case "dependencies":
			r.list(key, v, &s.Dependencies)
		case "object_keys":
			r.list(key, v, &s.ObjectKeys)
		case "input_data":
			r.input(v, s)
		case "timeout_ms":
			r.number(key, v, &s.TimeoutMS)
		case "heartbeat_timeout_ms":
			r.number(key, v, &s.HeartbeatTimeoutMS)
		case "retry":
			r.optional(v, func() { s.Retry = &Retry{}; r.retry(v, s.Retry) })
		case "signal":
			r.optional(v, func() { s.Signal = &Signal{}; r.signal(v, s.Signal) })
		case "timer":
			r.optional(v, func() { s.Timer = &Timer{}; r.timer(v, s.Timer) })
		default:
			return false
		}
		return true
	})
}

func (r *reader) stepType(v *value, into *StepType) {
	switch {
	case v.kind == 'n':
	case v.kind != '"':
		r.wrong("type", "a string", v)
		r.flawed(itsType)
	case v.text == "": // in Go the zero value means a task; in a text somebody wrote it
		r.add(CodeTypeUnknown, "type is empty; %s", wantType)
		r.flawed(itsType)
	default:
		*into = StepType(v.text)
	}
}

func (r *reader) input(v *value, s *Step) {
	if err := v.duplicate(); err != nil {
		r.add(CodeKeyDuplicate, "input_data is ambiguous: %v", err)
	} else if v.kind != 'n' {
		s.InputData = v.appendCanonical(nil)
	}
}

// optional passes over null, which stands for an absent value.
func (r *reader) optional(v *value, fn func()) {
	if v.kind != 'n' {
		fn()
	}
}

func (r *reader) retry(v *value, p *Retry) {
	r.object(v, "retry", func(key string, v *value) bool {
		switch key {
		case "max_attempts":
			r.count(p, zeroAttempts, "retry."+key, v, &p.MaxAttempts)
		case "initial_interval_ms":
			r.count(p, zeroInitial, "retry."+key, v, &p.InitialIntervalMS)
		case "max_interval_ms":
			r.count(p, zeroMax, "retry."+key, v, &p.MaxIntervalMS)
		case "backoff_coefficient":
			r.optional(v, func() { r.coefficient(p, "retry."+key, v) })
		default:
			return false
		}
		return true
	})
}

func (r *reader) coefficient(p *Retry, key string, v *value) {
	f, err := strconv.ParseFloat(v.text, 64)
	switch {
	case v.kind != '#':
		r.wrong(key, "a number", v)
	case err != nil || math.IsInf(f, 0):
		r.add(CodeOutOfRange, "%s is out of range: %s", key, cut(v.text, 64))
	default:
		p.BackoffCoefficient, p.text = f, v.text
		if f == 0 {
			p.zeros |= zeroCoefficient
		}
	}
}

// count reads a number for which zero would stand for its default, and notes a zero that was given.
func (r *reader) count(p *Retry, zero zeroField, key string, v *value, into *int64) {
	var n *int64
	r.number(key, v, &n)
	if n == nil {
		return
	}
	if *into = *n; *n == 0 {
		p.zeros |= zero
	}
}

func (r *reader) signal(v *value, g *Signal) {
	r.object(v, "signal", func(key string, v *value) bool {
		switch key {
		case "name":
			r.text("signal."+key, v, &g.Name)
		case "timeout_ms":
			r.number("signal."+key, v, &g.TimeoutMS)
		case "on_timeout":
			r.text("signal."+key, v, &g.OnTimeout)
		default:
			return false
		}
		return true
	})
}

func (r *reader) timer(v *value, t *Timer) {
	r.object(v, "timer", func(key string, v *value) bool {
		switch key {
		case "key":
			r.text("timer."+key, v, &t.Key)
		case "delay_ms":
			r.number("timer."+key, v, &t.DelayMS)
		case "cron_expr":
			r.text("timer."+key, v, &t.Cron)
		case "time_zone":
			r.text("timer."+key, v, &t.TimeZone)
		case "max_retries":
			r.number("timer."+key, v, &t.MaxRetries)
		default:
			return false
		}
		return true
	})
}

func (r *reader) text(key string, v *value, into *string) {
	switch v.kind {
	case '"':
		*into = v.text
	case 'n':
	default:
		r.wrong(key, "a string", v)
	}
}

func (r *reader) list(key string, v *value, into *[]string) {
	switch v.kind {
	case 'n':
		return
	case '[':
	default:
		r.wrong(key, "a list of strings", v)
		return
	}
	*into = make([]string, 0, len(v.items))
	for i := range v.items {
		if v.items[i].kind != '"' {
			r.wrong(key, "a list of strings", &v.items[i])
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
		r.wrong(key, "a whole number", v)
		return
	}
	n, err := strconv.ParseInt(v.text, 10, 64)
	switch {
	case err == nil:
		*into = &n
	case errors.Is(err, strconv.ErrRange):
		if v.text[0] == '-' {
			r.add(CodeNegative, "%s is negative", key)
		} else {
			r.add(CodeOutOfRange, "%s is out of range: %s", key, cut(v.text, 64))
		}
		r.flawed(someField)
	default:
		r.wrong(key, "a whole number", v)
	}
}
