package flow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// anyDefinition draws a valid definition that uses every field.
func anyDefinition(t *rapid.T) *Definition {
	name := rapid.StringMatching(`[A-Za-z0-9_.:-]{0,11}[A-Za-z0-9_:-]`)
	ms := rapid.Map(rapid.Int64Range(1, 1<<40), func(n int64) time.Duration { return time.Duration(n) * time.Microsecond })
	maybe := func(o StepOption) StepOption {
		if rapid.Bool().Draw(t, "option") {
			return o
		}
		return func(*Step) {}
	}
	d := &Definition{}
	for i := range rapid.IntRange(1, 6).Draw(t, "steps") {
		var after []string
		for j := range i {
			if rapid.IntRange(0, 2).Draw(t, "dep") == 0 {
				after = append(after, fmt.Sprint("s", j))
			}
		}
		this, service := fmt.Sprint("s", i), name.Draw(t, "name")
		switch rapid.IntRange(0, 2).Draw(t, "type") {
		case 0:
			retry := Retry{MaxAttempts: rapid.Int64Range(0, 9).Draw(t, "attempts"), InitialIntervalMS: rapid.Int64Range(0, 9).Draw(t, "initial"),
				MaxIntervalMS: rapid.Int64Range(0, 9).Draw(t, "max")}
			if rapid.Bool().Draw(t, "coefficient") {
				retry.BackoffCoefficient = rapid.Float64Range(1, 1e6).Draw(t, "coefficient")
			}
			d.Steps = append(d.Steps, Task(this, service, "h", After(after...), maybe(Input(anyJSON().Draw(t, "input"))), maybe(Keys("user:1", "é 😀")),
				maybe(AttemptTimeout(ms.Draw(t, "timeout"))), maybe(HeartbeatTimeout(ms.Draw(t, "heartbeat"))), maybe(WithRetry(retry))))
		case 1:
			d.Steps = append(d.Steps, WaitSignal(this, service, After(after...), maybe(Timeout(ms.Draw(t, "timeout"))), maybe(Timeout(0))))
		default:
			d.Steps = append(d.Steps, WaitTimer(this, this, Delay(ms.Draw(t, "delay")), After(after...), maybe(MaxRetries(rapid.Int64Range(0, 1<<62).Draw(t, "max_retries")))))
			if rapid.Bool().Draw(t, "cron") {
				d.Steps[i] = WaitTimer(this, this, Cron("*/5 2 * * *"), After(after...), maybe(TimeZone("America/New_York")))
			}
		}
	}
	return d
}

func TestCanonicalFormIsReadAsTheSameDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := anyDefinition(t)
		g, err := NewGraph(d)
		if err != nil {
			t.Fatal(err)
		}
		body, err := Canonical(d)
		if err != nil {
			t.Fatal(err)
		}
		for format, parse := range map[string]func([]byte) (*Definition, Problems){"JSON": Parse, "YAML": ParseYAML} {
			read, problems := parse(body)
			if len(problems) > 0 {
				t.Fatalf("%s of %s: %v", format, body, problems)
			}
			again, err := NewGraph(read)
			if err != nil || again.Digest != g.Digest {
				twice, _ := Canonical(read)
				t.Fatalf("%s of %s is %s, %v", format, body, twice, err)
			}
			// And field by field, but for how input_data and lists that are empty are written.
			same := gocmp.Options{gocmp.Comparer(func(a, b json.RawMessage) bool {
				return EqualJSON(orNull(a), orNull(b))
			}), gocmp.Comparer(func(a, b Retry) bool { a.text, b.text = "", ""; return a == b }),
				gocmp.Comparer(func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) })}
			if diff := gocmp.Diff(g.Def, again.Def, same); diff != "" {
				t.Fatalf("%s of %s (-given +read)\n%s", format, body, diff)
			}
		}
		indented, err := json.MarshalIndent(d, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		read, _ := Parse(indented)
		if twice, err := Canonical(read); err != nil || !bytes.Equal(twice, body) {
			t.Fatalf("indented %s\n%s\n%v", body, twice, err)
		}
	})
}

func orNull(b json.RawMessage) json.RawMessage {
	if b == nil {
		return json.RawMessage("null")
	}
	return b
}
