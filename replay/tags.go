package replay

import (
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/refusal"
)

// tag folds what becomes of tags into those that the run has.
func (s *State) tag(changes []event.Tag) {
	if len(changes) > 0 {
		s.Tags = Retag(s.Tags, changes)
	}
}

// Retag gives tags as they are after some changes. Both stay as they are.
func Retag(tags, changes []event.Tag) []event.Tag {
	tags = slices.Clone(tags)
	for _, c := range changes {
		at, has := slices.BinarySearchFunc(tags, c.Name, func(t event.Tag, name string) int { return strings.Compare(t.Name, name) })
		switch {
		case has && c.Gone:
			tags = slices.Delete(tags, at, at+1)
		case has:
			tags[at].Value = c.Value
		case !c.Gone:
			tags = slices.Insert(tags, at, event.Tag{Name: c.Name, Value: strings.Clone(c.Value)})
		}
	}
	return tags
}

// Tagged folds changes of the run's tags. Those that change nothing are left out; nothing is recorded when none is left.
func (t *Turn) Tagged(changes []event.Tag) {
	var real []event.Tag
	for _, c := range changes {
		if !slices.Equal(Retag(t.S.Tags, []event.Tag{c}), t.S.Tags) {
			real = append(real, c)
		}
	}
	if len(real) > 0 {
		t.add(event.Event{Kind: event.RunTagged, Tags: real, By: t.By})
	}
}

// MatchTags says why the run cannot get tags so. What was changed is taken away or added before the number counts.
func (s *State) MatchTags(changes []event.Tag) error {
	switch {
	case s.Status == Quarantined || s.Hurt:
		return refusal.ErrRunQuarantined
	case flow.TooManyTags(len(Retag(s.Tags, changes))) != nil:
		return refusal.ErrTooManyTags
	}
	return nil
}
