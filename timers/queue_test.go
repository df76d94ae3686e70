package timers

import (
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func TestQueueGivesEverythingInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Queue
		var model []Entry // sorted
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				e := Entry{rapid.Int64Range(0, 50).Draw(t, "due"), rapid.Uint64Range(0, 5).Draw(t, "run"), rapid.Int32Range(0, 3).Draw(t, "step")}
				q.Push(e)
				at, _ := slices.BinarySearchFunc(model, e, order)
				model = slices.Insert(model, at, e)
			},
			"pop": func(t *rapid.T) {
				if len(model) == 0 {
					t.Skip()
				}
				p, ok := q.Peek()
				if e := q.Pop(); !ok || e != model[0] || p != e {
					t.Fatalf("peek %v, pop %v, want %v", p, e, model[0])
				}
				model = model[1:]
			},
			"pop due": func(t *rapid.T) {
				now, most := rapid.Int64Range(-1, 51).Draw(t, "now"), rapid.IntRange(0, 4).Draw(t, "most")
				n := 0
				for n < most && n < len(model) && model[n].Due <= now {
					n++
				}
				if got := q.PopDue(nil, now, most); !slices.Equal(got, model[:n]) {
					t.Fatalf("due at %d, %d at most: %v, want %v", now, most, got, model[:n])
				}
				model = model[n:]
			},
			"": func(t *rapid.T) {
				if p, ok := q.Peek(); q.Len() != len(model) || ok != (len(model) > 0) || ok && p != model[0] {
					t.Fatalf("%d entries, first %v; want %d", q.Len(), p, len(model))
				}
			},
		})
	})
}

func order(a, b Entry) int {
	switch {
	case a.Before(b):
		return -1
	case b.Before(a):
		return 1
	}
	return 0
}

func TestQueueGivesBackWhatACrowdNeeded(t *testing.T) {
	if size := unsafe.Sizeof(Entry{}); size != 24 {
		t.Errorf("an entry is %d bytes", size)
	}
	var q Queue
	const n = 100_000
	for i := range n {
		q.Push(Entry{Due: int64(n - i)})
	}
	for i := range n - 10 {
		if e := q.Pop(); e.Due != int64(i+1) {
			t.Fatalf("the %d. is due at %d", i+1, e.Due)
		}
	}
	if cap(q.heap) > 8192 {
		t.Errorf("room for %d entries is kept for 10", cap(q.heap))
	}
}

func BenchmarkQueue(b *testing.B) {
	var q Queue
	for i := range 100_000 {
		q.Push(Entry{Due: int64(i * 7919 % 100_003)})
	}
	for i := int64(0); b.Loop(); i++ {
		e := q.Pop()
		q.Push(Entry{Due: e.Due + i*7919%100_003})
	}
}

func TestKeepLeavesTheOrder(t *testing.T) {
	var q Queue
	const n = 10_000
	for i := range n {
		q.Push(Entry{Due: int64(i * 7919 % n)})
	}
	q.Keep(func(e Entry) bool { return e.Due%10 == 0 })
	if q.Len() != n/10 || cap(q.heap) > n/2 {
		t.Fatalf("%d are left, in room for %d", q.Len(), cap(q.heap))
	}
	for i := range n / 10 {
		if e := q.Pop(); e.Due != int64(i*10) {
			t.Fatalf("the %d. is due at %d", i, e.Due)
		}
	}
}
