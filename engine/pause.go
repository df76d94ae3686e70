package engine

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/hub"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/model"
)

// pausedPrefix begins the keys of the settings that say which services are paused.
const pausedPrefix = "paused/"

// pausedRow is such a setting.
type pausedRow struct {
	At     int64  `json:"at"` // Unix ms
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
}

// PauseService pauses a service: its tasks stay scheduled, and nobody gets one, until it is resumed. What workers have goes on. The name
// may be that of a service that nobody serves. One that is paused stays so.
func (e *Engine) PauseService(ctx context.Context, name, reason string) error {
	return e.setServicePause(ctx, name, reason, true)
}

// ResumeService ends the pause of a service. One that is not paused stays so.
func (e *Engine) ResumeService(ctx context.Context, name, reason string) error {
	return e.setServicePause(ctx, name, reason, false)
}

func (e *Engine) setServicePause(ctx context.Context, name, reason string, pause bool) error {
	if err := flow.ValidName(name); err != nil {
		return badRequest("service: %v", err)
	}
	if len(reason) > maxReason {
		return badRequest("reason: %d bytes, the limit is %d", len(reason), maxReason)
	}
	e.pausing.Lock() // what stands in the journal last is what holds
	defer e.pausing.Unlock()
	is := false
	if !e.inspect(func(*shard.Shard) { _, is = e.h.Paused(name) }) {
		return e.err()
	}
	if is == pause {
		return nil
	}
	var row []byte
	var p *hub.Pause
	what := "resumed"
	if pause {
		what = "paused"
		p = &hub.Pause{At: e.o.Clock.Now().UnixMilli(), By: byOf(ctx), Why: reason}
		var err error
		if row, err = json.Marshal(pausedRow{p.At, p.By, p.Why}); err != nil {
			return err
		}
	}
	if reason != "" {
		what += ": " + reason
	}
	if err := e.SetNoted(ctx, pausedPrefix+name, row, what); err != nil {
		return err
	}
	if !e.inspect(func(*shard.Shard) { e.h.PauseService(name, p) }) {
		return e.err()
	}
	e.poke()
	return nil
}

// readPauses pauses the services that were paused when the engine stopped.
func (e *Engine) readPauses() error {
	rows, err := e.Settings(pausedPrefix)
	for key, value := range rows {
		var row pausedRow
		if err := json.Unmarshal(value, &row); err != nil {
			row.Reason = "what was recorded of its pause cannot be read"
		}
		e.h.PauseService(key[len(pausedPrefix):], &hub.Pause{At: row.At, By: row.By, Why: row.Reason})
	}
	return err
}

// PolledServices gives the services that workers serve or that are paused, by name. Push services are among them.
func (e *Engine) PolledServices() ([]model.Service, error) {
	out := []model.Service{}
	if !e.inspect(func(*shard.Shard) {
		names := append(e.h.Services(), e.h.PausedServices()...)
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			s := model.Service{Name: name, Kind: model.ServicePolled, Handlers: e.h.Served(name), Capacity: e.h.Capacity(name)}
			if s.Handlers == nil {
				s.Handlers = []string{}
			}
			if p, is := e.h.Paused(name); is {
				s.Paused = &model.Pause{At: rfc3339.Format(p.At), By: p.By, Reason: p.Why}
			}
			out = append(out, s)
		}
	}) {
		return nil, e.err()
	}
	return out, nil
}
