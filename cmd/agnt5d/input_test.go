package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
)

// agnt5dOf runs the program as main does, with a standard input.
func agnt5dOf(ctx context.Context, in io.Reader, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, args, in, &out, &errs)
	return code, out.String(), errs.String()
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestValidateSaysWhereAndWhatWasMeant(t *testing.T) {
	bad := writeFile(t, "bad.yaml", "steps:\n  - name: a\n    service: pay\n    handler_name: h\n  - name: b\n    service_name: s\n    handler_name: h\n    dependencies: [é, aa]\n")
	code, out, errs := agnt5d(t, "validate", bad)
	want := bad + ":2:5: error: step \"a\": a task needs a service_name (service_missing)\n" +
		bad + ":3:5: error: step \"a\": the step has an unknown key \"service\"; did you mean \"service_name\"? (unknown_key)\n" +
		bad + ":8:20: error: step \"b\": dependency \"é\" names no step of this workflow (dependency_unknown)\n" +
		bad + ":8:23: error: step \"b\": dependency \"aa\" names no step of this workflow (dependency_unknown)\n"
	if code != exitError || out != want || errs != "" {
		t.Errorf("exit %d, %q\n%s\nwant\n%s", code, errs, out, want)
	}
	code, out, _ = agnt5d(t, "validate", bad, "-o", "json")
	if code != exitError || !strings.Contains(out, `"code":"unknown_key","step":"a","detail":"the step has an unknown key \"service\"; did you mean \"service_name\"?","line":3,"column":5`) {
		t.Errorf("exit %d, %s", code, out)
	}
	warned := writeFile(t, "w.yaml", "steps:\n  - name: a\n    type: wait_signal\n    signal:\n      name: go\n      timeout: 0s\n")
	code, out, _ = agnt5d(t, "validate", warned)
	if code != 0 || !strings.HasPrefix(out, warned+":6:16: warning: step \"a\": timeout is 0 and there is no on_timeout") || !strings.Contains(out, ": valid, 1 step, sha256:") {
		t.Errorf("exit %d, %s", code, out)
	}
}

func TestValidatePrintsTheSchema(t *testing.T) {
	if code, out, errs := agnt5d(t, "validate", "--schema"); code != 0 || out != string(flow.Schema()) || errs != "" {
		t.Errorf("exit %d, %.100s, %s", code, out, errs)
	}
	if code, _, errs := agnt5d(t, "validate", "--schema", "x.yaml"); code != exitUsage || !strings.Contains(errs, "takes no argument") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

func TestADefinitionThatIsTooLargeOrNotThere(t *testing.T) {
	exe := writeFile(t, "bin.exe", strings.Repeat("MZ\x90\x00", flow.MaxBytes/4)+"and more")
	for _, args := range [][]string{{"validate", exe}, {"register", "w", exe}} {
		code, out, errs := agnt5d(t, args...)
		if code != exitError || !strings.Contains(out+errs, fmt.Sprintf("the definition is %d bytes, the limit is %d (definition_too_large)", flow.MaxBytes+8, flow.MaxBytes)) {
			t.Errorf("%q: exit %d, %s%s", args, code, out, errs)
		}
	}
	code, out, _ := agnt5dOf(t.Context(), strings.NewReader(strings.Repeat(" ", flow.MaxBytes+1)), "validate", "-")
	if code != exitError || out != fmt.Sprintf("-: error: the definition is more than %d bytes, the limit (definition_too_large)\n", flow.MaxBytes) {
		t.Errorf("exit %d, %s", code, out)
	}
	none := filepath.Join(t.TempDir(), "none")
	for _, args := range [][]string{{"validate", none}, {"register", "w", none}, {"start", "w", "--input", "@" + none}, {"signal", "r", "s", "--payload", "@" + none},
		{"replay", none}, {"verify", none}, {"doctor", none}, {"list", "--file", none}} {
		if code, out, errs := agnt5d(t, args...); code != exitNotFound || out != "" || !strings.Contains(errs, none) {
			t.Errorf("%q: exit %d, %s%s", args, code, out, errs)
		}
	}
}

func TestAnInterruptedInputIsNotAnEmptyOne(t *testing.T) {
	for _, args := range [][]string{{"validate", "-"}, {"register", "w", "-"}, {"start", "w", "--input", "@-"}} {
		ctx, cancel := context.WithCancel(t.Context())
		in, end := io.Pipe()
		go func() {
			_, _ = end.Write([]byte("steps")) // somebody reads: the verb waits for the rest
			cancel()
		}()
		code, out, errs := agnt5dOf(ctx, in, args...)
		if code != exitInterrupted || out != "" || errs != "agnt5d: interrupted\n" {
			t.Errorf("%q: exit %d, %q %q", args, code, out, errs)
		}
		end.Close()
	}
}

// Nothing of this needs a daemon: a payload is looked at before it is sent.
func TestPayloadProblemsNameTheFlagOrTheFile(t *testing.T) {
	bad := writeFile(t, "nu.json", "{\"a\":\n \"\xff\"}")
	for _, c := range []struct{ text, want string }{
		{"", "--input is empty: give JSON or @FILE, or leave the flag out"},
		{"@", "--input @: name a file after the @, or - for standard input"},
		{"@" + bad, "--input @" + bad + " is not valid UTF-8 at byte 9, line 2"},
		{"{by: ann}", "--input is not JSON: invalid character 'b' looking for beginning of object key string at byte 2, line 1"},
		{"ann b", "--input is not JSON: invalid character 'a' looking for beginning of value at byte 1, line 1; a text needs quotes around it: --input '\"ann b\"'"},
		{`{"a":1`, "--input is not JSON: unexpected end of JSON input at byte 6, line 1"},
		{"'x'", `--input is not JSON: invalid character '\'' looking for beginning of value at byte 1, line 1`},
		{strings.Repeat("[", 65) + strings.Repeat("]", 65), "--input is nested 65 deep, the limit is 64"},
	} {
		for verb, args := range map[string][]string{"--input": {"start", "w", "--input", c.text}, "--payload": {"signal", "r", "s", "--payload", c.text}} {
			code, _, errs := agnt5d(t, args...)
			if want := "agnt5d: " + strings.ReplaceAll(c.want, "--input", verb) + "\n"; code != exitUsage || errs != want {
				t.Errorf("%q: exit %d\n got %s\nwant %s", args, code, errs, want)
			}
		}
	}
}
