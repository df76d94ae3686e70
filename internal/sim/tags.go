package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/schedules"
)

// Tags of runs. What must hold: a run begins with those that one who asked for it gave, or those of its schedule; a change does what it
// says and no more, and none is recorded that changes nothing; nobody is told of tags that the run did not have; the head, by which runs
// are found, has those that the run has.

// tags are those of a run by name, as the Judge keeps them.
type tags map[string]string

// String is how the head of a run has them.
func (t tags) String() string { return strings.Join(t.texts(), ",") }

func (t tags) texts() (all []string) {
	for name, value := range t {
		all = append(all, name+":"+value)
	}
	slices.Sort(all)
	return all
}

func tagsOf(list []event.Tag) tags {
	t := tags{}
	for _, tag := range list {
		t[tag.Name] = tag.Value
	}
	return t
}

// someTags draws up to some tags, by name. A tag of a run that starts is never gone.
func (w *World) someTags(some int, gone bool) (all []event.Tag) {
	drawn := map[string]event.Tag{}
	for range w.rng.IntN(some + 1) {
		t := event.Tag{Name: fmt.Sprintf("t%02d", w.rng.IntN(30)), Value: []string{"", "a", "b:c", "ä"}[w.rng.IntN(4)]}
		if gone && w.chance(40) {
			t.Value, t.Gone = "", true
		}
		drawn[t.Name] = t
	}
	for _, name := range slices.Sorted(maps.Keys(drawn)) {
		all = append(all, drawn[name])
	}
	return all
}

// newTags asks for a change of a run's tags.
func (w *World) newTags(r *track) {
	changes := w.someTags(3, true)
	if w.chance(20) {
		changes = w.someTags(40, false)
	}
	epoch := w.epoch
	w.op("tags")
	in := &shard.Tag{By: "sim", ID: r.id, Changes: changes, Reply: func(now []event.Tag, err error) {
		if epoch == w.epoch && err == nil {
			w.judge.told(r.id, changes, tagsOf(now))
		}
		if errors.Is(err, refusal.ErrTooManyTags) {
			w.op("too many tags")
		}
	}}
	if r.s.Status.Ended() && !r.gone && r.s.Status != replay.Quarantined {
		s, err := w.judge.refold(r)
		var damage *journal.DamageError
		switch {
		case errors.As(err, &damage) && r.damaged == damage.Seq:
			w.meets(r)
			return
		case err != nil:
			w.fail("%v", err)
		}
		in.State = s
		w.op("tags of a run that has ended")
	}
	w.home(r.id).send(in)
}

// told checks the tags that somebody was told of: what he changed is so in them, and the run has had them.
func (j *Judge) told(id string, changes []event.Tag, now tags) {
	for _, c := range changes {
		if value, has := now[c.Name]; has == c.Gone || value != c.Value {
			j.w.fail("tags of %s: asked for %+v, told of %v", id, changes, now)
		}
	}
	if !j.some(id, func(t *track) bool { return t.damaged != 0 || slices.Contains(t.tagged, now.String()) }) {
		j.w.fail("tags of %s: somebody is told of %v, which it never had", id, now)
	}
}

// ofTags keeps the tags of a run.
func (j *Judge) ofTags(t *track, e *event.Event) {
	w := j.w
	switch e.Kind {
	case event.RunStarted:
		t.tags = tagsOf(e.Tags)
		_, _, scheduled := schedules.NameOf(t.id)
		if !scheduled && e.Parent == nil && !slices.Contains(w.tagsAsked[t.id], t.tags.String()) {
			w.fail("run %s begins with the tags %v, asked for were %q", t.id, t.tags, w.tagsAsked[t.id])
		}
		if len(e.Tags) > 0 {
			w.op("a run begins with tags")
		}
	case event.RunTagged:
		before := maps.Clone(t.tags)
		for _, c := range e.Tags {
			if delete(t.tags, c.Name); !c.Gone {
				t.tags[c.Name] = c.Value
			}
		}
		if len(t.tags) > 16 || maps.Equal(before, t.tags) {
			w.fail("run %s: its tags were %v, and are %v after %+v", t.id, before, t.tags, e.Tags)
		}
	default:
		return
	}
	t.tagged = append(t.tagged, t.tags.String())
}

// sameTags holds what the shard folds, and the head by which a run is found, against the Judge's own.
func (j *Judge) sameTags(t *track) {
	if got := tagsOf(t.s.Tags); !maps.Equal(got, t.tags) {
		j.w.fail("run %s has the tags %v, want %v", t.id, got, t.tags)
	}
	want := t.tags.texts()
	if p := t.s.Parent; p != nil { // its parent is found among them
		want = append(want, ":"+p.ID)
		slices.Sort(want)
	}
	if h, ok := j.w.at(t.s.Run).disk.heads[t.s.Run]; ok && !slices.Equal(h.Tags, want) {
		j.w.fail("the head of run %s has the tags %q, the run has %v", t.id, h.Tags, t.tags)
	}
}

// startsTagged checks that the run of a row begins with its schedule's tags: those of the revision before the batch, or after it, or of
// one that came and went in it.
func (j *Judge) startsTagged(name, run string, before, after []byte) {
	t, first, last := j.byID[run], uint32(0), uint32(0)
	same := func(want tags) bool {
		if t.tagged[0] != want.String() {
			return false
		}
		if len(want) > 0 {
			j.w.op("a run begins with the tags of its schedule")
		}
		return true
	}
	for i, state := range [][]byte{before, after} {
		if len(state) == 0 {
			continue
		}
		st, err := schedules.Decode(state)
		if err != nil {
			j.w.fail("schedule %s: %v", name, err)
		}
		if same(st.Def.Tags) {
			return
		}
		if last = st.Revision; i == 0 {
			first = last
		}
	}
	for revision := first + 1; j.w.moments[name] != nil && revision < last; revision++ {
		if same(j.w.moments[name].put[revision].tags) {
			return
		}
	}
	j.w.fail("schedule %s: run %s begins with the tags %q", name, run, t.tagged[0])
}
