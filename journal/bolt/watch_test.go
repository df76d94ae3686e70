//go:build !windows

package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/journal"
)

// What may become of the file while it is open. Another file in its place counts as gone, also if it is a copy to the byte.
func TestAFileThatIsNotTheOneThatWasOpenedIsGone(t *testing.T) {
	whole := strings.Repeat("x", 1000)
	write := func(t *testing.T, path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		happens func(t *testing.T, path string) error
		says    string // "": nothing is wrong
	}{
		"nothing": {func(*testing.T, string) error { return nil }, ""},
		"it grew": {func(t *testing.T, p string) error { return os.Truncate(p, 2000) }, ""},
		"deleted": {func(t *testing.T, p string) error { return os.Remove(p) }, "was deleted or moved"},
		"moved":   {func(t *testing.T, p string) error { return os.Rename(p, p+".old") }, "was deleted or moved"},
		"cut":     {func(t *testing.T, p string) error { return os.Truncate(p, 999) }, "was cut from 1000 to 999 bytes"},
		"a copy in its place": {func(t *testing.T, p string) error {
			write(t, p+".copy", whole)
			return os.Rename(p+".copy", p)
		}, "was replaced by another file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "runs.db")
			write(t, path, whole)
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var p place
			if err := p.set(path, f); err != nil {
				t.Fatal(err)
			}
			if err := c.happens(t, path); err != nil {
				t.Fatal(err)
			}
			err = p.look()
			if c.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrGone) || !errors.Is(err, journal.ErrBroken) || !strings.Contains(err.Error(), path+" "+c.says) {
				t.Errorf("got %v, want that it %s", err, c.says)
			}
		})
	}
}
