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
// are left out, but for the names that each type of step must have, and for values that were given.
func Canonical(d *Definition) ([]byte, error) {
	v, err := d.value()
	if err != nil {
		return nil, err
	}
	return v.appendCanonical(nil), nil
}

// MarshalJSON gives the canonical form.
func (d Definition) MarshalJSON() ([]byte, error) { return Canonical(&d) }

type object struct{ v value }

func newObject() *object { return &object{value{kind: '{'}} }

func (o *object) put(key string, v value) {
	o.v.keys = append(o.v.keys, key)
	o.v.items = append(o.v.items, v)
}

func (o *object) text(key, s string) {
	if s != "" {
		o.put(key, value{kind: '"', text: s})
	}
}

func (o *object) number(key string, n *int64) {
	if n != nil {
		o.put(key, value{kind: '#', text: strconv.FormatInt(*n, 10)})
	}
}

func (o *object) list(key string, items []string) {
	if len(items) == 0 {
		return
	}
	l := value{kind: '['}
	for _, s := range items {
		l.items = append(l.items, value{kind: '"', text: s})
	}
	o.put(key, l)
}

func (d *Definition) value() (value, error) {
	steps := value{kind: '['}
	for i := range d.Steps {
		v, err := d.Steps[i].value()
		if err != nil {
			return v, fmt.Errorf("step %q: input_data: %w", d.Steps[i].Name, err)
		}
		steps.items = append(steps.items, v)
	}
	o := newObject()
	o.put("steps", steps)
	return o.v, nil
}

func (s *Step) value() (value, error) {
	o := newObject()
	o.put("name", value{kind: '"', text: s.Name})
	if s.Type != TypeTask {
		o.text("type", string(s.Type))
	}
	o.text("service_name", s.Service)
	o.text("handler_name", s.Handler)
	o.list("dependencies", s.Dependencies)
	o.list("object_keys", s.ObjectKeys)
	if s.InputData != nil {
		if err := CheckJSON(s.InputData, 0); err != nil {
			return o.v, err
		}
		in, err := parseJSON(s.InputData, true)
		if err != nil {
			return o.v, err
		}
		o.put("input_data", in)
	}
	o.number("timeout_ms", s.TimeoutMS)
	o.number("heartbeat_timeout_ms", s.HeartbeatTimeoutMS)
	if r := s.Retry; r != nil {
		p := newObject()
		for _, f := range []struct {
			key string
			n   int64
		}{{"max_attempts", r.MaxAttempts}, {"initial_interval_ms", r.InitialIntervalMS}, {"max_interval_ms", r.MaxIntervalMS}} {
			if f.n != 0 {
				p.number(f.key, &f.n)
			}
		}
		if r.BackoffCoefficient != 0 {
			p.put("backoff_coefficient", value{kind: '#', text: r.coefficient()})
		}
		o.put("retry", p.v)
	}
	if g := s.Signal; g != nil {
		p := newObject()
		p.put("name", value{kind: '"', text: g.Name})
		p.number("timeout_ms", g.TimeoutMS)
		p.text("on_timeout", g.OnTimeout)
		o.put("signal", p.v)
	}
	if t := s.Timer; t != nil {
		p := newObject()
		p.put("key", value{kind: '"', text: t.Key})
		p.number("delay_ms", t.DelayMS)
		p.text("cron_expr", t.Cron)
		p.text("time_zone", t.TimeZone)
		p.number("max_retries", t.MaxRetries)
		o.put("timer", p.v)
	}
	return o.v, nil
}

// coefficient is the text of the backoff coefficient: as it was given, else the shortest decimal.
func (r *Retry) coefficient() string {
	if f, err := strconv.ParseFloat(r.text, 64); err == nil && f == r.BackoffCoefficient {
		return r.text
	}
	b, err := json.Marshal(r.BackoffCoefficient)
	if err != nil { // not a number: Validate refuses it
		return "0"
	}
	return string(b)
}
