package archive

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/cursor"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
)

// listsBytes is how much is kept of the lists that steps go over, and of what each of their items is sent besides: each item asks for
// them, and to read them for each would cost the more the longer the list is.
const (
	listsBytes = 32 << 20
	entryBytes = 128 // of what is kept beside the bytes themselves
)

// lists are those that were asked for last.
type lists struct {
	mu    sync.Mutex
	of    map[listKey]*list
	bytes int // of those that have been read
	clock uint64
}

// listKey is the sequence of the event that holds it, and whether it is taken apart.
type listKey struct {
	seq   uint64
	apart bool
}

type list struct {
	whole json.RawMessage   // what items are sent besides
	items []json.RawMessage // of a list that is taken apart
	bytes int
	used  uint64

	read chan struct{} // closed once it has been read, or could not be
	err  error
}

// Shared is Payload of what many items are sent: a large one is read once. It must not be changed.
func (a *Archive) Shared(p replay.Payload) (json.RawMessage, error) {
	if p.Data != nil || p.Seq == 0 {
		return a.Payload(p)
	}
	l, err := a.lists.get(listKey{p.Seq, false}, func(l *list) error {
		b, err := a.Payload(p)
		l.whole, l.bytes = b[:len(b):len(b)], len(b)
		return err
	})
	return l.whole, err
}

