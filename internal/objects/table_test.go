package objects

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestKeysWantedInOppositeOrdersDoNotDeadlock(t *testing.T) {
	tb := NewTable()
	tb.Request(Owner{Seq: 1}, []string{"a", "b"})
	tb.Request(Owner{Seq: 2}, []string{"b", "a"})
	g := tb.Grantable()
	if len(g) != 1 || g[0].Seq != 1 {
		t.Fatalf("granted %v", g)
	}
	tb.Granted(1)
	if k, o, held, n, ok := tb.Before(2); !ok || k != "b" || o.Seq != 1 || !held || n != 0 {
		t.Fatalf("before 2: %s %v %v %v", k, o, held, ok)
	}
	tb.Release(1)
	if g := tb.Grantable(); len(g) != 1 || g[0].Seq != 2 {
		t.Fatalf("granted %v", g)
	}
}

func TestNobodyIsOvertakenOnAKeyThatBothWant(t *testing.T) {
	tb := NewTable()
	tb.Request(Owner{Seq: 1}, []string{"a"})
	tb.Granted(1)
	tb.Request(Owner{Seq: 2}, []string{"a", "b"})
	tb.Grantable()
	tb.Request(Owner{Seq: 3}, []string{"b"})
	if g := tb.Grantable(); len(g) != 0 {
		t.Fatalf("3 overtook 2 on b: %v", g)
	}
	tb.Release(2) // 2 gives up
	if g := tb.Grantable(); len(g) != 1 || g[0].Seq != 3 {
		t.Fatalf("granted %v", g)
	}
}

// Whatever is asked and given back: one holder a key, grants in order on every key, and nothing waits that could go.
func TestOneHolderInOrderAndNobodyLeftBehind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tb := NewTable()
		names := []string{"a", "b", "c", "d"}
		wants := map[uint64][]string{}
		held := map[uint64]bool{}
		var seq uint64
		for range rapid.IntRange(1, 80).Draw(t, "n") {
			if len(wants) == 0 || rapid.Bool().Draw(t, "ask") {
				seq++
				perm := rapid.Permutation(names).Draw(t, "keys")
				wants[seq] = perm[:rapid.IntRange(1, 4).Draw(t, "k")]
				tb.Request(Owner{Seq: seq}, wants[seq])
			} else {
				open := make([]uint64, 0, len(wants))
				for s := range wants {
					open = append(open, s)
				}
				slices.Sort(open)
				s := rapid.SampledFrom(open).Draw(t, "release")
				tb.Release(s)
				delete(wants, s)
				delete(held, s)
			}
			for _, o := range tb.Grantable() {
				if !tb.Granted(o.Seq) {
					t.Fatalf("%d was grantable and could not be granted", o.Seq)
				}
				held[o.Seq] = true
			}
			for s, keys := range wants {
				free := true
				for other, theirs := range wants {
					if other >= s {
						continue
					}
					for _, k := range keys {
						free = free && !slices.Contains(theirs, k)
					}
				}
				if held[s] != free {
					t.Fatalf("request %d for %v: held %v, but first on all its keys: %v", s, keys, held[s], free)
				}
			}
		}
	})
}
