//go:build unix

package pg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/journal"
)

func init() {
	asChild = func() {
		if what := strings.Fields(os.Getenv("AGNT5_TEST_ZOMBIE")); len(what) > 0 {
			o := Options{Schema: what[0], Node: "zombie", Force: true, Lease: time.Second, URL: os.Getenv("AGNT5_TEST_ZOMBIE_URL")}
			if what[1] == "unfenced" {
				o.fence = noFence
			}
			zombie(o)
		}
	}
}

const (
	noFence  = `SELECT $1::int, $2::bigint, $3::bigint`
	byZombie = 13 // Record.At
	byHeir   = 99
)

// zombie appends until it is fenced, with up to 64 appends under way, and says which one was acknowledged last.
func zombie(o Options) {
	j, err := Open(context.Background(), o)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("open")
	slots := make(chan struct{}, 64)
	acknowledged := uint64(0)
	for seq := j.NextSeq(); ; seq++ {
		slots <- struct{}{}
		body := make([]byte, 150)
		if seq%40 == 0 {
			body = make([]byte, rand.IntN(300<<10))
		}
		j.Append(&journal.Batch{Records: []journal.Record{{Seq: seq, Count: 1, At: byZombie, Body: body}}}, func(err error) {
			if err == nil {
				acknowledged = seq
				<-slots
				return
			}
			fmt.Println(acknowledged, errors.Is(err, journal.ErrFenced), err)
			os.Exit(0)
		})
	}
}

// haunt stops a node under load, takes its shard over, lets it go on, and gives how many appends of it were accepted after that.
func haunt(t *testing.T, o Options, how string, heirs int) (accepted int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "AGNT5_TEST_ZOMBIE="+o.Schema+" "+how, "AGNT5_TEST_ZOMBIE_URL="+o.URL)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	said := bufio.NewReader(out)
	if line, err := said.ReadString('\n'); line != "open\n" {
		t.Fatalf("the node said %q, %v", line, err)
	}
	<-time.After(time.Duration(rand.IntN(40_000)) * time.Microsecond) // any moment of its work
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	o.Node, o.Force = "heir", true
	j := open(t, o)
	defer j.Close()
	taken := j.NextSeq()
	add := func(n int) {
		t.Helper()
		for range n {
			if err := put(j, &journal.Batch{Records: []journal.Record{{Seq: j.NextSeq(), Count: 1, At: byHeir}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(heirs)
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	line, err := said.ReadString('\n')
	words := strings.Fields(line)
	if err != nil || len(words) < 2 {
		t.Fatalf("the node said %q, %v", line, err)
	}
	last, _ := strconv.ParseUint(words[0], 10, 64)
	if how == "fenced" {
		add(1)
		if words[1] != "true" || last >= taken {
			t.Errorf("the shard was taken at %d, and the node said %q", taken, line)
		}
	}
	if err := j.Scan(taken-1, 0, func(r journal.Record) error {
		if r.At == byZombie {
			accepted++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return accepted
}

// patient gives a URL whose connections may take longer to come about: each trial makes several, beside a node that floods the server.
func patient(dsn string) string {
	if strings.Contains(dsn, "?") {
		return dsn + "&connect_timeout=60"
	}
	return dsn + "?connect_timeout=60"
}

// A node under load is stopped at any moment (SIGSTOP), another takes its shard over, and it goes on: nothing that it sends then gets in, and
// it is told so. AGNT5_ZOMBIES asks for more trials.
func TestZombiesWriteNothing(t *testing.T) {
	trials := 20
	if s := os.Getenv("AGNT5_ZOMBIES"); s != "" {
		trials, _ = strconv.Atoi(s)
	} else if testing.Short() {
		trials = 3
	}
	o := scratch(t, t.Name())
	o.URL = patient(o.URL)
	for n := range trials {
		if n := haunt(t, o, "fenced", 5); n > 0 {
			t.Fatalf("%d appends of a node that was passed by were accepted", n)
		}
		if t.Failed() {
			t.Fatalf("in trial %d", n+1)
		}
	}
	t.Logf("%d zombies: 0 appends accepted", trials)
}

// The control: without the fence they get in.
func TestZombiesWithoutTheFenceWrite(t *testing.T) {
	o := scratch(t, t.Name())
	o.fence, o.URL = noFence, patient(o.URL)
	trials, wrote := 30, 0
	for n := range trials {
		if haunt(t, o, "unfenced", 0) > 0 {
			if wrote++; os.Getenv("AGNT5_ZOMBIES") == "" {
				t.Logf("appends were accepted in trial %d", n+1)
				return
			}
		}
	}
	t.Logf("without the fence: appends were accepted in %d of %d trials", wrote, trials)
	if wrote == 0 {
		t.Error("the test cannot tell whether the fence works")
	}
}
