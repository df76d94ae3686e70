package event

import (
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/internal/pack"
	"github.com/agnt5/agnt5d/internal/refusal"
)

// Format is the version byte of every body that this release writes.
//
//	body  = format(1 byte) event...
//	event = msgpack array [kind, field...]   trailing zero fields left out; fields in the order of layouts
const Format = 0

// ErrFormat is wrapped by Decode's errors for bodies that a newer release wrote.
var ErrFormat = refusal.ErrNewerRelease

// AppendBody appends the body of one record: the format byte and every event.
func AppendBody(dst []byte, events []Event) []byte {
	dst = append(dst, Format)
	for i := range events {
		dst = appendEvent(dst, &events[i])
	}
	return dst
}

func appendEvent(dst []byte, e *Event) []byte {
	layout := layouts[e.Kind]
	n := len(layout)
	for n > 0 && e.isZero(layout[n-1]) {
		n--
	}
	dst = pack.AppendArray(dst, n+1)
	dst = pack.AppendUint(dst, uint64(e.Kind))
	for _, f := range layout[:n] {
		dst = e.appendField(dst, f)
	}
	return dst
}

func (e *Event) isZero(f field) bool {
	switch f {
	case fStep:
		return e.Step == 0
	case fAttempt:
		return e.Attempt == 0
	case fTimer:
		return e.Timer == 0
	case fDue:
		return e.Due == 0
	case fTime:
		return e.Time == 0
	case fRef:
		return e.Ref == 0
	case fHash:
		return e.Hash == 0
	case fVersion:
		return e.Version == 0
	case fForced:
		return !e.Forced
	case fName:
		return e.Name == ""
	case fID:
		return e.ID == ""
	case fDigest:
		return e.Digest == ""
	case fCode:
		return e.Code == ""
	case fMessage:
		return e.Message == ""
	case fType:
		return e.Type == ""
	case fStack:
		return e.Stack == ""
	case fTrace:
		return e.Trace == ""
	case fBy:
		return e.By == ""
	case fPayload:
		return e.Payload == nil
	case fObjects:
		return len(e.Objects) == 0
	case fBoot:
		return e.Boot == 0
	case fTags:
		return len(e.Tags) == 0
	case fParent:
		return e.Parent == nil
	}
	return true
}

func (e *Event) appendField(dst []byte, f field) []byte {
	switch f {
	case fStep:
		return pack.AppendUint(dst, uint64(uint32(e.Step)))
	case fAttempt:
		return pack.AppendUint(dst, uint64(e.Attempt))
	case fTimer:
		return pack.AppendUint(dst, uint64(uint32(e.Timer)))
	case fDue:
		return pack.AppendInt(dst, e.Due)
	case fTime:
		return pack.AppendInt(dst, e.Time)
	case fRef:
		return pack.AppendUint(dst, e.Ref)
	case fHash:
		return pack.AppendUint(dst, e.Hash)
	case fVersion:
		return pack.AppendUint(dst, uint64(e.Version))
	case fForced:
		return pack.AppendBool(dst, e.Forced)
	case fName:
		return pack.AppendString(dst, e.Name)
	case fID:
		return pack.AppendString(dst, e.ID)
	case fDigest:
		return pack.AppendString(dst, e.Digest)
	case fCode:
		return pack.AppendString(dst, e.Code)
	case fMessage:
		return pack.AppendString(dst, e.Message)
	case fType:
		return pack.AppendString(dst, e.Type)
	case fStack:
		return pack.AppendString(dst, e.Stack)
	case fTrace:
		return pack.AppendString(dst, e.Trace)
	case fBy:
		return pack.AppendString(dst, e.By)
	case fPayload:
		return pack.AppendBin(dst, e.Payload)
	case fObjects:
		dst = pack.AppendArray(dst, len(e.Objects))
		for i := range e.Objects {
			o := &e.Objects[i]
			dst = pack.AppendArray(dst, 4)
			dst = pack.AppendString(dst, o.Key)
			dst = pack.AppendBin(dst, o.State)
			dst = pack.AppendUint(dst, o.Version)
			dst = pack.AppendUint(dst, o.Fence)
		}
		return dst
	case fBoot:
		return pack.AppendUint(dst, e.Boot)
	case fTags:
		return AppendTags(dst, e.Tags)
	case fParent:
		return AppendParent(dst, e.Parent)
	}
	panic(fmt.Sprintf("event: field %d is in a layout, and nothing writes it", f))
}

// Decode gives the events of a body to fn, in order. The event is reused from call to call; its byte slices point into
// body. It never panics and allocates no more than body justifies, whatever body holds.
func Decode(body []byte, fn func(i int, e *Event) error) error {
	if len(body) == 0 {
		return errors.New("event: empty body")
	}
	if body[0] > Format {
		return fmt.Errorf("event: format %d, this release reads up to %d: %w", body[0], Format, ErrFormat)
	}
	r := *pack.NewReader(body[1:])
	var e Event
	for i := 0; r.Len() > 0; i++ {
		e = Event{}
		if err := decodeEvent(&r, &e); err != nil {
			return fmt.Errorf("event: event %d of the record: %w", i, err)
		}
		if err := fn(i, &e); err != nil {
			return err
		}
	}
	return nil
}

