// Package push serves handlers that are web services: each task is POSTed to the service, and its answer is the outcome. To
// the engine a push service is one more worker session; the request is the lease.
package push

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
)

// Service is a web service that runs handlers.
type Service = model.Service

const (
	defaultCapacity = 10
	defaultTimeout  = time.Minute
)

// Limits of a service.
const (
	MaxCapacity = 1000           // requests at once
	MaxTimeout  = 24 * time.Hour // of one request
)

// check fills in defaults and says what is wrong.
func check(s *Service) error {
	if err := flow.ValidName(s.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	u, err := url.Parse(s.URL)
	if strings.Contains(s.URL, "@") {
		return fmt.Errorf("url: it has a password, and is not repeated here; give the service a secret instead")
	}
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("url: %q is not one like http://127.0.0.1:9000/tasks", s.URL)
	}
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("url: it has a query, a fragment or a password, and is not repeated here; the handler's name is put behind it")
	}
	if len(s.Handlers) == 0 {
		return fmt.Errorf("handlers: name at least one")
	}
	for i, h := range s.Handlers {
		if err := flow.ValidName(h); err != nil {
			return fmt.Errorf("handlers: %w", err)
		}
		if slices.Contains(s.Handlers[:i], h) {
			return fmt.Errorf("handlers: %q is given twice", h)
		}
	}
	if s.Capacity == 0 {
		s.Capacity = defaultCapacity
	}
	if s.Capacity < 1 || s.Capacity > MaxCapacity {
		return fmt.Errorf("capacity: %d, want 1 to %d", s.Capacity, MaxCapacity)
	}
	if s.TimeoutMS == 0 {
		s.TimeoutMS = defaultTimeout.Milliseconds()
	}
	if s.TimeoutMS < 1 || s.TimeoutMS > MaxTimeout.Milliseconds() {
		return fmt.Errorf("timeout_ms: %d, want 1 to %d", s.TimeoutMS, MaxTimeout.Milliseconds())
	}
	return nil
}

func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
