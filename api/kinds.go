package api

import (
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/push"
	"github.com/agnt5/agnt5d/schedules"
)

// kind is what a value may be. Parameters are checked by it, and the OpenAPI document says it of parameters and of the fields
// of bodies. What is checked of a body stands where the check is, in packages flow, engine and push; their limits come here by
// their names.
type kind struct {
	Type     string // string, integer, boolean, array
	Format   string
	Pattern  string
	Enum     []string
	Min, Max int64  // of an integer; Max of a string: characters, of an array: elements. 0: no limit
	Items    string // kind of an array's elements
	Default  string
	Example  string
	Needed   bool     // a body without it is refused
	Any      bool     // of a string: it may be empty
	Many     bool     // of a parameter: it may be given more than once
	Words    []string // of a string: one of these, or several with commas between; Pattern says the same
	Note     string   // what to say of a value that is refused, behind what is wanted
}

// kinds are those of parameters, by the name that stands in the table of routes.
var kinds = map[string]*kind{
	"string":     {Type: "string"},
	"integer":    {Type: "integer", Max: math.MaxInt64},
	"sequence":   {Type: "integer", Min: 1, Max: math.MaxInt64},
	"boolean":    {Type: "boolean"},
	"date-time":  {Type: "string", Format: "date-time", Example: "2026-11-23T08:00:00Z"},
	"limit":      {Type: "integer", Min: 1, Max: maxPage, Default: strconv.Itoa(defaultPage)},
	"spans":      {Type: "integer", Min: 1, Max: maxSpans, Default: strconv.Itoa(defaultSpans)},
	"version":    {Type: "integer", Min: 1, Max: math.MaxInt32},
	"cursor":     {Type: "string", Pattern: `^[A-Za-z0-9_-]+$`, Max: 1024},
	"name":       text(flow.NameRule, "data_pipeline"),
	"run_id":     text(flow.RunIDRule, "order-17"),
	"object_key": text(flow.ObjectKeyRule, "customer/42"),
	"part":       {Type: "string", Pattern: `^(\.{0,2}[^.]|\.{3})`}, // of a path: what exists has whatever name it was given
	"state":      {Type: "string", Enum: []string{"running", "finishing", "completed", "failed", "cancelled", "quarantined"}},
	"item":       {Type: "string", Enum: itemStates},
	"states":     words("failed,cancelled", "; a run that waits for something is running", "running", "finishing", "completed", "failed", "cancelled", "quarantined"),
	"duration":   {Type: "string", Pattern: `^([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$`, Max: 64, Example: "10m"},
	"tag":        {Type: "string", Many: true, Example: "team:data"},
	"sort":       {Type: "string", Enum: []string{"start", "end"}},
	"include":    {Type: "string", Enum: []string{"signals"}},
	"includes":   words("reason", "", "signals", "reason"),
	"differing":  {Type: "string", Enum: []string{"all", "different"}, Default: "different"},
	"outcome":    {Type: "string", Enum: outcomeNames()},
	"times":      {Type: "integer", Min: 1, Max: 1000, Default: "20"},
	"steps":      {Type: "string", Enum: []string{"all", "open", "none"}, Default: "all"},
	"preference": {Type: "string", Example: "wait=1", Any: true},
	"header":     {Type: "string", Any: true},
}

var itemStates = []string{"pending", "blocked", "scheduled", "running", "waiting", "retrying", "completed", "failed", "cancelled"}

func text(r flow.TextRule, example string) *kind {
	return &kind{Type: "string", Pattern: r.Pattern, Max: int64(r.Most), Example: example}
}

// words is a kind of text that is one of the words, or several with commas between.
func words(example, note string, words ...string) *kind {
	one := "(" + strings.Join(words, "|") + ")"
	return &kind{Type: "string", Pattern: "^" + one + "(," + one + ")*$", Example: example, Words: words, Note: note}
}

