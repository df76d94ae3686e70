package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/internal/pgtest"
	"github.com/agnt5/agnt5d/journal"
)

// put commits a batch.
func put(j *Journal, b *journal.Batch) error {
	done := make(chan error, 1)
	j.Append(b, func(err error) { done <- err })
	return <-done
}

// chain makes the records of one run, one after the other.
type chain struct{ last journal.Record }

func (c *chain) next(j *Journal, body string) journal.Record {
	r := journal.Record{Seq: j.NextSeq(), Count: 1, Run: c.last.Run, Prev: c.last.Seq, N: c.last.Last() + 1, At: 7, Body: []byte(body)}
	if c.last.Seq == 0 {
		r.Run, r.N = r.Seq, 1
	}
	return r
}

// step commits a record with everything that can stand beside one.
func (c *chain) step(j *Journal, body string) error {
	r := c.next(j, body)
	b := &journal.Batch{Records: []journal.Record{r}, Rows: []journal.Row{{Key: "last", Value: []byte(body)}},
		Objects:   []journal.Object{{Key: "k", Version: r.N, Seq: r.Seq, State: []byte(body)}},
		Snapshots: []journal.Snapshot{{Run: r.Run, Seq: r.Seq, State: []byte(body)}}}
	if r.Run == r.Seq {
		b.Heads = []journal.Head{{Run: r.Run, ID: "x", Workflow: "w", LastSeq: r.Seq, Events: 1}}
	}
	err := put(j, b)
	if err == nil {
		c.last = r
	}
	return err
}

