package schedules

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/cron"
	"github.com/agnt5/agnt5d/internal/nearest"
)

// Codes of problems that only schedules have. The others are those of definitions of workflows.
const (
	CodeWorkflowMissing = "schedule_workflow_missing"
	CodeNoTime          = "schedule_without_time"
	CodeTwoTimes        = "schedule_with_two_times"
	CodeChoice          = "choice_unknown"
	CodeTime            = "time_invalid"
	CodeTags            = "tags_invalid"
)

// Limits of a schedule.
const (
	MaxName     = 100
	MaxBytes    = 2 << 20 // of its text
	MaxFile     = 64 << 20
	maxInput    = 1 << 20
	maxCrons    = 50
	maxAt       = 1000
	maxExcludes = 100
	maxDates    = 1000
	maxNote     = 1024
	maxCatchUp  = 1000
	minEvery    = 1000
	longest     = 10 * 366 * 24 * 3600_000
	maxJitter   = 24 * 3600_000
)

// Read reads one schedule as JSON or YAML, and checks it: every problem at once.
func Read(b []byte) (*Definition, flow.Problems) {
	text, problems := flow.ReadText(b, "the schedule", MaxBytes)
	if len(problems) > 0 {
		return nil, problems
	}
	r := &reader{}
	d := r.schedule(text, "")
	return d, r.problems
}

// ReadNamed is Read of a schedule whose name stands elsewhere, too: it may be left out of the text, or must be the same. "": it may be
// left out.
func ReadNamed(b []byte, name string) (*Definition, flow.Problems) {
	text, problems := flow.ReadText(b, "the schedule", MaxBytes)
	if len(problems) > 0 {
		return nil, problems
	}
	r := &reader{name: name}
	if r.optional = true; name == "" {
		r.name = "preview"
	}
	d := r.schedule(text, "")
	if name != "" && d.Name != name && len(r.problems) == 0 {
		r.at(text.Place)(flow.CodeNameInvalid, "name is %q, and the schedule is put as %q: want the same, or none", d.Name, name)
	}
	return d, r.problems
}

// ReadFile reads what "agnt5d schedules apply" takes: an object with the key schedules, a list of them, or one schedule.
func ReadFile(b []byte) ([]*Definition, flow.Problems) {
	text, problems := flow.ReadText(b, "the file", MaxFile)
	if len(problems) > 0 {
		return nil, problems
	}
	r := &reader{}
	i := slices.IndexFunc(text.Keys(), func(k flow.TextKey) bool { return k.Name == "schedules" })
	if i < 0 && text.Kind() != '[' {
		d := r.schedule(text, "")
		return []*Definition{d}, r.problems
	}
	list := text
	if i >= 0 {
		for _, k := range text.Keys() {
			if k.Name != "schedules" {
				r.at(k.Place)(flow.CodeUnknownKey, "unknown key %q beside schedules", k.Name)
			}
		}
		list = text.Keys()[i].Value
	}
	if list.Kind() != '[' {
		r.wrong(list, "schedules", "a list")
		return nil, r.problems
	}
	var all []*Definition
	seen := map[string]bool{}
	for i, item := range list.Items() {
		d := r.schedule(item, fmt.Sprintf("schedule %d: ", i+1))
		if d.Name != "" && seen[d.Name] {
			r.at(item.Place)(flow.CodeNameDuplicate, "schedule %d: the name %q stands twice", i+1, d.Name)
		}
		seen[d.Name] = true
		all = append(all, d)
	}
	return all, r.problems
}

// Check checks a definition that was made in Go.
func (d *Definition) Check() flow.Problems {
	r := &reader{}
	r.check(d, func(string) func() (int, int) { return nowhere })
	return r.problems
}

func nowhere() (int, int) { return 0, 0 }

type reader struct {
	problems flow.Problems
	prefix   string // of sentences: which schedule of a file
	name     string // of a schedule that has none
	optional bool   // its name may be left out
}

// at gives what adds a problem at a place.
func (r *reader) at(place func() (int, int)) func(code, format string, args ...any) {
	return func(code, format string, args ...any) {
		line, column := place()
		r.problems = append(r.problems, flow.Problem{Code: code, Detail: r.prefix + fmt.Sprintf(format, args...), Line: line, Column: column})
	}
}

