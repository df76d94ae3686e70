package archive

import (
	"fmt"
	"strings"
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
}

func (c *counted) Get(seq uint64) (journal.Record, error) {
	c.gets++
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
