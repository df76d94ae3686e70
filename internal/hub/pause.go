package hub

import (
	"maps"
	"slices"
)

// Pause is why a service is paused: its tasks stay where they are, and nobody gets one. What workers have goes on.
type Pause struct {
	At  int64 // Unix ms
	By  string
	Why string
}

// PauseService pauses a service, whether anybody serves it or not; nil ends its pause.
func (h *Hub) PauseService(name string, p *Pause) {
	if p != nil {
		h.paused[name] = *p
		return
	}
	delete(h.paused, name)
	for _, f := range h.handlers {
		if f.Service == name {
			h.list(f)
		}
	}
}

// Paused says whether a service is paused, and why.
func (h *Hub) Paused(service string) (Pause, bool) {
	p, is := h.paused[service]
	return p, is
}

// PausedServices gives the services that are paused, sorted.
func (h *Hub) PausedServices() []string { return slices.Sorted(maps.Keys(h.paused)) }

// may says whether a task of the handler may be handed out, as far as its service goes.
func (h *Hub) may(f *Handler) bool {
	_, paused := h.paused[f.Service]
	return !paused && !f.bound.full()
}