func (r *reader) wrong(v flow.Text, key, want string) {
	r.at(v.Place)(flow.CodeWrongType, "%s must be %s, not %s", key, want, v.Says())
}

// object reads the keys of an object by a table.
func (r *reader) object(v flow.Text, what string, keys map[string]func(flow.Text)) {
	if v.Kind() != '{' {
		r.wrong(v, what, "an object")
		return
	}
	seen := map[string]bool{}
	for _, k := range v.Keys() {
		read := keys[k.Name]
		switch {
		case read == nil:
			known := make([]string, 0, len(keys))
			for name := range keys {
				known = append(known, name)
			}
			slices.Sort(known)
			r.at(k.Place)(flow.CodeUnknownKey, "unknown key %q in %s%s", k.Name, what, nearest.Did(k.Name, known))
		case seen[k.Name]:
			r.at(k.Place)(flow.CodeKeyDuplicate, "the key %q appears twice in %s", k.Name, what)
		case k.Value.Kind() != 'n':
			read(k.Value)
		}
		seen[k.Name] = true
	}
	for name := range keys {
		if short, is := strings.CutSuffix(name, "_ms"); is && seen[name] && seen[short] {
			r.at(v.Place)(flow.CodeDurationTwice, "%s has both %s and %s", what, short, name)
		}
	}
}

func (r *reader) text(key string, into *string) func(flow.Text) {
	return func(v flow.Text) {
		if v.Kind() != '"' {
			r.wrong(v, key, "a string")
			return
		}
		*into = v.Text()
	}
}

func (r *reader) texts(key string, into *[]string) func(flow.Text) {
	return func(v flow.Text) {
		items := v.Items()
		if v.Kind() == '"' {
			items = []flow.Text{v}
		} else if v.Kind() != '[' {
			r.wrong(v, key, "a list of strings, or one")
			return
		}
		for _, item := range items {
			var s string
			r.text("each of "+key, &s)(item)
			*into = append(*into, s)
		}
	}
}

func (r *reader) number(key string, into *int64) func(flow.Text) {
	return func(v flow.Text) {
		n, err := strconv.ParseInt(v.Text(), 10, 64)
		switch {
		case v.Kind() != '#':
			r.wrong(v, key, "a whole number")
		case err != nil:
			r.at(v.Place)(flow.CodeOutOfRange, "%s must be a whole number of at most 64 bits, not %s", key, v.Text())
		default:
			*into = n
		}
	}
}

func (r *reader) duration(key string, into *int64) func(flow.Text) {
	return func(v flow.Text) {
		if v.Kind() != '"' && v.Text() != "0" { // the one number that needs no unit
			r.wrong(v, key, "a duration such as 15m")
			return
		}
		ms, err := flow.ParseDuration(v.Text())
		if err != nil {
			r.at(v.Place)(flow.CodeDurationInvalid, "%s %v", key, err)
			return
		}
		*into = ms
	}
}

func (r *reader) time(key string, into *Time) func(flow.Text) {
	return func(v flow.Text) {
		if v.Kind() != '"' {
			r.wrong(v, key, "a time such as 2026-12-24T18:00:00+01:00")
			return
		}
		at, err := time.Parse(time.RFC3339Nano, v.Text())
		if err != nil || at.Year() < 1970 || at.Year() > 9999 {
			r.at(v.Place)(CodeTime, "%s: %.80q is not a time; want RFC 3339 with an offset, such as 2026-12-24T18:00:00+01:00", key, v.Text())
			return
		}
		*into = Time(at.UnixMilli())
	}
}

