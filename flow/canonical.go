package flow

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
)

// Digest names a definition: "sha256:" and the hash of its canonical JSON in hex.
type Digest string

// DigestOf is the digest of canonical JSON.
func DigestOf(canonical []byte) Digest {
	sum := sha256.Sum256(canonical)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// Canonical is the one form of a definition: compact JSON, keys sorted, ASCII, number text as given. Fields that are empty
// are left out, but for the names that each type of step must have, and for zeros that were given. Parse of it gives the same
// definition again, and Canonical of that the same bytes. The error is about input_data that is not JSON.
func Canonical(d *Definition) ([]byte, error) {
	steps := value{kind: '[', items: make([]value, 0, len(d.Steps))}
	for i := range d.Steps {
		v, err := d.Steps[i].value()
		if err != nil {
			return nil, fmt.Errorf("step %s: input_data %w", quote(d.Steps[i].Name), err)
		}
		steps.items = append(steps.items, v)
	}
	var o fields
	o.put("steps", steps)
	return o.v.appendCanonical(nil), nil
}

// MarshalJSON gives the canonical form. (Package json then escapes <, > and & in it; Canonical does not.)
func (d Definition) MarshalJSON() ([]byte, error) { return Canonical(&d) }

// UnmarshalJSON is Parse.
func (d *Definition) UnmarshalJSON(b []byte) error {
	parsed, problems := Parse(b)
	if len(problems) > 0 {
		return problems
	}
	*d = *parsed
	return nil
}

// fields is an object under construction.
type fields struct{ v value }

func (o *fields) put(key string, v value) {
	o.v.kind = '{'
	o.v.keys = append(o.v.keys, key)
	o.v.items = append(o.v.items, v)
}

func (o *fields) text(key, s string) {
	if s != "" {
		o.name(key, s)
	}
}

// name puts a text that is written when it is empty, too.
func (o *fields) name(key, s string) { o.put(key, value{kind: '"', text: s}) }

func (o *fields) number(key string, n *int64) {
	if n != nil {
		o.put(key, value{kind: '#', text: strconv.FormatInt(*n, 10)})
	}
}

func (o *fields) list(key string, items []string) {
	if len(items) == 0 {
		return
	}
	l := value{kind: '[', items: make([]value, 0, len(items))}
	for _, s := range items {
		l.items = append(l.items, value{kind: '"', text: s})
	}
	o.put(key, l)
}

func (s *Step) value() (value, error) {
	var o fields
	o.name("name", s.Name)
	if s.Type != TypeTask {
		o.text("type", string(s.Type))
	}
	o.text("service_name", s.Service)
	o.text("handler_name", s.Handler)
	o.list("dependencies", s.Dependencies)
	o.list("object_keys", s.ObjectKeys)
	in, err := s.input()
	if err != nil {
		return o.v, err
	}
	if in.kind != 'n' {
		o.put("input_data", in)
	}
	o.number("timeout_ms", s.TimeoutMS)
	o.number("heartbeat_timeout_ms", s.HeartbeatTimeoutMS)
	if s.Retry != nil {
		o.put("retry", s.Retry.value())
	}
	if g := s.Signal; g != nil {
		var p fields
		p.name("name", g.Name)
		p.number("timeout_ms", g.TimeoutMS)
		p.text("on_timeout", g.OnTimeout)
		o.put("signal", p.v)
	}
	if t := s.Timer; t != nil {
		var p fields
		p.name("key", t.Key)
		p.number("delay_ms", t.DelayMS)
		p.text("cron_expr", t.Cron)
		p.text("time_zone", t.TimeZone)
		p.number("max_retries", t.MaxRetries)
		o.put("timer", p.v)
	}
	return o.v, nil
}

// input is input_data as it will be written: null when it is absent.
func (s *Step) input() (value, error) {
	if s.InputData == nil {
		return value{kind: 'n'}, nil
	}
	if err := CheckJSON(s.InputData, 0); err != nil {
		return value{}, err
	}
	v := readJSON(s.InputData)
	if err := v.duplicate(); err != nil {
		return value{}, fmt.Errorf("is ambiguous: %w", err)
	}
	return v, nil
}

func (r *Retry) value() value {
	o := fields{value{kind: '{'}}
	put := func(key string, n int64, zero zeroField) {
		if n != 0 || r.zeros&zero != 0 {
			o.number(key, &n)
		}
	}
	put("max_attempts", r.MaxAttempts, zeroAttempts)
	put("initial_interval_ms", r.InitialIntervalMS, zeroInitial)
	put("max_interval_ms", r.MaxIntervalMS, zeroMax)
	if r.BackoffCoefficient != 0 || r.zeros&zeroCoefficient != 0 {
		o.put("backoff_coefficient", value{kind: '#', text: r.coefficient()})
	}
	return o.v
}

// coefficient is the text of the backoff coefficient: as it was given, else the shortest decimal.
func (r *Retry) coefficient() string {
	if f, err := strconv.ParseFloat(r.text, 64); err == nil && f == r.BackoffCoefficient {
		return r.text
	}
	b, err := json.Marshal(r.BackoffCoefficient)
	if err != nil { // not a number, or infinite: Validate refuses it
		return "0"
	}
	return string(b)
}
