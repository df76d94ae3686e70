package archive

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// counted is a log of records of ten events each, that counts how often it is read.
type counted struct {
	Log
	list []byte
	gets int
	fail error
	read func() // before each record
}

func (c *counted) Get(seq uint64) (journal.Record, error) {
	c.gets++
	if c.read != nil {
		c.read()
	}
	if c.fail != nil {
		return journal.Record{}, c.fail
	}
	first := (seq-1)/10*10 + 1
	var events []event.Event
	for i := range uint64(10) {
		e := event.Event{Kind: event.StepCompleted, Payload: fmt.Append(nil, first+i)}
		if first == 1 && i == 0 {
			e = event.Event{Kind: event.ItemsSet, Payload: c.list}
		}
		events = append(events, e)
	}
	return journal.Record{Seq: first, Count: 10, Body: event.AppendBody(nil, events)}, nil
}

// What many items need is read once, however many they are: the list, what each is sent besides, and each record with their outputs.
func TestWhatItemsRead(t *testing.T) {
	const n = 1_000
	log := &counted{list: []byte("[" + strings.Repeat(` {"a": [1, 2]} ,`, n-1) + `"last"]`)}
	a := New(log)
	list := replay.Payload{Seq: 1, Len: uint32(len(log.list))}
	for k := range n {
		item, err := a.Item(list, k)
		if want := `{"a": [1, 2]}`; err != nil || k < n-1 && string(item) != want || k == n-1 && string(item) != `"last"` {
			t.Fatalf("item %d is %s, %v", k, item, err)
		}
		if b, err := a.Shared(replay.Payload{Seq: 15, Len: 2}); err != nil || string(b) != "15" {
			t.Fatalf("what it is sent besides is %s, %v", b, err)
		}
	}
	if _, err := a.Item(list, n); err == nil {
		t.Error("an item behind the last one")
	}
	if log.gets != 2 {
		t.Errorf("the log was read %d times for %d items", log.gets, n)
	}

	log.gets = 0
	var parts []replay.Payload
	want := "["
	for i := range uint64(n) {
		seq := 1_000 + (i*37)%n // in no order
		parts = append(parts, replay.Payload{Seq: seq, Len: uint32(len(fmt.Sprint(seq)))}, replay.Payload{})
		want += fmt.Sprintf("%d,null,", seq)
	}
	got, err := a.Join(parts)
	if want = strings.TrimSuffix(want, ",") + "]"; err != nil || string(got) != want {
		t.Errorf("the outputs are %.100s, %v; want %.100s", got, err, want)
	}
	if log.gets != n/10+1 {
		t.Errorf("%d records were read for %d outputs of %d records", log.gets, n, n/10+1)
	}
	if got, err := a.Join(nil); err != nil || string(got) != "[]" {
		t.Errorf("no outputs are %s, %v", got, err)
	}
}

// Of a step that begins a thousand items ask at once. The list is read once, also then, and not taken apart a thousand times. What could not
// be read is read anew by the next one.
func TestItemsThatAskAtOnceReadOnce(t *testing.T) {
	const n = 1_000
	begun := make(chan struct{})
	log := &counted{list: []byte("[" + strings.Repeat(`1,`, n-1) + `1]`), read: func() { <-begun }, fail: errors.New("the disk is away")}
	a := New(log)
	list := replay.Payload{Seq: 1, Len: uint32(len(log.list))}
	ask := func() []error {
		var wg sync.WaitGroup
		errs := make([]error, n)
		for k := range n {
			wg.Go(func() { _, errs[k] = a.Item(list, k) })
		}
		for { // all but the one that reads wait for it, or will find that it is there
			a.lists.mu.Lock()
			reading := len(a.lists.of) == 1
			a.lists.mu.Unlock()
			if reading {
				break
			}
			runtime.Gosched()
		}
		close(begun)
		wg.Wait()
		return errs
	}
	if errs := ask(); !slices.ContainsFunc(errs, func(err error) bool { return errors.Is(err, log.fail) }) {
		t.Error("nobody was told that the list cannot be read")
	}
	begun, log.fail, log.gets = make(chan struct{}), nil, 0
	for k, err := range ask() {
		if err != nil {
			t.Fatalf("item %d: %v", k, err)
		}
	}
	if log.gets != 1 {
		t.Errorf("the list was read %d times", log.gets)
	}
}

// Lists that were asked for longest ago are dropped, so that no more is kept than there is room for.
func TestOldListsAreDropped(t *testing.T) {
	var kept lists
	for seq := range uint64(10) {
		if _, err := kept.get(listKey{seq, true}, func(l *list) error {
			l.bytes = listsBytes / 4
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(kept.of) != 3 || kept.bytes > listsBytes || kept.of[listKey{9, true}] == nil {
		t.Errorf("%d lists are kept, %d bytes", len(kept.of), kept.bytes)
	}
}
