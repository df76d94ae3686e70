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
// definition again, and Canonical of that the same bytes. The error is about JSON in it that is none: input_data, input, for_each or output.
func Canonical(d *Definition) ([]byte, error) {
	var o fields
	if err := writeKeys(&o, definitionKeys, d); err != nil {
		return nil, err
	}
	return o.v.appendCanonical(nil), nil
}

func writeSteps(steps []Step) (value, error) {
	all := value{kind: '[', items: make([]value, 0, len(steps))}
	for i := range steps {
		var o fields
		if err := writeKeys(&o, stepKeys, &steps[i]); err != nil {
			return all, fmt.Errorf("step %s: %w", quote(steps[i].Name), err)
		}
		all.items = append(all.items, o.v)
	}
	return all, nil
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
	o.v.keys = append(o.v.keys, keyName{text: key})
	o.v.items = append(o.v.items, v)
}

// input is input_data as it will be written: null when it is absent.
func (s *Step) input() (value, error) { return keptJSON(s.InputData) }

// keptJSON is JSON as it will be written: null when it is absent.
func keptJSON(b json.RawMessage) (value, error) {
	if b == nil {
		return value{kind: 'n'}, nil
	}
	if err := CheckJSON(b, 0); err != nil {
		return value{}, err
	}
	v := readJSON(b)
	if err := v.duplicate(); err != nil {
		return value{}, fmt.Errorf("is ambiguous: %w", err)
	}
	return v, nil
}

// coefficient is the text of the backoff coefficient: as it was given, else the shortest decimal.
func (r *Retry) coefficient() string { return factorText(r.text, r.BackoffCoefficient) }

func factorText(given string, factor float64) string {
	if f, err := strconv.ParseFloat(given, 64); err == nil && f == factor {
		return given
	}
	b, err := json.Marshal(factor)
	if err != nil { // not a number, or infinite: Validate refuses it
		return "0"
	}
	return string(b)
}
