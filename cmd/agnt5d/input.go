package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode"

	"github.com/agnt5/agnt5d/flow"
	"github.com/spf13/cobra"
)

// maxPayloadFile is the largest payload that a daemon can be set to take.
const maxPayloadFile = 64 << 20

// tooLarge says that an input is over its limit.
type tooLarge struct {
	size  int64 // 0: not known
	limit int64
}

func (e *tooLarge) Error() string {
	if e.size == 0 {
		return fmt.Sprintf("is more than %d bytes, the limit", e.limit)
	}
	return fmt.Sprintf("is %d bytes, the limit is %d", e.size, e.limit)
}

// readFile reads a file, or standard input for "-", up to a limit. Over it, the error is *tooLarge.
func readFile(cmd *cobra.Command, name string, limit int64) ([]byte, error) {
	if name == "-" {
		return readInput(cmd, limit)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, noFile(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		over := &tooLarge{limit: limit}
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			over.size = info.Size()
		}
		return nil, over
	}
	return b, err
}

// readInput reads standard input until its end, or until the verb is interrupted.
func readInput(cmd *cobra.Command, limit int64) ([]byte, error) {
	type all struct {
		b   []byte
		err error
	}
	read := make(chan all, 1)
	go func() {
		b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), limit+1))
		read <- all{b, err}
	}()
	select {
	case <-cmd.Context().Done(): // what came so far is not the whole
		return nil, cmd.Context().Err()
	case got := <-read:
		if err := cmd.Context().Err(); err != nil {
			return nil, err
		}
		if int64(len(got.b)) > limit {
			return nil, &tooLarge{limit: limit}
		}
		return got.b, got.err
	}
}

// noFile gives the error of a file that is not there its exit code.
func noFile(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &exitErr{exitNotFound, err}
	}
	return err
}

// payloadOf reads what --input or --payload gave: JSON, or @FILE ("@-" is standard input). Errors name the flag, or the file.
func payloadOf(cmd *cobra.Command, flag string) (json.RawMessage, error) {
	if !cmd.Flags().Changed(flag) {
		return nil, nil
	}
	text, _ := cmd.Flags().GetString(flag)
	if text == "" {
		return nil, exit(exitUsage, "--%s is empty: give JSON or @FILE, or leave the flag out", flag)
	}
	b, what := []byte(text), "--"+flag
	name, file := strings.CutPrefix(text, "@")
	if file {
		var err error
		if what += " " + text; name == "" {
			return nil, exit(exitUsage, "%s: name a file after the @, or - for standard input", what)
		}
		b, err = readFile(cmd, name, maxPayloadFile)
		if over := (*tooLarge)(nil); errors.As(err, &over) {
			return nil, exit(exitUsage, "%s %w", what, over)
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	err := flow.CheckJSON(b, 0)
	switch {
	case err == nil:
		return b, nil
	case !file && isWord(text):
		return nil, exit(exitUsage, "%s %w; a text needs quotes around it: --%s '\"%s\"'", what, err, flag, clip(text, 60))
	}
	return nil, exit(exitUsage, "%s %w", what, err)
}

// isWord says whether somebody wrote a text without its quotes: it begins as no JSON does.
func isWord(s string) bool {
	for i, r := range s {
		if i == 0 && !unicode.IsLetter(r) || strings.ContainsRune(`"\'`, r) || unicode.IsControl(r) {
			return false
		}
	}
	return true
}
