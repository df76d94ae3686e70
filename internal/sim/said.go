package sim

import (
	"cmp"
	"slices"

	"github.com/agnt5/agnt5d/journal"
)

// ofAttempt orders pieces of logs.
func ofAttempt(a, b journal.Said) int {
	return cmp.Or(cmp.Compare(a.Run, b.Run), cmp.Compare(len(a.Step), len(b.Step)), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Attempt, b.Attempt))
}

// say keeps a piece of an attempt's log, and the last MaxSaid bytes before its end.
func (d *Disk) say(s journal.Said) {
	s.Text = slices.Clone(s.Text)
	at, again := slices.BinarySearchFunc(d.said, s, func(a, b journal.Said) int { return cmp.Or(ofAttempt(a, b), cmp.Compare(a.At, b.At)) })
	if again {
		d.said[at] = s
	} else {
		d.said = slices.Insert(d.said, at, s)
	}
	size := 0
	for i := len(d.said) - 1; i >= 0; i-- {
		if ofAttempt(d.said[i], s) != 0 {
			continue
		}
		if size >= journal.MaxSaid {
			d.said = slices.Delete(d.said, i, i+1)
			continue
		}
		size += len(d.said[i].Text)
	}
}

// Said gives what attempts of a run wrote to their logs.
func (d *Disk) Said(run uint64, step string, after journal.SaidMark, limit int) ([]journal.Said, error) {
	var out []journal.Said
	size := 0
	for _, s := range d.said {
		if s.Run != run || step != "" && s.Step != step || after != (journal.SaidMark{}) && ofAttempt(s, journal.Said{Run: run, Step: after.Step, Attempt: after.Attempt}) <= 0 {
			continue
		}
		if limit > 0 && size > limit && ofAttempt(s, out[len(out)-1]) != 0 {
			break
		}
		out = append(out, s)
		size += len(s.Text)
	}
	return out, nil
}
