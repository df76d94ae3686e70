package archive

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/journal"
)

// Versions gives every version of every workflow, by name and version. One that is missing is a *journal.DamageError: no engine starts
// on such a journal, and every check of it says so.
func (a *Archive) Versions() ([]journal.Definition, error) {
	all, err := a.j.Definitions()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b journal.Definition) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	name, last := "", uint32(0)
	for _, d := range all {
		if d.Name != name {
			name, last = d.Name, 0
		}
		if d.Version != last+1 {
			return nil, &journal.DamageError{Damage: journal.Damage{Kind: "definition",
				Detail: fmt.Sprintf("workflow %q: version %d follows version %d", d.Name, d.Version, last)}}
		}
		last = d.Version
	}
	return all, nil
}

// Registered gives the versions that the log tells of, for a journal that has lost rows of them.
func (a *Archive) Registered() ([]journal.Definition, error) {
	type key struct {
		name    string
		version uint32
	}
	all, current := map[key]journal.Definition{}, map[string]uint32{}
	for rec, err := range a.Records(0) {
		if _, gap := Gap(err); gap {
			continue
		}
		if err != nil {
			return nil, err
		}
		if rec.Run != 0 {
			continue
		}
		_ = event.Read(rec.Body, rec.Count, func(_ int, e *event.Event, opaque bool) error {
			d := journal.Definition{Name: e.Name, Version: e.Version, Digest: e.Digest, At: rec.At}
			switch k := (key{e.Name, e.Version}); {
			case opaque:
			case e.Kind == event.WorkflowDeleted:
				d.Digest = ""
				all[k] = d
				if current[e.Name] == e.Version {
					delete(current, e.Name)
				}
			case e.Kind == event.WorkflowRegistered, e.Kind == event.WorkflowUsed:
				if _, there := all[k]; !there {
					all[k] = d
				}
				current[e.Name] = e.Version
			}
			return nil
		})
	}
	var out []journal.Definition
	for k, d := range all {
		d.Current = d.Digest != "" && current[k.name] == k.version
		out = append(out, d)
	}
	return out, nil
}