// fields are the kinds of bodies' fields, by component and field. The others may be whatever their type may.
var fields = map[string]*kind{
	"StartBody.workflow_id":          kinds["run_id"],
	"SignalBody.signal_id":           kinds["run_id"],
	"CancelBody.reason":              {Type: "string", Max: engine.MaxReason, Example: "the order was withdrawn", Any: true},
	"ManyBody.reason":                {Type: "string", Max: engine.MaxReason, Any: true},
	"ManyBody.workflow":              kinds["string"],
	"ManyBody.id_prefix":             kinds["string"],
	"ManyBody.parent":                kinds["string"],
	"ManyBody.paused":                kinds["boolean"],
	"ManyBody.state":                 kinds["states"],
	"ManyBody.ended_since":           kinds["date-time"],
	"ManyBody.ended_until":           kinds["date-time"],
	"ManyBody.error_code":            kinds["string"],
	"ManyBody.text":                  kinds["string"],
	"ManyBody.stuck_for":             kinds["duration"],
	"ManyBody.include":               kinds["include"],
	"ManyBody.since":                 kinds["date-time"],
	"ManyBody.until":                 kinds["date-time"],
	"ServiceBody.url":                {Type: "string", Pattern: `^https?://[^?#]+$`, Example: "http://127.0.0.1:9000/tasks", Needed: true},
	"ServiceBody.handlers":           {Type: "array", Items: "name", Min: 1, Needed: true},
	"ServiceBody.capacity":           {Type: "integer", Max: push.MaxCapacity},
	"ServiceBody.timeout_ms":         {Type: "integer", Max: push.MaxTimeout.Milliseconds()},
	"WorkerRegister.service_name":    needed(kinds["name"]),
	"WorkerRegister.service_version": {Type: "string", Max: engine.MaxServiceVersion, Any: true},
	"WorkerRegister.host":            {Type: "string", Max: engine.MaxHost, Any: true},
	"WorkerRegister.pid":             {Type: "integer", Max: math.MaxInt32},
	"WorkerRegister.handlers":        {Type: "array", Items: "name", Min: 1, Max: engine.MaxHandlers, Needed: true},
	"WorkerRegister.capacity":        {Type: "integer", Min: 1, Max: engine.MaxCapacity, Needed: true},
	"WorkerRegister.worker_id":       orEmptyText(kinds["name"]),
	"TokenBody.name":                 needed(kinds["name"]),
	"TokenBody.scope":                {Type: "string", Pattern: `^(read|operate|worker|admin|worker:[A-Za-z0-9_:.-]{1,128})$`, Example: "worker:payments", Needed: true},
	"TokenBody.ttl_ms":               {Type: "integer", Max: maxTTL.Milliseconds()},
	"LoginBody.token":                {Type: "string", Needed: true},
	"ResumeAllBody.per_second":       {Type: "integer", Max: engine.MaxPerSecond},
	"ResumeAllBody.reason":           {Type: "string", Max: engine.MaxReason, Any: true},
	"PauseBody.note":                 {Type: "string", Max: engine.MaxReason, Any: true},
	"ResumeBody.note":                {Type: "string", Max: engine.MaxReason, Any: true},
	"TriggerBody.overlap":            {Type: "string", Enum: schedules.Overlaps},
	"BackfillBody.overlap":           {Type: "string", Enum: []string{schedules.BufferAll, schedules.Allow}},
	"BackfillBody.from":              needed(kinds["date-time"]),
	"BackfillBody.to":                needed(kinds["date-time"]),
	"UseBody.version":                needed(kinds["version"]),
	"WorkerRegister.publish":         {Type: "string", Enum: []string{wire.PublishCurrent}},
	"WorkerPoll.seq":                 {Type: "integer", Max: math.MaxInt64},
	"WorkerPoll.max":                 {Type: "integer", Max: math.MaxInt64},
	"WorkerPoll.wait_ms":             {Type: "integer", Max: maxWaitMS},
	"WorkerOutcome.status":           {Type: "string", Enum: []string{"completed", "failed"}}, // another is the result "invalid"
}

