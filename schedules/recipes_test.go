package schedules

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// recipe gives a schedule of docs/schedules.md, and the page.
func recipe(t *testing.T, name string) (d *Definition, page string) {
	t.Helper()
	b, err := os.ReadFile("../docs/schedules.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```yaml\n(schedules:.*?)^```").FindAllSubmatch(b, -1) {
		all, problems := ReadFile(m[1])
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if all[0].Name == name {
			return all[0], string(b)
		}
	}
	t.Fatalf("docs/schedules.md has no schedule %s", name)
	return nil, ""
}

func TestRecipeEveryWeekdayAtTwo(t *testing.T) {
	d, _ := recipe(t, "weekdays_at_two")
	plan, err := NewPlan(d)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[string]string{ // around both Sundays on which the clocks jump, and in between
		"2026-03-26T12:00:00Z": "2026-03-27T02:00:00+01:00 2026-03-30T02:00:00+02:00 2026-03-31T02:00:00+02:00",
		"2026-10-22T12:00:00Z": "2026-10-23T02:00:00+02:00 2026-10-26T02:00:00+01:00 2026-10-27T02:00:00+01:00",
		"2026-06-12T00:30:00Z": "2026-06-15T02:00:00+02:00 2026-06-16T02:00:00+02:00 2026-06-17T02:00:00+02:00",
	} {
		var got []string
		for at := ms(after); len(got) < 3; got = append(got, plan.Local(at)) {
			at, _ = plan.Next(at)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("after %s: %v, want %s", after, got, want)
		}
	}
}

func TestRecipeNotOnHolidays(t *testing.T) {
	d, _ := recipe(t, "quarter_hours")
	plan, err := NewPlan(d)
	if err != nil {
		t.Fatal(err)
	}
	fires := map[string]int{} // by local date
	for at, ok := plan.Next(ms("2026-12-23T22:59:00Z")); ok && at < ms("2026-12-28T23:00:00Z"); at, ok = plan.Next(at) {
		if day := plan.Local(at)[:10]; !plan.Excluded(at) {
			fires[day]++
		} else {
			fires[day] += 0
		}
	}
	want := map[string]int{"2026-12-24": 96, "2026-12-25": 0, "2026-12-26": 0, "2026-12-27": 0, "2026-12-28": 96} // the 27th is a Sunday
	for day, n := range want {
		if got, there := fires[day]; got != n || !there {
			t.Errorf("%s: %d times, want %d", day, got, n)
		}
	}
}

func TestRecipeCatchUpAfterAWeekend(t *testing.T) {
	d, _ := recipe(t, "daily_report")
	l := newLedger()
	l.put(d, ms("2026-11-26T12:00:00Z"), t.Fatalf) // a Thursday
	friday := ms("2026-11-27T05:00:00Z")
	l.decide(friday, 0, t.Fatalf)
	l.s.RunEnded("daily_report-2026-11-27T05:00:00Z", true)
	monday := ms("2026-11-30T08:00:00Z")
	var order []string
	for range 3 {
		l.decide(monday, monday, t.Fatalf)
		if len(l.s.Open) != 1 {
			t.Fatalf("%d runs at once", len(l.s.Open))
		}
		order = append(order, l.s.Open[0].ID[len("daily_report-"):][:10])
		l.s.RunEnded(l.s.Open[0].ID, true)
	}
	if want := []string{"2026-11-28", "2026-11-29", "2026-11-30"}; !slices.Equal(order, want) {
		t.Errorf("caught up in the order %v", order)
	}
	if got, want := l.outcomes(), "05:00 fired, 05:00 caught_up, 05:00 caught_up, 05:00 caught_up"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestRecipeBackfillLastMonth(t *testing.T) {
	d, page := recipe(t, "daily_report")
	m := regexp.MustCompile(`schedules backfill daily_report --from (\S+) --to (\S+)\n`).FindStringSubmatch(page)
	if m == nil {
		t.Fatal("the recipe's command is not there")
	}
	from, err := time.Parse(time.DateOnly, m[1])
	if err != nil {
		t.Fatal(err)
	}
	l := newLedger()
	now := ms("2026-11-10T12:00:00Z")
	l.put(d, now, t.Fatalf)
	next, _, _ := l.s.Next()
	l.runs["daily_report-2026-10-07T04:00:00Z"] = true // somebody started that one
	if n := l.s.Fill("x", "me", from.UnixMilli(), ms(m[2]), false, now); n != 31 {
		t.Errorf("%d times, want one for each day of October", n)
	}
	for l.s.Back != nil {
		l.decide(now, 0, t.Fatalf)
		if len(l.s.Open) > 1 {
			t.Fatal("two runs at once")
		}
		for _, o := range slices.Clone(l.s.Open) {
			l.s.RunEnded(o.ID, true)
		}
	}
	if got := strings.Count(l.outcomes(), "backfilled"); got != 30 || len(l.rows) != 30 {
		t.Errorf("%d were backfilled: %s", got, l.outcomes())
	}
	if after, _, _ := l.s.Next(); after != next {
		t.Errorf("the next due time was %d and is %d", next, after)
	}
}
