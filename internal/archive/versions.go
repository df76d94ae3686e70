package archive

import (
	"cmp"
	"fmt"
	"slices"

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