// orEmptyText is a kind of text that may be empty, too: it is as if the field were not there.
func orEmptyText(k *kind) *kind {
	with := *k
	with.Pattern, with.Any = "^$|"+k.Pattern, true
	return &with
}

func needed(k *kind) *kind {
	with := *k
	with.Needed = true
	return &with
}

// schema is the kind as JSON Schema.
func (k *kind) schema() object {
	s := object{"type": k.Type}
	set := func(name string, value any, is bool) {
		if is {
			s[name] = value
		}
	}
	set("format", k.Format, k.Format != "")
	set("pattern", k.Pattern, k.Pattern != "")
	set("enum", k.Enum, k.Enum != nil)
	switch k.Type {
	case "integer":
		set("format", "int64", true)
		set("minimum", k.Min, true)
		set("maximum", k.Max, k.Max > 0)
		if n, err := strconv.Atoi(k.Default); err == nil {
			s["default"] = n
		}
	case "string":
		set("minLength", 1, !k.Any && k.Enum == nil)
		set("maxLength", k.Max, k.Max > 0)
		set("default", k.Default, k.Default != "")
	case "array":
		set("minItems", k.Min, k.Min > 0)
		set("maxItems", k.Max, k.Max > 0)
		s["items"], s["uniqueItems"] = kinds[k.Items].schema(), true
	}
	set("examples", []string{k.Example}, k.Example != "")
	return s
}

var patterns = func() map[string]*regexp.Regexp {
	all := map[string]*regexp.Regexp{}
	for name, k := range kinds {
		if k.Pattern != "" {
			all[name] = regexp.MustCompile(strings.ReplaceAll(k.Pattern, `\u00`, `\x`))
		}
	}
	return all
}()

// check says what is wrong with a parameter.
func (p *param) check(given string) error {
	k := kinds[p.Type]
	wrong := func(format string, args ...any) error {
		return problem("invalid_request", p.Name+": "+quote(given)+fmt.Sprintf(format, args...))
	}
	switch {
	case given == "" && !k.Any:
		return problem("invalid_request", p.Name+" is empty: give it a value, or leave it out")
	case k.Enum != nil && !slices.Contains(k.Enum, given):
		return wrong(", want %s", oneOf(k.Enum))
	case k.Type == "boolean" && given != "true" && given != "false":
		return wrong(", want true or false")
	case k.Type == "integer":
		if n, err := strconv.ParseUint(given, 10, 63); err != nil || n < uint64(k.Min) || n > uint64(k.Max) {
			if k.Max == math.MaxInt64 {
				return wrong(", want a number, %d or more", k.Min)
			}
			return wrong(", want a number from %d to %d", k.Min, k.Max)
		}
	case k.Format == "date-time":
		if _, err := time.Parse(time.RFC3339, given); err != nil {
			return wrong(" is not a time like %s", k.Example)
		}
	case k.Max > 0 && k.Type == "string" && utf8.RuneCountInString(given) > int(k.Max):
		return wrong(" is longer than %d characters", k.Max)
	case k.Words != nil && !patterns[p.Type].MatchString(given):
		return wrong(", want %s, or several with commas between%s", oneOf(k.Words), k.Note)
	case k.Pattern != "" && !patterns[p.Type].MatchString(given):
		return wrong(" does not look like one: want text that matches %s", k.Pattern)
	}
	return nil
}

func oneOf(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// known gives a parameter of the route by its name.
func (rt *route) known(name string) *param {
	for i := range rt.Query {
		if rt.Query[i].Name == name {
			return &rt.Query[i]
		}
	}
	return nil
}

// checkHeaders checks the headers that the route reads, as far as anything is checked of them.
func (rt *route) checkHeaders(r *http.Request) error {
	for _, name := range rt.Headers {
		h := headers[name]
		for _, given := range r.Header.Values(name) {
			if err := h.check(given); err != nil {
				return err
			}
		}
	}
	return nil
}

// number reads a parameter that is a number; it was checked before.
func number(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return otherwise
}
