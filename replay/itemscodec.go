package replay

import (
	"encoding/binary"
	"fmt"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/pack"
)

// The items of a state's lists, in its encoding: for each list whose items are known
//
//	[step, payload of the list, sizes of the items (a bin of uvarints), item...]
//
// with each item up to the last that has begun:
//
//	[]                                               it has not begun
//	[1, fields of a step, answer...]                 an instance
//	[2, attempt, since, sequence, bytes, answer...]  it has completed
//
// Times count from the run's start and sequences from its first record. An answer is [attempt, hash, boot], where boot 0 is that of the
// run's newest events; it is left out where there is none, and in what a digest is of.
const (
	itemInstance  = 1
	itemCompleted = 2
)

// appendItems also says whether an item was skipped.
func (s *State) appendItems(f *fields, answers bool) (byHand bool) {
	var in fields
	f.key(kItems)
	known := 0
	for _, l := range s.lists {
		if l != nil {
			known++
		}
	}
	f.buf = pack.AppendArray(f.buf, known)
	for _, l := range s.lists {
		if l == nil {
			continue
		}
		begun := len(l.each)
		for begun > 0 && l.each[begun-1].st == nil && l.each[begun-1].seq == 0 {
			begun--
		}
		f.buf = pack.AppendArray(f.buf, 3+begun)
		f.buf = pack.AppendUint(f.buf, uint64(l.of))
		f.buf = appendPayload(f.buf, l.list)
		sizes := make([]byte, 0, 2*len(l.each))
		for k := range l.each {
			sizes = binary.AppendUvarint(sizes, uint64(l.each[k].size))
		}
		f.buf = pack.AppendBin(f.buf, sizes)
		for k := range l.each[:begun] {
			f.buf = s.appendItem(f.buf, &in, &l.each[k], answers)
		}
		byHand = byHand || l.skipped > 0
	}
	return byHand
}

func (s *State) appendItem(dst []byte, in *fields, it *item, answers bool) []byte {
	n, answer := 0, it.answer
	switch {
	case it.st != nil:
		n, answer = 2, it.st.Answer
	case it.completed():
		n = 5
	}
	if answers = answers && answer.Hash != 0; answers {
		n += 3
	}
	dst = pack.AppendArray(dst, n)
	switch {
	case it.st != nil:
		dst = pack.AppendUint(dst, itemInstance)
		it.st.fields(in)
		dst = in.flush(dst)
	case it.completed():
		dst = pack.AppendUint(dst, itemCompleted)
		dst = pack.AppendUint(dst, uint64(it.attempt))
		dst = pack.AppendInt(dst, it.since-s.CreatedAt)
		dst = pack.AppendUint(dst, it.seq-s.Run)
		dst = pack.AppendUint(dst, uint64(it.len))
	}
	if answers {
		dst = pack.AppendUint(dst, uint64(answer.Attempt))
		dst = pack.AppendUint(dst, answer.Hash)
		if answer.Boot == s.Boot {
			answer.Boot = 0
		}
		dst = pack.AppendUint(dst, answer.Boot)
	}
	return dst
}

func (s *State) readItems(r *pack.Reader) error {
	for range r.Array() {
		begun := r.Array() - 3
		of := Instance(r.Uint())
		list := s.Graph.ListOf(of)
		if r.Err() != nil {
			return nil // the caller says so
		}
		if list < 0 || s.itemsOf(of) != nil {
			return fmt.Errorf("replay: encoded state: items of step %d: %w", of, event.ErrFormat)
		}
		l := &items{of: of, list: readPayload(r)}
		for sizes := r.Bin(); len(sizes) > 0; {
			size, n := binary.Uvarint(sizes)
			if n <= 0 {
				return fmt.Errorf("replay: encoded state: sizes of the items of step %d: %w", of, event.ErrFormat)
			}
			l.each = append(l.each, item{size: uint32(size)})
			sizes = sizes[n:]
		}
		if begun > len(l.each) || len(l.each) > int(s.Graph.Lists[list].Room) {
			return fmt.Errorf("replay: encoded state: %d of %d items of step %d have begun: %w", begun, len(l.each), of, event.ErrFormat)
		}
		s.setItems(list, l)
		for k := range begun {
			if err := s.readItem(r, &l.each[k], s.Steps[of].kind); err != nil || r.Err() != nil {
				return err
			}
		}
	}
	return nil
}

