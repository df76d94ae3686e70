package replay

import (
	"fmt"
	"maps"
	"slices"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/pack"
)

// Templates: what a step's input and object keys say in expressions is worked out once, when the step first becomes ready, and recorded.
// A retry of the step, or of its run, takes what was recorded.

// filled is what the templates of an instance came to.
type filled struct {
	input Payload
	keys  []string // nil: those of its spec
}

// prepared says whether it is known what the templates of an instance came to.
func (s *State) prepared(i Instance) bool {
	_, ok := s.filled[i]
	return ok
}

// asksTemplates says whether it must be worked out what the templates of an instance come to. Those of a step with items are the items'.
func (s *State) asksTemplates(i Instance) bool {
	of := s.of(i)
	return s.Graph.Templates(of) && !s.prepared(i) && (s.Graph.Def.Steps[of].ForEach == nil || of != i)
}

// Templates says which templates of an instance must be worked out now.
func (s *State) Templates(i Instance) (any, ofKeys bool) {
	if !s.asksTemplates(i) {
		return false, false
	}
	return true, s.Graph.KeyTemplates(s.of(i))
}

// StepInput gives what the templates of an instance's input came to; false: it has none, or has not been ready.
func (s *State) StepInput(i Instance) (Payload, bool) {
	f := s.filled[s.Target(i)]
	return f.input, f.input.Seq != 0
}

// Keys gives the object keys of an instance.
func (s *State) Keys(i Instance) []string {
	if f, ok := s.filled[s.Target(i)]; ok && f.keys != nil {
		return f.keys
	}
	return s.Spec(i).ObjectKeys
}

// prepare records what the templates of an instance came to.
func (t *Turn) prepare(i Instance, got Evaluated) {
	if !t.S.asksTemplates(i) {
		return
	}
	e := event.Event{Kind: event.TemplatesEvaluated, Step: i, Payload: got.Input}
	for _, key := range got.Keys {
		e.Objects = append(e.Objects, event.ObjectWrite{Key: key})
	}
	t.add(e)
}

func (s *State) templates(seq uint64, e *event.Event) {
	if s.filled == nil {
		s.filled = map[Instance]filled{}
	}
	f := filled{input: keepIf(seq, e.Payload)}
	for i := range e.Objects {
		f.keys = append(f.keys, e.Objects[i].Key)
	}
	s.filled[e.Step] = f
}

// Numbers of the fields of what templates came to; kOf is the instance.
const (
	kFilledInput = iota + 1
	kFilledKeys
)

func (s *State) appendFilled(f *fields) {
	if len(s.filled) == 0 {
		return
	}
	var in fields
	f.key(kFilled)
	f.buf = pack.AppendArray(f.buf, len(s.filled))
	for _, i := range slices.Sorted(maps.Keys(s.filled)) {
		one := s.filled[i]
		in.uint(kOf, uint64(i))
		in.payload(kFilledInput, one.input)
		if len(one.keys) > 0 {
			in.key(kFilledKeys)
			in.buf = pack.AppendArray(in.buf, len(one.keys))
			for _, key := range one.keys {
				in.buf = pack.AppendString(in.buf, key)
			}
		}
		f.buf = in.flush(f.buf)
	}
}

func (s *State) readFilled(r *pack.Reader) error {
	s.filled = map[Instance]filled{}
	for range r.Array() {
		var i Instance
		var one filled
		for range r.Map() {
			switch k := r.Uint(); k {
			case kOf:
				i = Instance(r.Uint())
			case kFilledInput:
				one.input = readPayload(r)
			case kFilledKeys:
				for range r.Array() {
					one.keys = append(one.keys, r.String())
				}
			default:
				return fmt.Errorf("replay: encoded templates have an unknown field %d: %w", k, event.ErrFormat)
			}
			if r.Err() != nil {
				return nil // the caller says so
			}
		}
		if r.Err() != nil {
			return nil
		}
		if s.At(i) == nil && !s.isItem(i) { // items come later
			return fmt.Errorf("replay: encoded state: templates of step %d, which is not there: %w", i, event.ErrFormat)
		}
		s.filled[i] = one
	}
	return nil
}
