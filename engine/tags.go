package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
)

// Tag gives a run tags, or those that it has other values, and takes those of some names away. It may have ended. The answer has all tags of
// the run. See WithTags for what a tag may be; too many are ErrTooManyTags.
func (e *Engine) Tag(ctx context.Context, run string, set map[string]string, remove ...string) (map[string]string, error) {
	changes, err := tagChanges(set, remove)
	if err != nil {
		return nil, err
	}
	tags, err := e.tag(ctx, run, changes)
	return archive.Tags(tags), refusal.OfRun(run, err)
}

func tagChanges(set map[string]string, remove []string) ([]event.Tag, error) {
	if len(set)+len(remove) == 0 {
		return nil, badRequest("tags: none is given")
	}
	if err := flow.ValidTags(set); err != nil {
		return nil, badRequest("tags: %v", err)
	}
	changes := archive.TagsOf(set)
	for _, name := range remove {
		if err := flow.ValidTagName(name); err != nil {
			return nil, badRequest("tags: %v", err)
		}
		if _, both := set[name]; both {
			return nil, badRequest("tags: %q is both set and taken away", name)
		}
		changes = append(changes, event.Tag{Name: name, Gone: true})
	}
	slices.SortFunc(changes, func(a, b event.Tag) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(changes, func(a, b event.Tag) bool { return a.Name == b.Name }), nil
}

func (e *Engine) tag(ctx context.Context, run string, changes []event.Tag) ([]event.Tag, error) {
	type answer struct {
		now []event.Tag
		err error
	}
	var s *replay.State
	for range 3 {
		got, err := await(ctx, e, func(done func(answer)) {
			e.send(&shard.Tag{By: byOf(ctx), ID: run, Changes: changes, State: s, Reply: func(now []event.Tag, err error) { done(answer{now, err}) }})
		}, func() {})
		if err == nil {
			err = got.err
		}
		if !errors.Is(err, shard.ErrAway) {
			return got.now, err
		}
		if s, err = e.away(run); err != nil {
			return nil, err
		}
		if err := s.MatchTags(changes); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("engine: run %q keeps changing; try again", run)
}
