package worker

import (
	"fmt"
	"testing"
)

// Names that only a session ever spoke of are forgotten when it leaves; those of a definition stay.
func TestAHubForgetsStrangers(t *testing.T) {
	hub := NewHub(1000)
	hub.Handler("svc", "known").Known = true
	hub.Service("bounded").Limit = 3
	for i := range 3 {
		s := &Session{ID: "w", Service: "svc"}
		for _, service := range []string{"svc", "stranger", "bounded"} {
			s.Handlers = append(s.Handlers, hub.Handler(service, fmt.Sprint("h", i)))
		}
		s.Handlers = append(s.Handlers, hub.Handler("svc", "known"))
		hub.Join(s)
		if got := hub.Served("svc"); len(got) != 2 {
			t.Errorf("served: %v", got)
		}
		hub.Leave(s)
	}
	if len(hub.handlers) != 1 || len(hub.services) != 2 {
		t.Errorf("left: %d handlers, %d services", len(hub.handlers), len(hub.services))
	}
}
