package shard_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/evaluate"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/internal/sim"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/worker"
)

var update = flag.Bool("update", false, "rewrite what the stories expect")

// TestStories tells each story in testdata/stories to a shard on a simulated disk. A story is blocks: commands, a line of four
// dashes, and the events that became durable because of them.
//
//	workflow NAME            the following indented lines are its YAML
//	start RUN WORKFLOW [JSON [DELAY [NAME=VALUE ...]]]
//	tag RUN NAME=VALUE|-NAME ...
//	complete RUN STEP [JSON]    fail RUN STEP [final]    started RUN STEP
//	signal RUN NAME [ID]     cancel RUN [force]          retry RUN                fire RUN TIMER
//	delete RUN
//	pause RUN                resume RUN                  correct RUN STEP complete|skip|fail [JSON]
//	fork RUN NEW STEP [STEP=JSON ...]
//	advance 5s               restart                     state RUN
func TestStories(t *testing.T) {
	files, err := filepath.Glob("../../testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { tell(t, f) })
	}
}

func tell(t *testing.T, path string) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &story{t: t, disk: sim.NewDisk(0), now: shard.Now{Wall: 1_800_000_000_000, Mono: 1}, tasks: map[string]*shard.Spec{}}
	s.boot()
	s.events() // the engine's own
	var out strings.Builder
	blocks := strings.Split(strings.TrimRight(string(b), "\n"), "\n\n")
	for _, block := range blocks {
		commands, want, has := strings.Cut(block, "\n----")
		if !has {
			commands = block
		}
		s.said = nil
		s.do(commands)
		got := strings.Join(append(s.said, s.events()...), "\n")
		want = strings.Trim(want, "\n")
		if got == "" {
			got = "(nothing)"
		}
		if has && got != want && !*update {
			t.Errorf("%s: after\n%s\n\ngot:\n%s\n\nwant:\n%s", path, commands, got, want)
		}
		out.WriteString(commands)
		if has {
			out.WriteString("\n----\n" + got)
		}
		out.WriteString("\n\n")
	}
	if *update {
		if err := os.WriteFile(path, []byte(strings.TrimRight(out.String(), "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

type story struct {
	t       *testing.T
	disk    *sim.Disk
	shard   *duo
	now     shard.Now
	tasks   map[string]*shard.Spec // "run/step" -> what a worker has
	shown   uint64
	serve   [][2]string // service and handler of what runs in process, besides svc/h
	said    []string
	number  uint64 // of the engine's start
	asked   []*shard.Question
	careful bool              // every run is held
	had     map[string]string // ids of children, also of those that were deleted, by what stories call them
	reader  *archive.Archive  // of the disk, once something was read

	kids     map[string]int            // children that came to what a plan said
	foreseen map[replay.Correction]int // plans that came true; of "": to retry or to cancel the run
}

// archive reads the disk. It keeps what it has read of definitions.
func (s *story) archive() *archive.Archive {
	if s.reader == nil {
		s.reader = archive.New(s.disk)
	}
	return s.reader
}

func (s *story) boot() {
	s.shard = newDuo(shard.Config{Journal: s.disk, Release: "story", Boot: s.number, Careful: s.careful, Execute: func(spec *shard.Spec) {
		name := spec.Name
		if spec.Undo {
			name += "/undo"
		}
		s.tasks[spec.ID+"/"+name] = spec
	}, Evaluate: func(q *shard.Question) { s.asked = append(s.asked, q) }})
	if err := s.shard.Recover(s.now); err != nil {
		s.t.Fatal(err)
	}
	for _, h := range []string{"h", "other", "undo"} {
		s.shard.Serve("svc", h, func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil })
	}
	for _, h := range s.serve {
		if h[0] != "" {
			s.shard.Serve(h[0], h[1], func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil })
		}
	}
	s.disk.Append(s.shard.Boot())
	s.commit()
}

func (s *story) holding() {
	h := s.shard.Holding()
	text := "nothing is held"
	if h.On {
		text = fmt.Sprintf("held: %d", h.Runs)
	}
	if h.Releasing {
		text += fmt.Sprintf(", released: %d", h.Released)
	}
	s.said = append(s.said, text)
}

func (s *story) commit() {
	for {
		done := s.disk.Commit(s.disk.Queued())
		for _, b := range done {
			s.shard.Committed(b, nil, s.now)
		}
		give(s.shard, s.disk, s.now, nil)
		b := s.shard.Turn(s.now, nil)
		if b == nil && len(s.asked) == 0 {
			return
		}
		if b != nil {
			s.disk.Append(b)
		}
		s.evaluate()
	}
}

// evaluate answers what the shard asks.
func (s *story) evaluate() {
	asked := s.asked
	s.asked = nil
	for _, q := range asked {
		in, err := evaluate.Answer(q, s.archive())
		if err != nil {
			s.t.Fatal(err)
		}
		give(s.shard, s.disk, s.now, []any{in})
	}
}

func (s *story) turn(in ...any) {
	defer s.foresee(in)()
	give(s.shard, s.disk, s.now, in)
	if b := s.shard.Turn(s.now, nil); b != nil {
		s.disk.Append(b)
	}
	if err := s.shard.Check(); err != nil {
		s.t.Fatal(err)
	}
	s.commit()
	if err := s.shard.Check(); err != nil {
		s.t.Fatal(err)
	}
}

// reply notes a refusal.
func (s *story) reply(err error) {
	if err != nil {
		s.said = append(s.said, "refused: "+err.Error())
	}
}

func short(text string) string {
	if len(text) > 100 {
		return text[:100] + " ..."
	}
	return text
}

var quotedIDs = regexp.MustCompile(`"[^"]+"`)

func (s *story) do(commands string) {
	lines := strings.Split(commands, "\n")
	for i := 0; i < len(lines); i++ {
		words := strings.Fields(lines[i])
		for k := 1; k < len(words) && k < 3; k++ {
			words[k] = s.childOf(words[k])
		}
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		switch arg := func(n int) string {
			if n < len(words) {
				return words[n]
			}
			return ""
		}; words[0] {
		case "workflow":
			var yaml []string
			for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "  ") {
				i++
				yaml = append(yaml, strings.TrimPrefix(lines[i], "  "))
			}
			s.register(arg(1), strings.Join(yaml, "\n"))
		case "start":
			input := "null"
			if arg(3) != "" {
				input = arg(3)
			}
			delay := time.Duration(0)
			if arg(4) != "" {
				var err error
				if delay, err = time.ParseDuration(arg(4)); err != nil {
					s.t.Fatal(err)
				}
			}
			s.turn(&shard.Start{DelayMS: delay.Milliseconds(), ID: arg(1), Given: true, Workflow: arg(2), Input: []byte(input), Tags: tagsIn(words, 5), Reply: func(_ shard.Started, err error) { s.reply(err) }})
		case "complete":
			in := s.answer(arg(1), arg(2))
			in.Output = []byte("null")
			if arg(3) != "" {
				in.Output = []byte(arg(3))
			}
			s.turn(in)
		case "fail":
			in := s.answer(arg(1), arg(2))
			in.Fail = &replay.AttemptError{Code: "handler_error", Message: "broken", Final: arg(3) == "final"}
			s.turn(in)
		case "signal":
			id := arg(3)
			if id == "" {
				id = fmt.Sprintf("s%d", s.shown)
			}
			s.turn(&shard.Signal{ID: arg(1), Name: arg(2), SignalID: id, Payload: []byte("true"), Reply: func(_ string, err error) { s.reply(err) }})
		case "cancel":
			s.turn(&shard.Cancel{ID: arg(1), Reason: "story", Force: arg(2) == "force", Reply: s.reply})
		case "retry":
			s.turn(&shard.Retry{ID: arg(1), State: s.ended(arg(1)), Reply: s.reply})
		case "tag":
			in := &shard.Tag{ID: arg(1), Changes: tagsIn(words, 2), Reply: func(_ []event.Tag, err error) { s.reply(err) }}
			in.State = s.ended(arg(1))
			s.turn(in)
		case "correct":
			in := &shard.Correct{ID: arg(1), Step: arg(2), As: replay.Correction(arg(3)), Output: []byte(cmp.Or(arg(4), "null")), Reason: "story", Reply: s.reply}
			if run, _, ok, _ := s.disk.Lookup(arg(1)); ok {
				if st, err := s.folded(run); err == nil && st.Status.Ended() {
					in.State = st
				}
			}
			s.turn(in)
		case "delete":
			s.turn(&shard.Delete{IDs: []string{arg(1)}, Reply: func(got shard.Deleted, err error) { s.reply(cmp.Or(err, got.Err)) }})
		case "pause", "resume":
			s.turn(&shard.Pause{ID: arg(1), Reason: "story", Resume: words[0] == "resume", Reply: s.reply})
		case "fork":
			s.fork(arg(1), arg(2), arg(3), words[4:])
		case "fire":
			s.turn(&shard.Fire{ID: arg(1), Timer: arg(2), Reply: s.reply})
		case "advance":
			d, err := time.ParseDuration(arg(1))
			if err != nil {
				s.t.Fatal(err)
			}
			s.now.Wall += d.Milliseconds()
			s.now.Mono += d.Milliseconds()
			s.turn()
		case "restart":
			s.tasks = map[string]*shard.Spec{}
			s.careful = arg(1) == "careful"
			s.boot()
		case "hand": // what workers have
			text := "in hand:"
			for _, task := range slices.Sorted(maps.Keys(s.tasks)) {
				text += " " + plain(task)
			}
			s.said = append(s.said, text)
		case "resume-all":
			n, _ := strconv.Atoi(arg(1))
			s.turn(&shard.ReleaseAll{PerSecond: n, Reason: "story", Reply: func(_ shard.Hold, err error) { s.reply(err) }})
			s.holding()
		case "holding":
			s.holding()
		case "tags":
			run, _, _, _ := s.disk.Lookup(arg(1))
			st, err := s.folded(run)
			h, _, herr := s.disk.Head(run)
			if err != nil || herr != nil {
				s.t.Fatal(err, herr)
			}
			s.said = append(s.said, fmt.Sprintf("tags%s, its head: %s", tagsText(st.Tags), strings.Join(h.Tags, " ")))
		case "state":
			run, _, _, _ := s.disk.Lookup(arg(1))
			st, err := s.folded(run)
			if err != nil {
				s.t.Fatal(err)
			}
			text := st.Status.String()
			if st.Pause != nil {
				text += " (paused)"
			}
			for i := range st.Steps {
				text += fmt.Sprintf(" %s=%s", st.Graph.Def.Steps[i].Name, st.Shown(replay.Instance(i)))
				if _, over := st.ItemCounts(replay.Instance(i)); over {
					text += itemsText(st, replay.Instance(i))
				}
			}
			s.said = append(s.said, text)
		default:
			s.t.Fatalf("unknown command %q", lines[i])
		}
	}
}

// ended gives the state of a run that has ended, folded from the disk; nil: it is open, or not there.
func (s *story) ended(id string) *replay.State {
	if run, _, ok, _ := s.disk.Lookup(id); ok {
		if st, err := s.folded(run); err == nil && st.Status.Ended() {
			return st
		}
	}
	return nil
}

// tagsIn reads the tags in the words of a command from a place on: NAME=VALUE, or -NAME.
func tagsIn(words []string, from int) (tags []event.Tag) {
	for _, word := range words[min(from, len(words)):] {
		name, gone := strings.CutPrefix(word, "-")
		name, value, _ := strings.Cut(name, "=")
		tags = append(tags, event.Tag{Name: name, Value: value, Gone: gone})
	}
	return tags
}

// tagsText are tags as a command has them.
func tagsText(tags []event.Tag) (text string) {
	for _, t := range tags {
		if t.Gone {
			text += " -" + t.Name
			continue
		}
		text += " " + t.Name + "=" + t.Value
	}
	return text
}

// itemsText is where the items of a step stand, and its output when it has completed.
func itemsText(s *replay.State, i replay.Instance) string {
	var all []string
	s.ItemStates(i, 0, func(it replay.ItemState) bool {
		all = append(all, it.State.String())
		return true
	})
	text := "(" + strings.Join(all, ",") + ")"
	if out := s.At(i).Output; out.Data != nil {
		text += string(out.Data)
	}
	return text
}

// born is what stands behind the name in the id of a child.
var born = regexp.MustCompile(`\.[0-9a-z]{8,13}(/|$)`)

// plain is the id of a child as stories have it: RUN/STEP.
func plain(id string) string {
	for was := ""; was != id; {
		was, id = id, born.ReplaceAllString(id, "$1")
	}
	return id
}

// childOf gives the id of the newest child that a story calls so; what is no child's is itself.
func (s *story) childOf(name string) string {
	found := name
	if strings.Contains(name, "/") {
		_ = s.disk.Scan(0, 1<<30, func(r journal.Record) error {
			if h, ok, _ := s.disk.Head(r.Run); ok && r.Run == r.Seq && plain(h.ID) == name {
				found = h.ID
			}
			return nil
		})
		if id := s.had[name]; found == name && id != "" {
			return id
		}
		if s.had == nil {
			s.had = map[string]string{}
		}
		s.had[name] = found
	}
	return found
}

func (s *story) answer(run, step string) *shard.Outcome {
	spec := s.tasks[run+"/"+step]
	if spec == nil {
		s.t.Fatalf("no worker has %s/%s", run, step)
	}
	delete(s.tasks, run+"/"+step)
	return &shard.Outcome{Slot: spec.Slot, Reply: func(res shard.Result, _ bool, err error) {
		s.reply(err)
		if res != shard.Recorded {
			s.said = append(s.said, "answered: "+string(res))
		}
	}}
}

func (s *story) register(name, yaml string) {
	d, problems := flow.ParseAny([]byte(yaml))
	if len(problems) > 0 {
		s.t.Fatal(problems)
	}
	body, err := flow.Canonical(d)
	if err != nil {
		s.t.Fatal(err)
	}
	own, _ := flow.Parse(body)
	g, err := flow.NewGraph(own)
	if err != nil {
		s.t.Fatal(err)
	}
	s.turn(&shard.Register{Name: name, Graph: g, Body: body, Reply: func(_ shard.Registered, err error) { s.reply(err) }})
}

func (s *story) folded(run uint64) (*replay.State, error) {
	records, err := s.disk.RunRecords(run, 1<<63, 1, 1<<30)
	if err != nil || len(records) == 0 {
		return nil, errors.Join(err, fmt.Errorf("run %d has no records", run))
	}
	return s.archive().FoldRun(run, records[len(records)-1].Seq)
}

// events gives the events that became durable since the last call, a line each. Two runs are told apart by their ids.
func (s *story) events() []string {
	var lines []string
	runs := map[uint64]bool{}
	_ = s.disk.Scan(0, 1<<30, func(r journal.Record) error { runs[r.Run] = true; return nil })
	delete(runs, 0)
	_ = s.disk.Scan(s.shown, 1<<30, func(r journal.Record) error {
		events, err := event.DecodeAll(r.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		for i, e := range events {
			s.shown = r.Seq + uint64(i)
			if r.Run == 0 {
				continue
			}
			h, _, _ := s.disk.Head(r.Run)
			lines = append(lines, s.line(s.shown, r, h.ID, len(runs) > 1, &e))
		}
		return nil
	})
	return lines
}

func (s *story) line(seq uint64, r journal.Record, id string, many bool, e *event.Event) string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%d %s", seq, e.Kind)
	if many {
		b.WriteString(" " + plain(id))
	}
	st, _ := s.folded(r.Run)
	if e.OfStep() {
		b.WriteString(" " + st.Name(e.Step))
	}
	switch e.Kind {
	case event.StepScheduled, event.AttemptStarted, event.AttemptFailed, event.AttemptLost, event.AttemptEnded:
		fmt.Fprintf(b, " %d", e.Attempt)
		if strings.HasPrefix(e.Code, "child") || e.Code == "too_deep" {
			b.WriteString(" " + e.Code + ": " + short(quotedIDs.ReplaceAllStringFunc(e.Message, func(q string) string { return strconv.Quote(plain(strings.Trim(q, `"`))) })))
		}
	case event.ChildStarted:
		fmt.Fprintf(b, " %d %s", e.Attempt, plain(e.ID))
		if e.Forced {
			b.WriteString(" again")
		}
		if e.Due != 0 {
			fmt.Fprintf(b, " within %s", time.Duration(e.Due-r.At)*time.Millisecond)
		}
	case event.ChildStopped:
		b.WriteString(" " + e.Code)
	case event.ChildEnded:
		fmt.Fprintf(b, " %s %s", plain(e.ID), e.Code)
	case event.StepFailed, event.StepSkipped, event.StepCorrected:
		if e.Code != "" {
			b.WriteString(" " + e.Code)
		}
	case event.RunStarted:
		if p := e.Parent; p != nil {
			fmt.Fprintf(b, " for %s, %s", p.Name, e.Payload)
		}
		if e.Due != 0 {
			fmt.Fprintf(b, " in %s", time.Duration(e.Due-r.At)*time.Millisecond)
		}
		b.WriteString(tagsText(e.Tags))
	case event.RunTagged:
		b.WriteString(tagsText(e.Tags))
	case event.RunFailed:
		if e.Code != "" {
			fmt.Fprintf(b, " %s: %s", e.Code, e.Message)
		}
	case event.RunFinishing:
		fmt.Fprintf(b, ": %s %s", e.Name, e.Message)
	case event.RunCompleted:
		if len(e.Payload) > 0 {
			fmt.Fprintf(b, " %s", e.Payload)
		}
	case event.TemplatesEvaluated:
		if len(e.Payload) > 0 {
			fmt.Fprintf(b, " %s", e.Payload)
		}
		for _, o := range e.Objects {
			b.WriteString(" " + o.Key)
		}
	case event.ItemsSet:
		if e.Payload != nil {
			fmt.Fprintf(b, " %s", e.Payload)
		}
	case event.RoundCompleted:
		fmt.Fprintf(b, " %d", e.Attempt)
	case event.ConditionEvaluated:
		fmt.Fprintf(b, " %v %s", e.Forced, e.Payload)
		if e.Due != 0 {
			fmt.Fprintf(b, " %s", time.Duration(e.Due-r.At)*time.Millisecond)
		}
	case event.StepCompleted:
		if st.Spec(e.Step).Type == flow.TypeWorkflow && e.Payload != nil {
			fmt.Fprintf(b, " %s", e.Payload)
		}
		if e.Ref != 0 {
			fmt.Fprintf(b, " <- %d", e.Ref)
		}
	case event.SignalReceived:
		b.WriteString(" " + e.Name)
	case event.RunForked:
		fmt.Fprintf(b, " of %s from %s", plain(e.ID), e.Name)
	case event.StepKept:
		fmt.Fprintf(b, " %s %s", e.Name, e.Payload)
	case event.StepDeferred:
		fmt.Fprintf(b, " to %s for %s", st.Graph.Def.Steps[e.Timer].Name, time.Duration(e.Due-r.At)*time.Millisecond)
	case event.RetrySet, event.TimerSet, event.SignalAwaited:
		if e.Due != 0 {
			fmt.Fprintf(b, " %s", time.Duration(e.Due-r.At)*time.Millisecond)
		}
	case event.TimerFired:
		if e.Forced {
			b.WriteString(" by an operator")
		}
	}
	return b.String()
}
