package sim

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

var (
	oneSeed = flag.Uint64("seed", 0, "run this one seed")
	_       = func() bool {
		flag.Uint64Var(&traced, "follow", 0, "print the events of the run with this number")
		return true
	}()
	seeds = flag.Int("seeds", 0, "how many seeds to run; 0: as many as the suite has time for")
)

// steps is how long the faults of one seed go on.
const steps = 600

// floor is what must have happened over all seeds, or the run proves nothing.
var floor = []string{
	"crash", "crash while starting", "commit that nobody heard of", "disk full", "answer: disk full", "clock goes back", "clock jumps ahead",
	"start", "start with another input", "signal", "signal with another payload", "cancel", "retry", "fire", "delete", "the id of a deleted run is free again", "status", "request sent again",
	"worker joins", "worker dies", "worker leaves", "worker forges a token", "response lost", "outcome sent again", "attempt failed",
	"a copy is put back", "restarts in a row", "result bad_token", "result of another history",
	"outcome for a foreign object", "a handler answers twice", "worker hears that an attempt is over",
	"result recorded", "result stale_lease", "result run_finished", "result invalid",
	"event RunStarted", "event StepBlocked", "event KeysGranted", "event StepScheduled", "event AttemptStarted", "event AttemptFailed",
	"event AttemptLost", "event RetrySet", "event StepDeferred", "event StepCompleted", "event StepFailed", "event StepTimedOut",
	"event StepSkipped", "event SignalAwaited", "event SignalReceived", "event TimerSet", "event TimerFired", "event RunCompleted",
	"event RunFailed", "event RunCancelled", "event RunReopened", "event AttemptEnded", "event WorkflowRegistered", "event RunsDeleted",
	"event EngineStarted", "event RunQuarantined", "event ConditionEvaluated", "event FailureCaught", "event RoundCompleted", "event TemplatesEvaluated", "event RunBegan", "a run is over its time", "a template says what a run gives",
	"the keeper deletes a slice", "a run has the id of one that was deleted",
	"event ItemsSet", "an item is completed", "an item fails", "items wait for others to end", "a step goes over an empty list", "a list is what a step before it gave",
	"a step tolerates that an item failed", "a step goes on with its list", "a step over a list fails: item_failed", "a step over a list fails: too_many_items",
	"a step over a list fails: expression_failed",
	"event ChildStarted", "event ChildStopped", "event ChildEnded", "a child goes on for a step that was reopened",
	"event RunFinishing", "event CompensationBegan", "event FinallyBegan", "a compensation: StepCompleted", "a compensation: StepFailed", "all was compensated",
	"finally anew", "force", "an end by force",
	"event RunTagged", "a run begins with tags", "tags of a run that has ended", "too many tags", "a run begins with the tags of its schedule",
	"a record is damaged", "a reader meets the damage", "the fold meets the damage", "cancel of a quarantined run",
	"a run is quarantined whose attempt has just begun", "a run ends while a handler holds a key",
	"a wait of 0 ms ends a run in which somebody works",
	"a read is answered late", "a read is answered before an earlier one", "an input waits for a read", "an answer is too old",
	"the connection is lost in a commit", "connected again: it was not recorded", "connected again: it was recorded",
	"another engine takes the journal over",
	"schedule: put", "schedule: pause", "schedule: resume", "schedule: delete", "schedule: trigger", "schedule: backfill", "crash around a decision",
	"the clock goes back an hour", "the clock jumps an hour", "the clock jumps three days", "the clock jumps ten years",
	"event ScheduleDecided", "event ScheduleChanged", "row fired", "row caught_up", "row skipped_overlap", "row buffered", "row missed", "row paused",
	"row excluded", "row triggered", "row backfilled", "row start_failed", "row buffered becomes fired",
	"a row stands for many",
	"every run is held", "the hold is ended",
	"several shards", "a hub on another goroutine", "a poll is answered by several shards", "an answer is repeated",
}

func TestSeeds(t *testing.T) {
	if *oneSeed != 0 {
		if w, err := Run(*oneSeed, steps, NoBug); err != nil {
			explain(t, w, err)
			t.Fatal(err)
		}
		return
	}
	n := *seeds
	if n == 0 {
		n = 850
		if testing.Short() { // under the race detector
			n = 80
		}
	}
	from := uint64(1)
	if s := os.Getenv("AGNT5_SIM_FROM"); s != "" {
		from, _ = strconv.ParseUint(s, 10, 64)
	}
	all := map[string]int{}
	failed := 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := from
	for range runtime.GOMAXPROCS(0) { // seeds have nothing in common
		wg.Go(func() {
			for {
				mu.Lock()
				seed := next
				next++
				over := seed >= from+uint64(n) || failed > 4
				mu.Unlock()
				if over {
					return
				}
				w, err := Run(seed, steps, NoBug)
				mu.Lock()
				if err != nil {
					failed++
					t.Errorf("%v\n  to see it again: go test ./internal/sim -run TestSeeds -seed %d", err, seed)
				}
				for k, v := range w.Ops {
					all[k] += v
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if failed > 0 || n < 850 { // a few seeds need not meet everything
		return
	}
	for _, k := range floor {
		if all[k] == 0 {
			t.Errorf("%q never happened in %d seeds", k, n)
		}
	}
}

func TestTheSameSeedIsTheSameHistory(t *testing.T) {
	history := func() string {
		w, err := Run(7, steps, NoBug)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, n := range w.nodes {
			for _, r := range n.disk.records {
				text += fmt.Sprintf("%d %d %d %x\n", r.Seq, r.Run, r.At, r.Body)
			}
		}
		return text
	}
	if a, b := history(), history(); a != b {
		t.Fatal("seed 7 gave two histories")
	}
}

func TestPlantedBugsAreFound(t *testing.T) {
	for _, bug := range []Bug{EarlyAck, LostCommit, EarlyClock, DroppedRecord, StaleState, SameBoot} {
		found := false
		for seed := uint64(1); seed < 300 && !found; seed++ {
			_, err := Run(seed, steps, bug)
			found = err != nil
		}
		if !found {
			t.Errorf("nobody noticed: %s", bug)
		}
	}
}
