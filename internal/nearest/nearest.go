// Package nearest finds the word that somebody meant who wrote another: "did you mean".
package nearest

import "strings"

// longest bounds the work: nobody misspells a word of more bytes than that.
const longest = 64

// Word gives the one of the known words that is most like the word, "" when none is like it. Case, _, - and blanks do not
// count. Like it is a known word that has all the words of this one (cron: cron_expr), or that differs in at most a third of
// its letters; two letters that changed places are one difference. Of two as near the first is given. What differs in its digits
// alone is another thing, not a misspelt one.
func Word(word string, known []string) string {
	if len(word) > longest {
		return ""
	}
	w := fold(word)
	limit := max(1, len(w)/3)
	if len(w) < 3 {
		limit = 0
	}
	best := ""
	for _, k := range known {
		if len(k) > 2*longest || k == word {
			continue
		}
		f := fold(k)
		if f == w && w != "" {
			return k
		}
		if gap := len(f) - len(w); gap > limit || -gap > limit {
			continue
		}
		if d := distance(w, f); d <= limit && (best == "" || d < limit) && letters(w) != letters(f) {
			best, limit = k, d
		}
	}
	if best == "" {
		best = holder(word, known)
	}
	return best
}

// Did is the end of a sentence about the word: `; did you mean "x"?`, or nothing.
func Did(word string, known []string) string {
	if k := Word(word, known); k != "" {
		return `; did you mean "` + k + `"?`
	}
	return ""
}

func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, s)
}

// holder gives the first known word that has every word of this one, and more.
func holder(word string, known []string) string {
	parts := strings.Split(strings.ToLower(word), "_")
next:
	for _, k := range known {
		have := "_" + k + "_"
		for _, p := range parts {
			if len(p) < 3 || !strings.Contains(have, "_"+p+"_") {
				continue next
			}
		}
		return k
	}
	return ""
}

// distance counts the letters that are wrong, missing, too many or, two beside each other, in the wrong order.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			wrong := 1
			if a[i-1] == b[j-1] {
				wrong = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+wrong)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
