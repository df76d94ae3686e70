package replay_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/replay"
)

// history is a run as an earlier release recorded it.
type history struct {
	Name       string          `json:"name"`
	Definition json.RawMessage `json:"definition"`
	Records    []struct {
		Seq    uint64 `json:"seq"`
		At     int64  `json:"at"`
		Body   []byte `json:"body"`
		Digest string `json:"digest"` // the first 8 bytes of the state's digest after the record, in hex
	} `json:"records"`
	State []byte `json:"state"` // the state's encoding after the last record
}

// histories reads testdata/histories. Its files are never rewritten: each holds runs of the release that wrote it.
func histories(t *testing.T) []history {
	t.Helper()
	files, err := filepath.Glob("../testdata/histories/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded histories: %v", err)
	}
	var all []history
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(b))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var h history
			if err := json.Unmarshal(lines.Bytes(), &h); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, h)
		}
	}
	return all
}

func graphOf(t *testing.T, h history) *flow.Graph {
	t.Helper()
	def, problems := flow.Parse(h.Definition)
	if len(problems) > 0 {
		t.Fatalf("%s: %v", h.Name, problems)
	}
	canonical, err := flow.Canonical(def)
	if err != nil || !bytes.Equal(canonical, h.Definition) {
		t.Fatalf("%s: the definition's canonical form has changed: %v\n was %s\n now %s", h.Name, err, h.Definition, canonical)
	}
	g, err := flow.NewGraph(def)
	if err != nil {
		t.Fatalf("%s: %v", h.Name, err)
	}
	return g
}

// Every build folds the histories of every release to the states that the release had: after each record, from the first
// one on and from a snapshot taken anywhere on the way.
func TestRecordedHistoriesFoldToTheirDigests(t *testing.T) {
	kinds := map[event.Kind]bool{}
	for _, h := range histories(t) {
		g := graphOf(t, h)
		s := replay.New(g)
		for i, rec := range h.Records {
			n := 0
			err := event.Decode(rec.Body, func(k int, e *event.Event) error {
				kinds[e.Kind] = true
				n++
				return s.Apply(rec.Seq+uint64(k), rec.At, e)
			})
			if err != nil {
				t.Fatalf("%s: record %d: %v", h.Name, rec.Seq, err)
			}
			s.EndRecord(rec.Seq)
			s.Released()
			if got := hex.EncodeToString(s.Digest()[:8]); got != rec.Digest {
				t.Fatalf("%s: after record %d the digest is %s, the release that wrote it had %s", h.Name, rec.Seq, got, rec.Digest)
			}
			if events, err := event.DecodeAll(rec.Body); err != nil || !bytes.Equal(event.AppendBody(nil, events), rec.Body) {
				t.Errorf("%s: record %d is not encoded as it was: %v", h.Name, rec.Seq, err)
			}
			if (i+len(h.Name))%3 == 0 { // go on from a snapshot
				if s, err = replay.Decode(s.Append(nil), g); err != nil {
					t.Fatalf("%s: a snapshot after record %d: %v", h.Name, rec.Seq, err)
				}
			}
		}
		for _, st := range s.All() { // the release that wrote it did not keep them
			st.Answer = replay.Answer{}
		}
		if got := s.Append(nil); !bytes.Equal(got, h.State) {
			t.Errorf("%s: the state is encoded as\n %x, the release that wrote it had\n %x", h.Name, got, h.State)
		}
	}
	for kind := event.RunStarted; kind <= event.AttemptEnded; kind++ {
		if !kinds[kind] {
			t.Errorf("no recorded history holds %s", kind)
		}
	}
}
