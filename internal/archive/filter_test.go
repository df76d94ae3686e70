package archive_test

import (
	"net/url"
	"testing"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/listing"
	"github.com/agnt5/agnt5d/journal"
)

// asked is a journal that notes what was asked of it.
type asked struct{ f journal.HeadFilter }

func (a *asked) Heads(f journal.HeadFilter) (journal.HeadPage, error) {
	a.f = f
	return journal.HeadPage{Heads: []journal.Head{{Run: 1}}}, nil
}

func (a *asked) Definitions() ([]journal.Definition, error) { return nil, nil }

// Whatever a list is asked for, no more than 10,000 runs are looked at for a page, and fewer where each run's steps are. That a journal
// keeps to it is counted in package bolt.
func TestEachFilterBoundsWhatIsLookedAt(t *testing.T) {
	sample := map[string]string{"string": "x", "states": "failed", "date-time": "2026-11-23T08:00:00Z", "duration": "10m", "tag": "team:data"}
	for _, f := range listing.Filters {
		for _, sort := range []string{"start", "end"} {
			want, err := listing.Read(url.Values{f.Name: {sample[f.Kind]}, "sort": {sort}})
			if err != nil {
				t.Fatal(err)
			}
			j := &asked{}
			if _, _, err := archive.Runs(j, want, func(all []journal.Head) ([]journal.Head, error) { return all, nil }); err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			most := 10_000
			if f.Name == "stuck_for" {
				most = 1_000
			}
			if j.f.Look < 1 || j.f.Look > most || j.f.Limit > j.f.Look {
				t.Errorf("%s by %s: %d runs are looked at, want %d at most", f.Name, sort, j.f.Look, most)
			}
		}
	}
}
