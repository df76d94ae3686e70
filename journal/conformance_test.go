package journal_test

import (
	"path/filepath"
	"testing"

	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/journaltest"
)

func TestConformance(t *testing.T) {
	journaltest.Run(t, func(t *testing.T, dir string) journaltest.Log {
		j, err := journal.Open(filepath.Join(dir, "agnt5.db"), journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return j
	})
}
