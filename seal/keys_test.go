package seal_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/seal"
)

func line(id string, b byte) string {
	return id + " " + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune(b)), seal.KeyBytes))) + "\n"
}

func keys(t *testing.T, text string) *seal.Keys {
	t.Helper()
	k, err := seal.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The newest key seals, each opens its own, and nothing opens elsewhere than where it was sealed for.
func TestSeveralKeys(t *testing.T) {
	old := keys(t, "# of spring\n\n"+line("one", 'a'))
	both := keys(t, line("one", 'a')+line("two", 'b'))
	sealed := old.Seal([]byte("hello"), []byte("here"))
	if got, err := both.Open("one", sealed, []byte("here")); err != nil || string(got) != "hello" || both.KeyID() != "two" {
		t.Errorf("%q %v %s", got, err, both.KeyID())
	}
	for name, try := range map[string]func() ([]byte, error){
		"elsewhere": func() ([]byte, error) { return both.Open("one", sealed, []byte("there")) },
		"other key": func() ([]byte, error) { return both.Open("two", sealed, []byte("here")) },
		"no key":    func() ([]byte, error) { return both.Open("three", sealed, []byte("here")) },
		"same name": func() ([]byte, error) { return keys(t, line("one", 'z')).Open("one", sealed, []byte("here")) },
		"cut":       func() ([]byte, error) { return both.Open("one", sealed[:len(sealed)-1], []byte("here")) },
		"empty":     func() ([]byte, error) { return both.Open("one", nil, []byte("here")) },
		"changed": func() ([]byte, error) {
			c := append([]byte{}, sealed...)
			c[20] ^= 1
			return both.Open("one", c, []byte("here"))
		},
		"not sealed": func() ([]byte, error) { return both.Open("one", []byte("hello, I am a text"), []byte("here")) },
	} {
		if got, err := try(); err == nil {
			t.Errorf("%s: it opens: %q", name, got)
		}
	}
	if a, b := both.Seal([]byte("hello"), nil), both.Seal([]byte("hello"), nil); string(a) == string(b) {
		t.Error("the same text sealed twice looks the same")
	}
}

// What is wrong with a file of keys is said without a key.
func TestWhatIsWrongWithKeys(t *testing.T) {
	secret := strings.Fields(line("x", 'q'))[1]
	for text, want := range map[string]string{
		"":                              "no key",
		secret:                          "line 1: want an id and a key",
		"one " + secret[:20]:            `"one" is not 32 bytes`,
		secret + " one":                 "is not 32 bytes",
		line("a", 'q') + line("a", 'r'): `line 2: the id "a" is given twice`,
	} {
		_, err := seal.Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret[:10]) {
			t.Errorf("%.10q: %v", text, err)
		}
	}
}

func TestAKeyIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	first, made, err := seal.ReadOrMake(path)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	again, made, err := seal.ReadOrMake(path)
	if err != nil || made || again.KeyID() != first.KeyID() {
		t.Errorf("%v %v", made, err)
	}
	if got, err := again.Open(first.KeyID(), first.Seal([]byte("x"), nil), nil); err != nil || string(got) != "x" {
		t.Errorf("%q %v", got, err)
	}
}