// bodies reads the log as a new node does.
func bodies(t *testing.T, o Options) (list []string) {
	t.Helper()
	o.Force, o.Node = true, "reader"
	j := open(t, o)
	defer j.Close()
	if err := j.Scan(0, 0, func(r journal.Record) error {
		list = append(list, string(r.Body))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

// A commit's connection is cut at each of its messages, one after the other, on the way there and on the way back. What became of the
// commit is found out each time: it is recorded once, and what follows goes on behind it.
func TestTheOutcomeOfACommitIsFoundOut(t *testing.T) {
	direct := scratch(t, t.Name())
	p := newProxy(t, direct.URL)
	o := direct
	o.URL = p.url
	j := open(t, o)
	var c chain
	var want []string
	step := func(body string) {
		t.Helper()
		if err := c.step(j, body); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		want = append(want, body)
	}
	step("first")
	step("second") // its statements are prepared now
	cuts := 0
	for _, back := range []bool{false, true} {
		for after := 0; ; after++ {
			f := p.arm(j, &fault{back: back, after: after})
			step(fmt.Sprintf("cut at message %d, back %v", after+1, back))
			if !p.disarm() {
				if f.seen > after {
					t.Fatal("a fault was counted and did not happen")
				}
				break
			}
			cuts++
			step("and on")
		}
	}
	if cuts < 15 {
		t.Errorf("a commit has only %d messages: is it still one pipeline of several statements?", cuts)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if got := bodies(t, direct); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the log has\n%q, want\n%q", got, want)
	}
}

// A node stops in the middle of what it sends to the database, with the shard's row locked. Another takes the shard over all the same,
// and when the first one goes on, nothing of it gets in.
func TestAWriterThatStandsStillIsPassedBy(t *testing.T) {
	direct := scratch(t, t.Name())
	p := newProxy(t, direct.URL)
	o := direct
	o.URL, o.Node = p.url, "first"
	j := open(t, o)
	var c chain
	if err := errors.Join(c.step(j, "one"), c.step(j, "two")); err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	f := p.arm(j, &fault{after: 4, hold: hold})
	told := make(chan error, 1)
	r := c.next(j, "of the first")
	j.Append(&journal.Batch{Records: []journal.Record{r}, Rows: []journal.Row{{Key: "last", Value: []byte("of the first")}}}, func(err error) { told <- err })
	<-f.reached

	o = direct
	o.Force, o.Node = true, "second"
	began := time.Now()
	other := open(t, o)
	defer other.Close()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the shard was taken after %v", took)
	}
	if err := c.step(other, "of the second"); err != nil {
		t.Fatal(err)
	}
	close(hold)
	if err := <-told; !errors.Is(err, journal.ErrFenced) {
		t.Errorf("the first one was told %v, want ErrFenced", err)
	}
	_ = j.Close()
	if got := fmt.Sprint(bodies(t, direct)); got != "[one two of the second]" {
		t.Errorf("the log has %s", got)
	}
}

// Without the fence the test above would fail: a commit of a node that was passed by gets in.
func TestWithoutTheFenceAnOldOwnerWrites(t *testing.T) {
	o := scratch(t, t.Name())
	o.Node, o.fence = "first", `SELECT $1::int, $2::bigint, $3::bigint`
	j := open(t, o)
	var c chain
	if err := c.step(j, "one"); err != nil {
		t.Fatal(err)
	}
	taken := o
	taken.Node, taken.Force = "second", true
	other := open(t, taken)
	defer other.Close()
	if err := c.step(j, "too late"); err != nil {
		t.Fatalf("the control shows nothing: %v", err)
	}
	_ = j.Close()
}

// The database goes away and comes back: what was appended meanwhile waits, and nothing else happens.
func TestTheDatabaseIsAwayForAWhile(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	s := pgtest.Own(t)
	var noticed []string
	o := Options{URL: s.URL, Notice: func(text string, _ error) { noticed = append(noticed, text) }}
	j := open(t, o)
	var c chain
	var want []string
	for round := range 3 {
		for i := range 20 {
			body := fmt.Sprintf("round %d, %d", round, i)
			want = append(want, body)
			if i != 10 {
				if err := c.step(j, body); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if round%2 == 0 {
				s.Kill()
			} else {
				s.End()
			}
			told := make(chan error, 1)
			r := c.next(j, body)
			j.Append(&journal.Batch{Records: []journal.Record{r}}, func(err error) { told <- err })
			select {
			case err := <-told:
				t.Fatalf("without a database: %v", err)
			case <-time.After(300 * time.Millisecond):
			}
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			if err := <-told; err != nil {
				t.Fatal(err)
			}
			c.last = r
		}
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if len(noticed) < 6 {
		t.Errorf("an operator was told %q", noticed)
	}
	if got := bodies(t, o); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the log has\n%q, want\n%q", got, want)
	}
}

// A node that is alive keeps the shard; one that has died is not waited for; one that lets go is followed at once.
func TestWhoMayTakeTheShard(t *testing.T) {
	o := scratch(t, t.Name())
	o.Node, o.Addr, o.Lease = "first", "http://first:8700", time.Hour
	j := open(t, o)
	other := o
	other.Node, other.Addr = "second", "http://second:8700"
	var held *HeldError
	if _, err := Open(context.Background(), other); !errors.As(err, &held) || held.Owner != "first" || held.Addr != "http://first:8700" {
		t.Fatalf("beside a node that is alive: %v", err)
	}
	// The process dies: the kernel ends its connections.
	j.leasing()
	_ = j.w.conn.Close(context.Background())
	began := time.Now()
	var next *Journal
	for next == nil {
		got, err := Open(context.Background(), other)
		if err != nil && !errors.Is(err, ErrHeld) {
			t.Fatal(err)
		}
		next = got
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("a node that is dead was followed after %v", took)
	}
	var c chain
	if err := c.step(next, "of the second"); err != nil {
		t.Fatal(err)
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, o)
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if err := put(j, &journal.Batch{Rows: []journal.Row{{Key: "late", Value: []byte("1")}}}); !errors.Is(err, journal.ErrFenced) {
		t.Errorf("the first one, by then: %v", err)
	}
	_ = j.Close()
}

// The database has lost what it acknowledged, as a standby that was behind has when it is promoted.
func TestALossOfTheDatabaseIsSaid(t *testing.T) {
	o := scratch(t, t.Name())
	j := open(t, o)
	defer j.Close()
	var c chain
	for i := range 3 {
		if err := c.step(j, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	run(t, o, `DELETE FROM log WHERE seq = $1`, int64(c.last.Seq))
	err := c.step(j, "behind a loss")
	if !errors.Is(err, ErrLost) || !errors.Is(err, journal.ErrBroken) {
		t.Errorf("got %v", err)
	}
	<-j.Broken()
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]Options{
		"a shard that is too high":    {Shard: MaxShard + 1},
		"a lease that is no time":     {Lease: time.Millisecond},
		"an outage below none":        {Outage: -1},
		"a schema with a long name":   {Schema: fmt.Sprintf("%064d", 1)},
		"a URL that is none":          {URL: "postgres://u:secret@host:port/x"},
		"a host that does not answer": {URL: "postgres://u:secret@127.0.0.1:1/x?connect_timeout=2"},
	} {
		_, err := Open(context.Background(), o)
		if err == nil {
			t.Errorf("%s was taken", name)
		} else if text := err.Error(); strings.Contains(text, "secret") {
			t.Errorf("%s: the error has the password: %s", name, text)
		}
	}
	if got := Name("postgres://u:secret@db.example:5433/x?sslmode=require"); got != "postgres://u@db.example:5433/x" {
		t.Errorf("name %s", got)
	}
}