func (r *reader) schedule(v flow.Text, prefix string) *Definition {
	r.prefix = prefix
	d := &Definition{}
	places := map[string]func() (int, int){}
	version := int64(0)
	keys := map[string]func(flow.Text){
		"name": r.text("name", &d.Name), "workflow": r.text("workflow", &d.Workflow), "version": r.number("version", &version),
		"cron": r.texts("cron", &d.Cron), "every": r.duration("every", &d.EveryMS), "every_ms": r.number("every_ms", &d.EveryMS),
		"at": func(v flow.Text) { r.times(v, d) }, "time_zone": r.text("time_zone", &d.TimeZone), "overlap": r.text("overlap", &d.Overlap),
		"dst": func(v flow.Text) {
			r.object(v, "dst", map[string]func(flow.Text){"gap": r.text("dst.gap", &d.DST.Gap), "overlap": r.text("dst.overlap", &d.DST.Overlap)})
		},
		"catch_up": func(v flow.Text) {
			d.CatchUp = &CatchUp{DefaultWindowMS, DefaultMax}
			r.object(v, "catch_up", map[string]func(flow.Text){"window": r.duration("catch_up.window", &d.CatchUp.WindowMS),
				"window_ms": r.number("catch_up.window_ms", &d.CatchUp.WindowMS), "max": r.number("catch_up.max", &d.CatchUp.Max)})
		},
		"jitter": r.duration("jitter", &d.JitterMS), "jitter_ms": r.number("jitter_ms", &d.JitterMS),
		"exclude":  func(v flow.Text) { r.excludes(v, d) },
		"start_at": r.time("start_at", &d.StartAt), "end_at": r.time("end_at", &d.EndAt), "max_runs": r.number("max_runs", &d.MaxRuns),
		"input":  func(v flow.Text) { r.input(v, d) },
		"tags":   func(v flow.Text) { r.tags(v, d) },
		"paused": func(v flow.Text) { r.flag(v, d) },
		"note":   r.text("note", &d.Note),
	}
	for name, read := range keys {
		keys[name] = func(v flow.Text) {
			places[strings.TrimSuffix(name, "_ms")] = v.Place
			read(v)
		}
	}
	before := len(r.problems)
	r.object(v, "the schedule", keys)
	if r.optional && d.Name == "" {
		d.Name = r.name
	}
	if d.Version = uint32(version); version < 0 || version > math.MaxUint32 {
		r.at(places["version"])(flow.CodeOutOfRange, "version must be 1 or more, or left out for the current one")
	}
	if d.CatchUp != nil && *d.CatchUp == (CatchUp{DefaultWindowMS, DefaultMax}) {
		d.CatchUp = nil
	}
	if len(r.problems) == before { // else what is missing may be what could not be read
		r.check(d, func(key string) func() (int, int) {
			if place := places[key]; place != nil {
				return place
			}
			return v.Place
		})
	}
	return d
}

func (r *reader) times(v flow.Text, d *Definition) {
	items := v.Items()
	if v.Kind() != '[' {
		items = []flow.Text{v}
	}
	for _, item := range items {
		var at Time
		r.time("each of at", &at)(item)
		d.At = append(d.At, at)
	}
}

func (r *reader) excludes(v flow.Text, d *Definition) {
	if v.Kind() != '[' {
		r.wrong(v, "exclude", "a list of {dates: […]} and {cron: …}")
		return
	}
	for _, item := range v.Items() {
		var e Exclude
		r.object(item, "exclude", map[string]func(flow.Text){"dates": r.texts("exclude.dates", &e.Dates), "cron": r.text("exclude.cron", &e.Cron)})
		d.Exclude = append(d.Exclude, e)
	}
}

func (r *reader) flag(v flow.Text, d *Definition) {
	if v.Kind() != 'b' {
		r.wrong(v, "paused", "true or false")
		return
	}
	paused := v.Text() == "true"
	d.Paused = &paused
}

func (r *reader) input(v flow.Text, d *Definition) {
	b, err := v.JSON()
	if err != nil {
		r.at(v.Place)(flow.CodeKeyDuplicate, "input: %v", err)
		return
	}
	d.Input = b
}

func (r *reader) tags(v flow.Text, d *Definition) {
	if v.Kind() != '{' {
		r.wrong(v, "tags", "an object of strings")
		return
	}
	d.Tags = map[string]string{}
	for _, k := range v.Keys() {
		var s string
		r.text("tags."+k.Name, &s)(k.Value)
		d.Tags[k.Name] = s
	}
}

