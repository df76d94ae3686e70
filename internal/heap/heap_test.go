package heap

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type number int

func (n number) Before(m number) bool { return n < m }

// Whatever is put in and taken out, in any order, the least comes first.
func TestTheLeastComesFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h, model []number
		for range rapid.IntRange(0, 200).Draw(t, "calls") {
			if len(model) > 0 && rapid.Bool().Draw(t, "pop") {
				var got number
				h, got = Pop(h)
				if got != model[0] {
					t.Fatalf("got %d, want %d", got, model[0])
				}
				model = model[1:]
				continue
			}
			n := number(rapid.IntRange(0, 20).Draw(t, "n"))
			h = Push(h, n)
			at, _ := slices.BinarySearch(model, n)
			model = slices.Insert(model, at, n)
		}
		if len(h) != len(model) {
			t.Fatalf("%d left, want %d", len(h), len(model))
		}
	})
}
