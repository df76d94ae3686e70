package leases_test

import (
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/internal/leases"
)

func TestATokenIsBoundToItsWorkerAndSecret(t *testing.T) {
	s := leases.NewSigner([]byte("a secret"))
	want := leases.Token{Run: 1<<63 + 7, Step: 9_999, Attempt: 3, Boot: 1<<63 + 5, Worker: "w1"}
	text := s.Sign(want)
	if got, err := s.Parse(text, "w1"); err != nil || got != want {
		t.Fatalf("got %+v %v", got, err)
	}
	if got, err := leases.NewSigner([]byte("a secret")).Parse(text, "w1"); err != nil || got != want { // after a restart
		t.Errorf("after a restart: %+v %v", got, err)
	}
	if _, err := s.Parse(text, "w2"); err == nil {
		t.Error("another worker may use it")
	}
	if _, err := leases.NewSigner([]byte("another")).Parse(text, "w1"); err == nil {
		t.Error("another secret signs the same")
	}
	for i := range text {
		other := "A"
		if text[i] == 'A' {
			other = "B"
		}
		if _, err := s.Parse(text[:i]+other+text[i+1:], "w1"); err == nil {
			t.Errorf("byte %d may be changed", i)
		}
	}
	for _, bad := range []string{"", "x", text + "A", text[1:], strings.Repeat("A", len(text)), strings.Repeat("!", len(text)), text[:len(text)-1] + "="} {
		if _, err := s.Parse(bad, "w1"); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	before := want
	before.Boot = 0
	if old := s.Sign(before); old == text || len(old) >= len(text) {
		t.Errorf("without a boot number: %q", old)
	} else if got, err := s.Parse(old, "w1"); err != nil || got != before {
		t.Errorf("the form of before: %+v %v", got, err)
	}
	later := want
	later.Boot++
	if s.Sign(later)[30:] == text[30:] {
		t.Error("the boot number is not under the MAC")
	}
	other := want
	other.Worker = "w2"
	if s.Sign(want) != text || s.Sign(other) == text {
		t.Error("the kept buffers leak from one token into the next")
	}
}

func BenchmarkSignAndParse(b *testing.B) {
	s := leases.NewSigner([]byte("a secret"))
	token := leases.Token{Run: 7, Step: 1, Attempt: 1, Boot: 1<<63 + 5, Worker: "01JDXAVJ5BCD0EFGHJKMNPQRST"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Parse(s.Sign(token), token.Worker); err != nil {
			b.Fatal(err)
		}
	}
}

// base64 passes over line breaks, so a text of the right length may hold too few bytes.
func TestATokenOfLineBreaksIsRefused(t *testing.T) {
	s := leases.NewSigner([]byte("secret"))
	for _, token := range []leases.Token{{Run: 1, Attempt: 1, Worker: "w"}, {Run: 1, Attempt: 1, Worker: "w", Boot: 7}} {
		text := s.Sign(token)
		for keep := range len(text) {
			if _, err := s.Parse(text[:keep]+strings.Repeat("\n", len(text)-keep), "w"); err == nil {
				t.Errorf("%d characters and line breaks are taken", keep)
			}
		}
	}
}
