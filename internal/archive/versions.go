package archive

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/journal"
)

// Versions gives every version of every workflow, by name and version. What the journal has lost of them is in damages, and is taken from
// the log. A version of which the log does not tell either has no digest, as one that was deleted, and a workflow of which neither says
// which version is current has none.
func (a *Archive) Versions() (all []journal.Definition, damages journal.Damages, err error) {
	all, err = a.j.Definitions()
	if err != nil && !errors.As(err, &damages) {
		return nil, nil, err
	}
	byName(all)
	if damages = append(damages, gaps(all)...); len(damages) == 0 {
		return all, nil, nil
	}
	told, err := a.told()
	if err != nil {
		return nil, nil, err
	}
	return fill(all, told), damages, nil
}

func byName(all []journal.Definition) {
	slices.SortFunc(all, func(a, b journal.Definition) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
}

// gaps finds the versions that are missing between others.
func gaps(all []journal.Definition) (damages journal.Damages) {
	name, last := "", uint32(0)
	for _, d := range all {
		if d.Name != name {
			name, last = d.Name, 0
		}
		if d.Version != last+1 {
			damages = append(damages, journal.Damage{Kind: "definition", Detail: fmt.Sprintf("workflow %q: version %d follows version %d", d.Name, d.Version, last)})
		}
		last = d.Version
	}
	return damages
}

// told is what the log tells of versions, which is read once: what was registered since has whole rows.
func (a *Archive) told() ([]journal.Definition, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.registered == nil {
		all, err := a.Registered()
		if err != nil {
			return nil, err
		}
		a.registered = append([]journal.Definition{}, all...)
	}
	return a.registered, nil
}

// fill puts what the log tells into a list of versions that is not whole.
func fill(all, told []journal.Definition) []journal.Definition {
	has, current := map[string]map[uint32]bool{}, map[string]bool{}
	add := func(d journal.Definition) {
		if has[d.Name] == nil {
			has[d.Name] = map[uint32]bool{}
		}
		has[d.Name][d.Version] = true
		current[d.Name] = current[d.Name] || d.Current
	}
	for _, d := range all {
		add(d)
	}
	for _, d := range told {
		if !has[d.Name][d.Version] {
			d.Current = d.Current && !current[d.Name]
			all = append(all, d)
			add(d)
		} else if d.Current && !current[d.Name] {
			i := slices.IndexFunc(all, func(o journal.Definition) bool { return o.Name == d.Name && o.Version == d.Version })
			all[i].Current = all[i].Digest != ""
			add(all[i])
		}
	}
	for name, versions := range has {
		for v := uint32(1); int(v) <= len(versions); v++ {
			if !versions[v] {
				all = append(all, journal.Definition{Name: name, Version: v})
				versions[v] = true
			}
		}
	}
	byName(all)
	return all
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
