package access

import (
	"context"
	"slices"
	"strings"
)

// Publisher is the service that publishes a workflow; "": none is known.
func (s *Store) Publisher(workflow string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.publishers[workflow]
}

// SetPublisher notes that a service publishes a workflow; "": none does any more.
func (s *Store) SetPublisher(ctx context.Context, workflow, service string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publishers[workflow] == service {
		return nil
	}
	var row []byte // nil: none
	if service != "" {
		row = []byte(service)
	}
	if err := s.eng.Set(ctx, publisherPrefix+workflow, row); err != nil {
		return err
	}
	s.publishers[workflow] = service
	return nil
}

// maxDeleted is how many deleted versions of one workflow are remembered: the last ones.
const maxDeleted = 1_000

// Deleted gives the digests of a workflow's versions that were deleted. A worker does not bring them back: who deleted them meant it.
func (s *Store) Deleted(workflow string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.deleted[workflow])
}

// NoteDeleted remembers versions that are about to be deleted.
func (s *Store) NoteDeleted(ctx context.Context, workflow string, digests []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.deleted[workflow])
	for _, d := range digests {
		if !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	all = all[max(len(all)-maxDeleted, 0):]
	if err := s.eng.Set(ctx, deletedPrefix+workflow, []byte(strings.Join(all, " "))); err != nil {
		return err
	}
	s.deleted[workflow] = all
	return nil
}
