package event

import (
	"errors"
	"slices"

	"github.com/agnt5/agnt5d/internal/pack"
)

// Payloads gives a body in which change was made to each payload of its events and to each object state in them; nothing else is
// different. changed false: there was nothing to change, and it is body itself. What a newer release wrote stays as it is.
func Payloads(body []byte, change func(payload []byte) ([]byte, error)) (out []byte, changed bool, err error) {
	if len(body) == 0 || body[0] > Format {
		return body, false, nil
	}
	out = append(make([]byte, 0, len(body)+len(body)/8+64), Format)
	r := *pack.NewReader(body[1:])
	var e Event
	for r.Len() > 0 {
		at := r
		from := len(body) - r.Len()
		e = Event{}
		if err := decodeEvent(&r, &e); errors.Is(err, ErrFormat) {
			r = at
			for n := r.Array(); n > 0; n-- {
				r.Skip()
			}
			if r.Err() != nil {
				return nil, false, r.Err()
			}
			out = append(out, body[from:len(body)-r.Len()]...)
			continue
		} else if err != nil {
			return nil, false, err
		}
		did, err := e.changePayloads(change)
		if err != nil {
			return nil, false, err
		}
		if !did {
			out = append(out, body[from:len(body)-r.Len()]...)
			continue
		}
		changed = true
		out = appendEvent(out, &e)
	}
	if !changed {
		return body, false, nil
	}
	return out, true, nil
}

func (e *Event) changePayloads(change func([]byte) ([]byte, error)) (did bool, err error) {
	if len(e.Payload) > 0 && e.Kind != RunsDeleted { // whose payload is a list of runs
		if e.Payload, err = change(e.Payload); err != nil {
			return false, err
		}
		did = true
	}
	if len(e.Objects) > 0 {
		e.Objects = slices.Clone(e.Objects)
	}
	for i := range e.Objects {
		if o := &e.Objects[i]; len(o.State) > 0 {
			if o.State, err = change(o.State); err != nil {
				return false, err
			}
			did = true
		}
	}
	return did, nil
}
