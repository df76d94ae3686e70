package pg

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/agnt5/agnt5d/internal/pgtest"
	"github.com/agnt5/agnt5d/journal"
)

// failovers is how often a test lets a standby be promoted, and how many acknowledgements there are each time.
func failovers(t *testing.T) (trials, acknowledgements int) {
	if testing.Short() {
		t.Skip("starts two servers")
	}
	if s := os.Getenv("AGNT5_FAILOVERS"); s != "" {
		trials, _ = strconv.Atoi(s)
		return trials, 10_000
	}
	return 1, 1_000
}

// load appends records, up to 256 of which are under way, and counts what is acknowledged.
type load struct {
	mu    sync.Mutex
	acks  uint64 // all up to here
	times []time.Time
	err   error
	ended chan struct{} // with err
}

func startLoad(j *Journal) *load {
	l := &load{ended: make(chan struct{})}
	slots := make(chan struct{}, 256)
	go func() {
		for seq := j.NextSeq(); ; seq++ {
			select {
			case slots <- struct{}{}:
			case <-l.ended:
				return
			}
			j.Append(&journal.Batch{Records: []journal.Record{{Seq: seq, Count: 1, At: int64(seq), Body: fmt.Appendf(make([]byte, 0, 150), "record %0140d", seq)}}}, func(err error) {
				l.mu.Lock()
				defer l.mu.Unlock()
				if err == nil {
					l.acks, l.times = seq, append(l.times, time.Now())
					<-slots
				} else if l.err == nil {
					l.err = err
					close(l.ended)
				}
			})
		}
	}()
	return l
}

func (l *load) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = journal.ErrClosed
		close(l.ended)
	}
}

// until waits for as many acknowledgements, and gives the last one.
func (l *load) until(t *testing.T, n uint64) uint64 {
	t.Helper()
	for {
		l.mu.Lock()
		acks, err := l.acks, l.err
		l.mu.Unlock()
		if acks >= n {
			return acks
		}
		if err != nil {
			t.Fatalf("after %d acknowledgements: %v", acks, err)
		}
		<-time.After(time.Millisecond)
	}
}

func sql(t *testing.T, url, text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

// The primary is killed under load and its synchronous standby promoted: the node goes on by itself, and nothing that was acknowledged is lost.
// AGNT5_FAILOVERS asks for more.
func TestASynchronousStandbyIsPromoted(t *testing.T) {
	trials, most := failovers(t)
	var all uint64
	var waited []time.Duration
	for range trials {
		primary := pgtest.Own(t, "synchronous_standby_names=*")
		standby := primary.Standby(t)
		both := fmt.Sprintf("host=%s,%s user=agnt5 dbname=postgres target_session_attrs=read-write", primary.Dir(), standby.Dir())
		j := open(t, Options{URL: both, Node: "one"})
		l := startLoad(j)
		l.until(t, uint64(most/4+rand.IntN(most/2)))
		primary.Kill()
		sql(t, standby.URL, `SELECT pg_promote()`)
		promoted := time.Now()
		had := l.until(t, 1)
		l.until(t, had+1)
		waited = append(waited, time.Since(promoted))
		l.until(t, uint64(most))
		l.stop()
		if err := j.Close(); err != nil {
			t.Error(err)
		}
		acks := l.until(t, 1)
		check, err := OpenReadOnly(t.Context(), Options{URL: standby.URL})
		if err != nil {
			t.Fatal(err)
		}
		there := uint64(0)
		err = check.Scan(0, 0, func(r journal.Record) error {
			if want := fmt.Sprintf("record %0140d", r.Seq); r.Seq == there+1 && string(r.Body) == want {
				there++
			}
			return nil
		})
		if err != nil || there < acks {
			t.Fatalf("%d were acknowledged, and %d are there: %v", acks, there, err)
		}
		all += acks
		_ = check.Close()
		standby.Stop()
		primary.Stop()
	}
	t.Logf("%d promotions of a synchronous standby: 0 of %d acknowledgements lost; the next one came up to %v after the promotion", trials, all, maxOf(waited))
}

func maxOf(all []time.Duration) (most time.Duration) {
	for _, d := range all {
		most = max(most, d)
	}
	return most.Round(time.Millisecond)
}

// A standby that was behind is promoted: what was acknowledged is lost, and the node says so and stops.
func TestALossOfAnAsynchronousStandbyIsSaid(t *testing.T) {
	trials, most := failovers(t)
	for range trials {
		primary := pgtest.Own(t)
		standby := primary.Standby(t)
		both := fmt.Sprintf("host=%s,%s user=agnt5 dbname=postgres target_session_attrs=read-write", primary.Dir(), standby.Dir())
		j := open(t, Options{URL: both, Node: "one"})
		l := startLoad(j)
		had := l.until(t, uint64(most/10+rand.IntN(most/10)))
		sql(t, standby.URL, `ALTER SYSTEM SET primary_conninfo = ''`) // it hears nothing more
		sql(t, standby.URL, `SELECT pg_reload_conf()`)
		for n := 1; n > 0; {
			conn, err := pgx.Connect(t.Context(), primary.URL)
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_replication`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			_ = conn.Close(t.Context())
		}
		had = l.until(t, l.until(t, had)+uint64(1+rand.IntN(most/10)))
		primary.Kill()
		sql(t, standby.URL, `SELECT pg_promote()`)
		select {
		case <-l.ended:
		case <-time.After(time.Minute):
			t.Fatal("the node does not stop")
		}
		if !errors.Is(l.err, ErrLost) {
			t.Fatalf("%d were acknowledged, and the node says: %v", had, l.err)
		}
		_ = j.Close()
		standby.Stop()
		primary.Stop()
	}
	t.Logf("%d promotions of a standby that was behind: the loss was said each time", trials)
}
