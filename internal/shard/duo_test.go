package shard_test

import (
	"github.com/agnt5/agnt5d/internal/hub"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/worker"
)

// duo is a shard and the hub that has its workers, on one goroutine, as in an engine on a file. Its inputs are those of both.
type duo struct {
	*shard.Shard
	hub  *hub.Hub
	sent []shard.Input // by the hub, for the shard's next turn
}

func newDuo(cfg shard.Config) *duo {
	d := &duo{hub: hub.New(hub.Config{Services: map[string]int{"narrow": 1}})}
	cfg.Host = d.hub.Attach(0, d)
	d.Shard = shard.New(cfg)
	return d
}

func (d *duo) Send(in shard.Input) { d.sent = append(d.sent, in) }

// Take lets the hub turn, and the shard take the inputs of both.
func (d *duo) Take(now shard.Now, inputs []any) {
	var own []shard.Input
	var asks []hub.Input
	for _, in := range inputs {
		switch in := in.(type) {
		case shard.Input:
			own = append(own, in)
		case hub.Input:
			asks = append(asks, in)
		}
	}
	d.hub.Turn(now, asks)
	own = append(d.sent, own...)
	d.sent = nil
	d.Shard.Take(now, own)
}

func (d *duo) Turn(now shard.Now, inputs []any) *shard.Batch {
	if len(inputs) > 0 {
		d.Take(now, inputs)
	}
	b := d.Shard.Turn(now, nil)
	d.hub.Dispatch(now)
	return b
}

func (d *duo) Committed(b *shard.Batch, err error, now shard.Now) {
	d.Shard.Committed(b, err, now)
	d.hub.Dispatch(now)
}

func (d *duo) Resume() (kept []any) {
	for _, in := range d.Shard.Resume() {
		kept = append(kept, in)
	}
	return kept
}

func (d *duo) Serve(service, name string, fn worker.Func) {
	d.Shard.Serve(service, name, fn)
	d.hub.Serve(service, name)
}

func (d *duo) NextWake() shard.Wake {
	w := d.Shard.NextWake()
	if at := d.hub.NextWake().Mono; at != 0 && (w.Mono == 0 || at < w.Mono) {
		w.Mono = at
	}
	return w
}

func (d *duo) Check() error {
	if err := d.hub.Check(); err != nil {
		return err
	}
	return d.Shard.Check()
}