func (s *State) readItem(r *pack.Reader, it *item, kind uint8) error {
	n := r.Array()
	if n == 0 {
		return nil
	}
	at := &it.answer
	switch tag := r.Uint(); tag {
	case itemInstance:
		it.st = &Step{kind: kind}
		if err := it.st.read(r); err != nil {
			return err
		}
		n -= 2
		at = &it.st.Answer
	case itemCompleted:
		it.attempt, it.since, it.seq, it.len = r.Uint32(), r.Int()+s.CreatedAt, r.Uint()+s.Run, r.Uint32()
		n -= 5
	default:
		return fmt.Errorf("replay: encoded item of form %d: %w", tag, event.ErrFormat)
	}
	if n == 3 {
		if *at = (Answer{Attempt: r.Uint32(), Hash: r.Uint(), Boot: r.Uint()}); at.Boot == 0 {
			at.Boot = s.Boot
		}
	}
	return nil
}

// recount counts how the items stand.
func (l *items) recount() {
	l.open, l.completed, l.failed, l.skipped, l.bytes = 0, 0, 0, 0, 0
	for k := range l.each {
		switch it := &l.each[k]; {
		case it.completed():
			l.completed++
			l.bytes += uint64(it.len)
		case it.st != nil:
			l.open += count(it.st.State.Open())
			l.failed += count(it.st.State == StepFailed)
			l.skipped += count(it.st.State == StepSkipped)
		}
	}
}

// countItems works out what the encoding leaves out.
func (s *State) countItems() error {
	for _, l := range s.lists {
		if l == nil {
			continue
		}
		l.recount()
		for k := range l.each {
			if st := l.each[k].st; st != nil && (st.State == StepCompleted || int(st.State) >= len(stepStates)) {
				return fmt.Errorf("replay: encoded state: item %d of step %d is kept, and its state is %d: %w", k, l.of, st.State, event.ErrFormat)
			}
		}
	}
	for i := range s.rounds {
		if s.At(i) == nil {
			return fmt.Errorf("replay: encoded state: a round of step %d, which is not there: %w", i, event.ErrFormat)
		}
	}
	for i := range s.filled {
		if !s.Known(i) && (s.Ends == 0 || !s.comesLast(i)) { // somebody may still have an item of an end that a retry took back
			return fmt.Errorf("replay: encoded state: templates of step %d, which is not there: %w", i, event.ErrFormat)
		}
	}
	return nil
}

// checkItems says which rule is broken: an item is as its step, and begins when there is room.
func (s *State) checkItems() string {
	for _, l := range s.lists {
		if l == nil {
			continue
		}
		was := *l
		l.recount()
		name, st := s.Graph.Def.Steps[l.of].Name, &s.Steps[l.of]
		if was.open != l.open || was.completed != l.completed || was.failed != l.failed || was.skipped != l.skipped || was.bytes != l.bytes {
			return fmt.Sprintf("9: of the items of step %q %d are open, %d completed and %d failed, want %d, %d and %d", name, was.open, was.completed, was.failed, l.open, l.completed, l.failed)
		}
		if l.open > 0 && st.State != StepWaiting {
			return fmt.Sprintf("9: %d items of step %q are open, and it is %s", l.open, name, st.State)
		}
		if _, more := l.waits(); s.moves(l.of) && st.State == StepWaiting && more && l.open < s.Graph.Def.Steps[l.of].ParallelOf() && !s.asksFill(l.of) {
			return fmt.Sprintf("9: %d items of step %q are open, and the next one does not begin", l.open, name)
		}
	}
	return ""
}
