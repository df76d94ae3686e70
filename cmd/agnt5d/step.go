package main

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// walk shows the state of a run at one event after the other, as the lines of input say.
func walk(cmd *cobra.Command, f *file, run uint64, seqs []uint64, lines []string) error {
	out := cmd.OutOrStdout()
	in := bufio.NewScanner(cmd.InOrStdin())
	for at := 0; ; {
		fmt.Fprintf(out, "event %d of %d: %s\n", at+1, len(seqs), strings.TrimSpace(lines[at]))
		w := f.Walk()
		if err := f.walk(w, run, seqs[at]); err != nil {
			return err
		}
		if w.States[run] == nil {
			fmt.Fprintln(out, w.Newer[run])
		} else if err := printState(cmd, w.States[run], ""); err != nil {
			return err
		}
		fmt.Fprint(out, "[n]ext [p]revious, a number, [q]uit> ")
		if !in.Scan() {
			fmt.Fprintln(out)
			return in.Err()
		}
		switch word := strings.TrimSpace(in.Text()); word {
		case "", "n":
			at = min(at+1, len(seqs)-1)
		case "p":
			at = max(at-1, 0)
		case "q":
			return nil
		default:
			if n, err := strconv.Atoi(word); err == nil && n >= 1 && n <= len(seqs) {
				at = n - 1
			} else {
				fmt.Fprintf(out, "%q: want n, p, q or a number from 1 to %d\n", word, len(seqs))
			}
		}
	}
}
