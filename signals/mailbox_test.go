package signals

import (
	"testing"

	"pgregory.net/rapid"
)

func TestAnEarlySignalIsKeptForItsWait(t *testing.T) {
	var m Mailbox
	m.Receive(Arrival{ID: "1", Name: "a", Seq: 10, By: Unconsumed})
	m.Receive(Arrival{ID: "2", Name: "a", Seq: 11, By: Unconsumed})
	got, ok := m.Earliest("a")
	if !ok || got.Seq != 10 {
		t.Fatalf("earliest = %v, %v", got, ok)
	}
	if a, ok := m.Take("a", 10, 3); !ok || a.By != 3 {
		t.Fatalf("take = %v, %v", a, ok)
	}
	if _, ok := m.Take("a", 10, 4); ok {
		t.Fatal("an arrival was taken twice")
	}
	if got, _ := m.Earliest("a"); got.Seq != 11 {
		t.Fatalf("after the first was taken the earliest is %d", got.Seq)
	}
	if a, ok := m.Find("1"); !ok || a.By != 3 {
		t.Fatalf("find = %v, %v", a, ok)
	}
}

func TestTheWaitThatBecameReadyFirstIsAnsweredFirst(t *testing.T) {
	var m Mailbox
	m.Await("a", 5)
	m.Await("a", 2)
	if s, _ := m.FirstWait("a"); s != 5 {
		t.Fatalf("first wait = %d", s)
	}
	m.Leave("a", 5)
	if s, _ := m.FirstWait("a"); s != 2 {
		t.Fatalf("first wait = %d", s)
	}
	m.Leave("a", 2)
	if _, ok := m.FirstWait("a"); ok {
		t.Fatal("a wait stayed behind")
	}
}

// A Mailbox against a plain list: whatever the order of calls, each arrival goes to one step and the earliest goes first.
func TestAgainstAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Mailbox
		type row struct {
			name  string
			seq   uint64
			taken bool
		}
		var list []row
		var seq uint64
		for range rapid.IntRange(1, 60).Draw(t, "n") {
			name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")
			if rapid.Bool().Draw(t, "receive") {
				seq++
				list = append(list, row{name: name, seq: seq})
				m.Receive(Arrival{ID: name, Name: name, Seq: seq, By: Unconsumed})
				continue
			}
			var want uint64
			for i := range list {
				if list[i].name == name && !list[i].taken {
					want, list[i].taken = list[i].seq, true
					break
				}
			}
			a, ok := m.Earliest(name)
			if ok != (want != 0) || a.Seq != want {
				t.Fatalf("earliest %s = %d %v, want %d", name, a.Seq, ok, want)
			}
			if ok {
				m.Take(name, a.Seq, 1)
			}
		}
	})
}
