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
const listsBytes = 32 << 20

// lists are those that were asked for last.
type lists struct {
	mu    sync.Mutex
	of    map[uint64]*list // by the sequence of their event
	bytes int
	clock uint64
}

type list struct {
	whole json.RawMessage   // what items are sent besides; nil: it is a list, taken apart
	items []json.RawMessage // of a list
	bytes int
	used  uint64
}

// Shared is Payload of what many items are sent: a large one is read once. It must not be changed.
func (a *Archive) Shared(p replay.Payload) (json.RawMessage, error) {
	if p.Data != nil || p.Seq == 0 {
		return a.Payload(p)
	}
	if l := a.lists.get(p.Seq); l != nil && l.whole != nil {
		return l.whole, nil
	}
	b, err := a.Payload(p)
	if err == nil {
		a.lists.put(p.Seq, &list{whole: b[:len(b):len(b)], bytes: len(b)})
	}
	return b, err
}

// Item gives one item of a list that a step goes over, byte for byte. It must not be changed.
func (a *Archive) Item(of replay.Payload, index int) (json.RawMessage, error) {
	l := a.lists.get(of.Seq)
	if l == nil || l.whole != nil {
		b, err := a.Payload(of)
		if err != nil {
			return nil, err
		}
		l = &list{bytes: len(b)}
		flow.EachItem(b, func(item []byte) {
			l.items = append(l.items, item[:len(item):len(item)])
			l.bytes += 24
		})
		a.lists.put(of.Seq, l)
	}
	if index >= len(l.items) {
		return nil, fmt.Errorf("the list of event %d has %d items, and item %d is asked for", of.Seq, len(l.items), index)
	}
	return l.items[index], nil
}

func (c *lists) get(seq uint64) *list {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.of[seq]
	if l != nil {
		c.clock++
		l.used = c.clock
	}
	return l
}

func (c *lists) put(seq uint64, l *list) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[uint64]*list{}
	}
	if c.of[seq] != nil {
		return
	}
	for c.bytes+l.bytes > listsBytes && len(c.of) > 0 {
		c.dropOldest()
	}
	c.clock++
	l.used = c.clock
	c.of[seq], c.bytes = l, c.bytes+l.bytes
}

func (c *lists) dropOldest() {
	oldest, at := (*list)(nil), uint64(0)
	for seq, l := range c.of {
		if oldest == nil || l.used < oldest.used {
			oldest, at = l, seq
		}
	}
	c.bytes -= oldest.bytes
	delete(c.of, at)
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
	out.StepStatus = model.StepStatus{State: state.String(), Type: string(flow.TypeTask), Attempt: it.Attempt, Since: rfc3339.Format(it.Since)}
	if state == replay.StepCompleted {
		out.Output, err = a.Payload(it.Output)
	}
	return out, err
}
