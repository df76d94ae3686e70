package leases

import "testing"

// nobody is a Host that keeps nothing.
type nobody struct{}

func (nobody) Offered(*Handler)        {}
func (nobody) None(*Session, *Handler) {}
func (nobody) Held(*Session, *Slot)    {}
func (nobody) Left(*Session, *Slot)    {}

// One iteration: a step is offered, taken and released.
func BenchmarkQueue(b *testing.B) {
	hub := NewHub(30_000, nobody{})
	h := hub.Handler("svc", "h")
	s := &Session{ID: "w"}
	b.ReportAllocs()
	for run := uint64(1); b.Loop(); run++ {
		hub.Offer(&Slot{Run: run, Step: 0, Attempt: 1, Handler: h})
		slot := hub.Take(h, s, 1, 1)
		if slot == nil {
			b.Fatal("not given")
		}
		hub.Release(slot)
	}
}