// check says what is wrong with a definition that could be read. place tells where a key is.
func (r *reader) check(d *Definition, place func(key string) func() (int, int)) {
	add := func(key, code, format string, args ...any) { r.at(place(key))(code, format, args...) }
	if err := flow.ValidName(d.Name); err != nil {
		add("name", flow.CodeNameInvalid, "name %v", err)
	} else if len(d.Name) > MaxName {
		add("name", flow.CodeNameInvalid, "name is %d bytes long, the limit is %d", len(d.Name), MaxName)
	}
	if d.Workflow == "" {
		add("workflow", CodeWorkflowMissing, "workflow is missing: want the name of the workflow that is started")
	} else if err := flow.ValidName(d.Workflow); err != nil {
		add("workflow", flow.CodeNameInvalid, "workflow %v", err)
	}
	r.checkWhen(d, add)
	choice := func(key, value string, of []string) {
		if value != "" && !slices.Contains(of, value) {
			add(strings.SplitN(key, ".", 2)[0], CodeChoice, "%s must be one of %s, not %.80q%s", key, strings.Join(of, ", "), value, nearest.Did(value, of))
		}
	}
	choice("dst.gap", d.DST.Gap, Gaps)
	choice("dst.overlap", d.DST.Overlap, DSTOverlaps)
	choice("overlap", d.Overlap, Overlaps)
	within := func(key string, n, least, most int64) {
		if n < least || n > most {
			add(strings.SplitN(key, ".", 2)[0], flow.CodeOutOfRange, "%s must be from %d to %d, not %d", key, least, most, n)
		}
	}
	if d.CatchUp != nil {
		within("catch_up.window_ms", d.CatchUp.WindowMS, 0, longest)
		within("catch_up.max", d.CatchUp.Max, 0, maxCatchUp)
	}
	within("jitter_ms", d.JitterMS, 0, maxJitter)
	within("max_runs", d.MaxRuns, 0, math.MaxInt64)
	within("note", int64(len(d.Note)), 0, maxNote)
	if d.StartAt != 0 && d.EndAt != 0 && d.EndAt < d.StartAt {
		add("end_at", CodeTime, "end_at %s is before start_at %s", d.EndAt, d.StartAt)
	}
	if len(d.Input) > 0 {
		if err := flow.CheckJSON(d.Input, maxInput); err != nil {
			add("input", flow.CodeInputInvalid, "input %v", err)
		} else if err := checkInput(d.Input); err != nil {
			add("input", flow.CodeExpression, "input: %v", err)
		}
	}
	if err := flow.ValidTags(d.Tags); err != nil {
		add("tags", CodeTags, "tags: %v", err)
	}
}

// checkWhen checks what says when a schedule is due.
func (r *reader) checkWhen(d *Definition, add func(key, code, format string, args ...any)) {
	ways := 0
	for _, is := range []bool{len(d.Cron) > 0, d.EveryMS != 0, len(d.At) > 0} {
		if is {
			ways++
		}
	}
	switch {
	case ways == 0:
		add("", CodeNoTime, "the schedule has no times: want one of cron, every and at")
	case ways > 1:
		add("", CodeTwoTimes, "the schedule has more than one of cron, every and at: want one of them")
	}
	if d.EveryMS != 0 && (d.EveryMS < minEvery || d.EveryMS > longest) {
		add("every", flow.CodeOutOfRange, "every must be from 1s to ten years, not %d ms", d.EveryMS)
	}
	for key, n := range map[string][2]int{"cron": {len(d.Cron), maxCrons}, "at": {len(d.At), maxAt}, "exclude": {len(d.Exclude), maxExcludes}} {
		if n[0] > n[1] {
			add(key, flow.CodeOutOfRange, "%s has %d entries, the limit is %d", key, n[0], n[1])
			return
		}
	}
	if _, err := cron.Zone(d.TimeZone); err != nil {
		add("time_zone", flow.CodeZoneInvalid, "%v", err)
		return
	}
	for _, text := range d.Cron {
		if _, err := cron.Parse(text, d.TimeZone); err != nil {
			add("cron", flow.CodeCronInvalid, "%v", err)
		}
	}
	dates := 0
	for _, e := range d.Exclude {
		if dates += len(e.Dates); len(e.Dates) > 0 == (e.Cron != "") {
			add("exclude", CodeChoice, "each entry of exclude has either dates or cron")
		}
		for _, date := range e.Dates {
			if at, err := time.Parse(time.DateOnly, date); err != nil || at.Year() < 1970 {
				add("exclude", CodeTime, "exclude: %.80q is not a date; want one such as 2026-12-25", date)
			}
		}
		if e.Cron != "" {
			if _, err := cron.Parse(e.Cron, d.TimeZone); err != nil {
				add("exclude", flow.CodeCronInvalid, "exclude: %v", err)
			}
		}
	}
	if dates > maxDates {
		add("exclude", flow.CodeOutOfRange, "exclude has %d dates, the limit is %d", dates, maxDates)
	}
}