// Read is Decode for those who only show events: one that a newer release wrote is given with its kind alone, opaque. Of a body
// of a newer format nothing is known but the number of its events, count; their kind is 0.
func Read(body []byte, count uint32, fn func(i int, e *Event, opaque bool) error) error {
	if len(body) > 0 && body[0] > Format {
		for i := range int(count) {
			if err := fn(i, &Event{}, true); err != nil {
				return err
			}
		}
		return nil
	}
	if len(body) == 0 {
		return errors.New("event: empty body")
	}
	r := *pack.NewReader(body[1:])
	for i := 0; r.Len() > 0; i++ {
		at, e := r, Event{}
		err := decodeEvent(&r, &e)
		opaque := errors.Is(err, ErrFormat)
		if opaque {
			r = at
			for n := r.Array(); n > 0; n-- {
				r.Skip()
			}
			e, err = Event{Kind: kindAt(at)}, r.Err()
		}
		if err != nil {
			return fmt.Errorf("event: event %d of the record: %w", i, err)
		}
		if err := fn(i, &e, opaque); err != nil {
			return err
		}
	}
	return nil
}

// kindAt is the kind of the event that a reader stands before; 0 when it is no number of a kind.
func kindAt(r pack.Reader) Kind {
	r.Array()
	if k := r.Uint(); k <= 255 {
		return Kind(k)
	}
	return 0
}

// DecodeAll gives the events of a body as a slice.
func DecodeAll(body []byte) ([]Event, error) {
	var all []Event
	err := Decode(body, func(_ int, e *Event) error {
		all = append(all, *e)
		return nil
	})
	return all, err
}

func decodeEvent(r *pack.Reader, e *Event) error {
	n := r.Array()
	k := r.Uint()
	if r.Err() != nil {
		return r.Err()
	}
	if k >= uint64(len(layouts)) || layouts[k] == nil {
		return fmt.Errorf("unknown kind %d: %w", k, ErrFormat)
	}
	e.Kind = Kind(k)
	layout := layouts[k]
	if n < 1 || n-1 > len(layout) {
		return fmt.Errorf("%s with %d fields, this release knows %d: %w", e.Kind, n-1, len(layout), ErrFormat)
	}
	for _, f := range layout[:n-1] {
		e.readField(r, f)
	}
	return r.Err()
}

func (e *Event) readField(r *pack.Reader, f field) {
	switch f {
	case fBoot:
		e.Boot = r.Uint()
	case fStep:
		e.Step = r.Int32()
	case fAttempt:
		e.Attempt = r.Uint32()
	case fTimer:
		e.Timer = r.Int32()
	case fDue:
		e.Due = r.Int()
	case fTime:
		e.Time = r.Int()
	case fRef:
		e.Ref = r.Uint()
	case fHash:
		e.Hash = r.Uint()
	case fVersion:
		e.Version = r.Uint32()
	case fForced:
		e.Forced = r.Bool()
	case fName:
		e.Name = r.String()
	case fID:
		e.ID = r.String()
	case fDigest:
		e.Digest = r.String()
	case fCode:
		e.Code = r.String()
	case fMessage:
		e.Message = r.String()
	case fType:
		e.Type = r.String()
	case fStack:
		e.Stack = r.String()
	case fTrace:
		e.Trace = r.String()
	case fBy:
		e.By = r.String()
	case fPayload:
		e.Payload = r.Bin()
	case fObjects:
		n := r.Array()
		for i := 0; i < n && r.Err() == nil; i++ {
			if r.Array() != 4 {
				r.Fail("object write")
				return
			}
			e.Objects = append(e.Objects, ObjectWrite{Key: r.String(), State: r.Bin(), Version: r.Uint(), Fence: r.Uint()})
		}
	case fTags:
		e.Tags = ReadTags(r)
	case fParent:
		e.Parent = ReadParent(r)
	}
}

// AppendTags writes tags: a list of [name, value], or [name] of one that was taken away.
func AppendTags(dst []byte, tags []Tag) []byte {
	dst = pack.AppendArray(dst, len(tags))
	for _, t := range tags {
		if t.Gone {
			dst = pack.AppendString(pack.AppendArray(dst, 1), t.Name)
			continue
		}
		dst = pack.AppendString(pack.AppendString(pack.AppendArray(dst, 2), t.Name), t.Value)
	}
	return dst
}

// ReadTags reads what AppendTags wrote.
func ReadTags(r *pack.Reader) (tags []Tag) {
	n := r.Array()
	for i := 0; i < n && r.Err() == nil; i++ {
		switch r.Array() {
		case 1:
			tags = append(tags, Tag{Name: r.String(), Gone: true})
		case 2:
			tags = append(tags, Tag{Name: r.String(), Value: r.String()})
		default:
			r.Fail("tag")
		}
	}
	return tags
}
