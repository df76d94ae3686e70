package sim

import (
	"fmt"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
)

// quiet ends the faults: the disk has room, workers answer, signals come, and the clock goes from one moment at which
// something is due to the next. Everything that is open must come to its end.
func (w *World) quiet() {
	w.calm = true
	for _, n := range w.nodes {
		n.connect()
		n.readAll()
		if n.full {
			n.space()
		}
	}
	if w.chance(50) {
		w.op("crash")
		w.crash()
	}
	if w.scheduled {
		w.endSchedules()
	}
	for round := range 4_000 {
		w.turnAll()
		w.commitAll()
		for _, n := range w.nodes {
			for len(n.asked) > 0 {
				n.answer()
			}
		}
		for len(w.local) > 0 {
			w.finishLocal()
		}
		for _, r := range w.remotes {
			if !r.joined {
				r.join()
			}
			for len(r.tasks) > 0 {
				r.finish(0)
			}
			r.poll()
		}
		w.retryClients()
		w.sendWanted()
		if w.done() && w.idle() && round > 5 {
			return
		}
		if w.done() && round > 50 {
			return
		}
		w.forward()
	}
}

// done says that every run has ended and nothing of it is out.
func (w *World) done() bool {
	for _, t := range w.judge.order {
		if !t.gone && (!t.s.Status.Ended() || len(t.s.Outs) > 0) {
			return false
		}
	}
	for _, n := range w.nodes {
		if len(n.disk.queue) > 0 || n.shard.Held() > 0 {
			return false
		}
	}
	return len(w.local) == 0
}

// idle says that nobody has asked for anything.
func (w *World) idle() bool {
	for _, n := range w.nodes {
		if len(n.inbox) > 0 || len(n.asked) > 0 {
			return false
		}
	}
	return len(w.asks) == 0
}

// sendWanted sends each signal that a run waits for without end, and cancels what is quarantined.
func (w *World) sendWanted() {
	for _, t := range w.judge.order {
		if t.s.Status == replay.Quarantined {
			w.home(t.id).send(&shard.Cancel{ID: t.id, Reason: "it is damaged", Reply: func(error) {}})
		}
		if t.s.Status != replay.Running {
			continue
		}
		for i, st := range t.s.All() {
			def := t.s.Spec(i)
			if def.Type != flow.TypeWaitSignal || st.State != replay.StepWaiting || st.Due != 0 {
				continue
			}
			id := fmt.Sprintf("quiet-%s-%s-%d", t.id, def.Name, t.s.Events)
			w.home(t.id).send(&shard.Signal{ID: t.id, Name: def.Signal.Name, SignalID: id, Payload: []byte("null"), Reply: func(string, error) {}})
		}
	}
}

// forward moves the clock to the next moment at which something is due.
func (w *World) forward() {
	d := int64(50)
	later := func(wake shard.Wake) {
		if wake.Mono > w.mono && (d == 50 || wake.Mono-w.mono < d) {
			d = wake.Mono - w.mono
		}
		if wake.Wall > w.wall && (d == 50 || wake.Wall-w.wall < d) {
			d = wake.Wall - w.wall
		}
	}
	later(w.hub.NextWake())
	for _, n := range w.nodes {
		later(n.shard.NextWake())
	}
	w.wall += d
	w.mono += d
}
