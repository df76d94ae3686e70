package census

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agnt5/agnt5d/internal/killtest"
)

var (
	journal = flag.String("census.journal", "", "of TestProcess: the journal")
	dies    = flag.Uint64("census.dies", 0, "of TestProcess: how many events it lives")
	clock   = flag.Int64("census.clock", 0, "of TestProcess: when it begins, in ms")
	seed    = flag.Uint64("census.seed", 1, "of TestKilled: when it kills")
)

func TestMain(m *testing.M) {
	killtest.Main(m, func() { os.Exit(m.Run()) })
}

// Every case of every definition ends as it says.
func TestEveryCase(t *testing.T) {
	defs := load(t)
	synctest.Test(t, func(t *testing.T) {
		begin(t, filepath.Join(t.TempDir(), "runs.db"), defs).check()
	})
}

// Every case ends as it says, too, when the process is killed in the middle, again and again: after a drawn number of events, that is, of
// commits. What had completed does not run again.
func TestKilled(t *testing.T) {
	defs := load(t)
	path := filepath.Join(t.TempDir(), "runs.db")
	draw := rand.New(rand.NewPCG(*seed, 0))
	midway, completed, ms := map[string]bool{}, 0, int64(0)
	for range 6 {
		n := 100 + draw.IntN(500)
		died := false
		for _, line := range killtest.Program(t, "", "-test.run=^TestProcess$", "-census.journal="+path, fmt.Sprint("-census.dies=", n), fmt.Sprint("-census.clock=", ms)) {
			if name, is := strings.CutPrefix(line, "midway "); is {
				midway[name] = true
			}
			if strings.HasPrefix(line, "again ") {
				t.Errorf("%s, which had completed", line)
			}
			before := completed
			if _, err := fmt.Sscanf(line, "dies at %d ms, %d completed", &ms, &completed); err == nil {
				died = completed >= before
				t.Logf("killed after %d events of its own, when %d steps had completed in all", n, completed)
			}
		}
		if !died {
			t.Fatalf("it was to die after %d events", n)
		}
	}
	for _, d := range defs {
		if !midway[d.name] && len(d.Cases) > 0 {
			t.Errorf("%s was never killed in the middle", d.name)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.UnixMilli(ms)))
		begin(t, path, defs).check()
	})
}

// TestProcess is the process that TestKilled starts; by itself it does nothing.
func TestProcess(t *testing.T) {
	if *journal == "" {
		return
	}
	defs := load(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.UnixMilli(*clock)))
		w := begin(t, *journal, defs)
		go w.dieAfter(*dies)
		w.check()
		t.Error("it was not killed")
	})
}
