package api_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/engine"
)

// sequences reads an event stream until it has seen so many events of a kind, and gives the sequences of all events.
func (s *site) sequences(ctx context.Context, kind string, most int, begin <-chan struct{}) (all []uint64, err error) {
	req, err := http.NewRequestWithContext(ctx, "GET", s.url+"/v1/events?after=0", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	<-begin
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 2<<20)
	for lines.Scan() && most > 0 {
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		_, after, _ := strings.Cut(text, `"seq":`)
		seq, err := strconv.ParseUint(after[:strings.IndexAny(after, ",}")], 10, 64)
		if err != nil {
			return all, err
		}
		all = append(all, seq)
		if strings.Contains(text, `"kind":"`+kind+`"`) {
			most--
		}
	}
	return all, lines.Err()
}

// However many read all events, each gets each event once and in order: who is as fast as the engine, who comes later, and who is so
// slow that what he has not read is kept in memory no longer.
func TestReadersOfAllEventsShareThem(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","type":"wait_signal","signal":{"name":"stop"}}]}`)
	const runs = 16
	now, later := make(chan struct{}), make(chan struct{})
	close(now)
	var readers sync.WaitGroup
	read := func(who string, begin <-chan struct{}) {
		readers.Go(func() {
			got, err := s.sequences(t.Context(), "RunStarted", runs, begin)
			if err != nil {
				t.Errorf("%s: %v", who, err)
			}
			for i, seq := range got {
				if seq != uint64(i+1) {
					t.Errorf("%s: event %d has sequence %d", who, i+1, seq)
					return
				}
			}
		})
	}
	for i := range 3 {
		read(fmt.Sprint("reader ", i), now)
	}
	read("a slow reader", later)
	size := 900 << 10    // 14 MB in all
	if testing.Short() { // under the race detector
		size = 200 << 10
	}
	input := strings.Repeat("x", size)
	for i := range runs {
		s.want(201, "", "POST", "/v1/workflows/w/runs", `{"input_data":"`+input+`"}`)
		if i == runs/2 {
			read("a late reader", now)
		}
	}
	close(later)
	readers.Wait()
}
