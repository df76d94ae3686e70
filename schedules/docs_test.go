package schedules

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Every file of schedules in the docs is one that can be applied.
func TestTheSchedulesInTheDocsAreRead(t *testing.T) {
	pages, _ := filepath.Glob("../docs/*.md")
	block := regexp.MustCompile("(?ms)^```yaml\n(schedules:.*?)^```")
	n := 0
	for _, page := range append(pages, "../README.md") {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllSubmatch(b, -1) {
			n++
			if _, problems := ReadFile(m[1]); len(problems) > 0 {
				t.Errorf("%s: %v", page, problems)
			}
		}
	}
	if n == 0 {
		t.Error("the docs show no schedules")
	}
}
