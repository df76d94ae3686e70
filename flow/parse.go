package flow

import (
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

// ParseAny reads a definition as JSON if it begins with {, else as YAML. It reports what cannot be read; Validate the rest.
func ParseAny(b []byte) (*Definition, Problems) {
	for _, c := range b {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		case '{':
			return Parse(b)
		}
		break
	}
	return ParseYAML(b)
}

// Parse reads a definition from JSON. The problems are those of reading: text that is no JSON, keys that nobody knows or
// that stand twice or in the wrong place, values of the wrong type.
func Parse(b []byte) (*Definition, Problems) {
	if len(b) > MaxBytes {
		return nil, Problems{{Code: CodeTooLarge, Detail: "the definition is " + strconv.Itoa(len(b)) + " bytes, the limit is " + strconv.Itoa(MaxBytes)}}
	}
	if err := CheckJSON(b, 0); err != nil {
		return nil, Problems{{Code: CodeInvalidJSON, Detail: "the definition " + err.Error()}}
	}
	v, err := parseJSON(b, true)
	if err != nil {
		return nil, Problems{{Code: CodeInvalidJSON, Detail: "the definition: " + err.Error()}}
	}
	return fromValue(&v)
}

// reader turns a JSON value into a Definition and collects what does not fit.
type reader struct {
	problems Problems
	step     string
}

func fromValue(v *value) (*Definition, Problems) {
	r := &reader{}
	d := &Definition{}
	r.object(v, "the definition", func(key string, v *value) bool {
		if key != "steps" {
			return false
		}
		if v.kind != '[' {
			r.wrong("steps", "a list", v)
			return true
		}
		if len(v.items) > MaxSteps {
			r.problems.add(CodeTooLarge, "", "%d steps, the limit is %d", len(v.items), MaxSteps)
			return true
		}
		d.Steps = make([]Step, len(v.items))
		for i := range v.items {
			r.readStep(&d.Steps[i], &v.items[i])
		}
		return true
	})
	return d, r.problems
}

func (r *reader) wrong(key, want string, v *value) {
	r.problems.add(CodeWrongType, r.step, "%s must be %s, not %s", key, want, v.describe())
}

func (v *value) describe() string {
	switch v.kind {
	case 'n':
		return "null"
	case 'b':
		return "a boolean"
	case '#':
		return "the number " + v.text
	case '"':
		return "a string"
	case '[':
		return "a list"
	}
	return "an object"
}

// object calls fn for each key; fn says whether it knows it.
func (r *reader) object(v *value, what string, fn func(key string, v *value) bool) {
	if v.kind != '{' {
		r.wrong(what, "an object", v)
		return
	}
	for i, key := range v.keys {
		if !fn(key, &v.items[i]) {
			r.problems.add(CodeUnknownKey, r.step, "%s has an unknown key %q", what, key)
		}
	}
}

func (r *reader) readStep(s *Step, v *value) {
	r.step = ""
	for i, key := range v.keys {
		if key == "name" && v.items[i].kind == '"' {
			r.step = v.items[i].text
		}
	}
	r.object(v, "the step", func(key string, v *value) bool {
		switch key {
		case "name":
			r.text(key, v, &s.Name)
		case "type":
			var t string
			r.text(key, v, &t)
			if s.Type = StepType(t); t == "" {
				s.Type = TypeTask
			}
		case "service_name":
			r.text(key, v, &s.Service)
		case "handler_name":
			r.text(key, v, &s.Handler)
		case "dependencies":
			r.list(key, v, &s.Dependencies)
		case "object_keys":
			r.list(key, v, &s.ObjectKeys)
		case "input_data":
			if v.kind != 'n' {
				s.InputData = v.appendCanonical([]byte{})
			}
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
	if s.Type == "" {
		s.Type = TypeTask
	}
	r.step = ""
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
			r.count("retry."+key, v, &p.MaxAttempts)
		case "initial_interval_ms":
			r.count("retry."+key, v, &p.InitialIntervalMS)
		case "max_interval_ms":
			r.count("retry."+key, v, &p.MaxIntervalMS)
		case "backoff_coefficient":
			f, err := strconv.ParseFloat(v.text, 64)
			if v.kind != '#' || err != nil || math.IsInf(f, 0) {
				r.wrong("retry."+key, "a number", v)
			} else if p.BackoffCoefficient, p.text = f, v.text; f == 0 {
				p.BackoffCoefficient = math.SmallestNonzeroFloat64 // given, and below 1: Validate says so
			}
		default:
			return false
		}
		return true
	})
}

// count reads a number for which zero would stand for its default: a zero that was given is marked, for Validate to find.
func (r *reader) count(key string, v *value, into *int64) {
	var n *int64
	r.number(key, v, &n)
	if n == nil {
		return
	}
	if *into = *n; *n == 0 {
		*into = -1 << 62
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
	if v.kind == 'n' {
		return
	}
	if v.kind != '[' {
		r.wrong(key, "a list of strings", v)
		return
	}
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
	if v.kind == '#' && !strings.ContainsAny(v.text, ".eE") {
		n, err := strconv.ParseInt(v.text, 10, 64)
		if err == nil {
			*into = &n
			return
		}
		if errors.Is(err, strconv.ErrRange) {
			r.problems.add(CodeOutOfRange, r.step, "%s is out of range: %s", key, v.text)
			return
		}
	}
	r.wrong(key, "a whole number", v)
}