// Item gives one item of a list that a step goes over, byte for byte. It must not be changed.
func (a *Archive) Item(of replay.Payload, index int) (json.RawMessage, error) {
	l, err := a.lists.get(listKey{of.Seq, true}, func(l *list) error {
		b, err := a.Payload(of)
		if err != nil {
			return err
		}
		n := 0
		flow.EachItem(b, func([]byte) { n++ })
		l.items, l.bytes = make([]json.RawMessage, 0, n), len(b)+24*n
		flow.EachItem(b, func(item []byte) { l.items = append(l.items, item[:len(item):len(item)]) })
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case index >= len(l.items):
		return nil, fmt.Errorf("the list of event %d has %d items, and item %d is asked for", of.Seq, len(l.items), index)
	}
	return l.items[index], nil
}

// get gives what is kept, or reads it. Whoever else asks for it meanwhile waits: when a step begins, so many items as may be open ask at once.
func (c *lists) get(key listKey, read func(*list) error) (*list, error) {
	c.mu.Lock()
	l := c.of[key]
	if l != nil {
		c.clock++
		l.used = c.clock
		c.mu.Unlock()
		<-l.read
		return l, l.err
	}
	l = &list{read: make(chan struct{})}
	if c.of == nil {
		c.of = map[listKey]*list{}
	}
	c.of[key] = l
	c.mu.Unlock()
	l.err = read(l)
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(l.read)
	if l.err != nil {
		delete(c.of, key) // the next one reads it anew
		return l, l.err
	}
	c.clock++
	l.bytes += entryBytes
	l.used, c.bytes = c.clock, c.bytes+l.bytes
	for c.bytes > listsBytes && c.dropOldest() {
	}
	return l, nil
}

// dropOldest drops what was asked for longest ago, of what others have read. It says whether there was one.
func (c *lists) dropOldest() bool {
	var oldest *list
	var at listKey
	for key, l := range c.of {
		if l.isRead() && (oldest == nil || l.used < oldest.used) {
			oldest, at = l, key
		}
	}
	if oldest == nil {
		return false
	}
	c.bytes -= oldest.bytes
	delete(c.of, at)
	return true
}

func (l *list) isRead() bool {
	select {
	case <-l.read:
		return true
	default:
		return false
	}
}

// Join gives the list of these payloads, in order and byte for byte; one with Seq 0 is null. Each record is read once.
func (a *Archive) Join(parts []replay.Payload) (json.RawMessage, error) {
	order := make([]int, 0, len(parts)) // of those that must be read, by sequence
	at := make([]int, len(parts))       // where each stands in the list
	size := 1
	for i, p := range parts {
		at[i] = size
		if p.Seq == 0 {
			size += len("null") + 1
			continue
		}
		order = append(order, i)
		size += int(p.Len) + 1
	}
	slices.SortFunc(order, func(i, j int) int {
		return int(int64(parts[i].Seq) - int64(parts[j].Seq))
	})
	out := make([]byte, max(size, 2))
	out[0], out[len(out)-1] = '[', ']'
	for i, p := range parts {
		if p.Seq == 0 {
			copy(out[at[i]:], "null")
		}
		if i > 0 {
			out[at[i]-1] = ','
		}
	}
	for len(order) > 0 {
		rec, err := a.j.Get(parts[order[0]].Seq)
		if err != nil {
			return nil, err
		}
		err = event.Decode(rec.Body, func(n int, e *event.Event) error {
			if len(order) == 0 || parts[order[0]].Seq != rec.Seq+uint64(n) {
				return nil
			}
			p := parts[order[0]]
			if len(e.Payload) != int(p.Len) {
				return fmt.Errorf("event %d holds %d bytes, want %d", p.Seq, len(e.Payload), p.Len)
			}
			copy(out[at[order[0]]:], e.Payload)
			order = order[1:]
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(order) > 0 && parts[order[0]].Seq < rec.End() {
			return nil, fmt.Errorf("event %d is not in its record", parts[order[0]].Seq)
		}
	}
	return out, nil
}

// ItemsAsked says which items of a step a status shows.
type ItemsAsked struct {
	Step   string
	State  string // only those in this state; "": all
	Cursor string // of the page before; "": from the first on
	Limit  int    // 0: 100
}

// itemPage gives a page of a step's items.
func (a *Archive) itemPage(l *Look, ask *ItemsAsked) (*model.ItemPage, error) {
	s := l.S
	step, ok := s.Graph.Index[ask.Step]
	if !ok || s.Graph.Def.Steps[step].ForEach == nil {
		return nil, fmt.Errorf("step %q, as one with for_each: %w", ask.Step, refusal.ErrStepNotFound)
	}
	from := 0
	if ask.Cursor != "" {
		var err error
		if from, err = strconv.Atoi(cursor.From(cursor.Items, ask.Cursor)); err != nil {
			return nil, badFilter("cursor: %.100q is not one that this list gave", ask.Cursor)
		}
	}
	limit := ask.Limit
	if limit <= 0 {
		limit = 100
	}
	out := &model.ItemPage{Step: ask.Step, Items: []model.ItemStatus{}}
	var err error
	s.ItemStates(step, from, func(it replay.ItemState) bool {
		state := it.State
		if s.Shown(s.ItemNumber(step, it.Index)) == replay.StepRunning {
			state = replay.StepRunning // it waits for its child
		}
		if _, working := l.Workers[s.ItemNumber(step, it.Index)]; working {
			state = replay.StepRunning
		}
		if ask.State != "" && state.String() != ask.State {
			return true
		}
		if len(out.Items) == limit {
			out.NextCursor = cursor.To(cursor.Items, strconv.Itoa(it.Index))
			return false
		}
		var one model.ItemStatus
		if one, err = a.item(l, step, &it, state); err != nil {
			return false
		}
		out.Items = append(out.Items, one)
		return true
	})
	return out, err
}

func (a *Archive) item(l *Look, step replay.Instance, it *replay.ItemState, state replay.StepState) (out model.ItemStatus, err error) {
	number := l.S.ItemNumber(step, it.Index)
	out.Index, out.Name = it.Index, l.S.Name(number)
	if it.St != nil {
		out.StepStatus, err = a.step(l, number, state)
		return out, err
	}
	if it.Since == 0 {
		it.Since = l.S.At(step).Since
	}
	out.StepStatus = model.StepStatus{State: state.String(), Type: string(l.S.Spec(step).Type), Attempt: it.Attempt, Since: rfc3339.Format(it.Since)}
	if c, had := l.S.Child(number); had {
		out.Child = c.ID
	}
	if state == replay.StepCompleted {
		out.Output, err = a.Payload(it.Output)
	}
	return out, err
}
