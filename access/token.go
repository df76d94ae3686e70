// Package access says who may do what. An access token has a name, a scope and perhaps an end; whoever shows it acts under its name.
// Only the SHA-256 of a token is kept, in the journal. The first token closes a daemon that was open until then.
package access

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/nearest"
)

// Prefix begins every access token, so that people and scanners know one when they see it.
const Prefix = "agt_"

// A token is the prefix, 256 random bits and the CRC-32 of both, in base62:
//
//	agt_ | 43 digits | 6 digits
const (
	digits    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	randomLen = 43
	sumLen    = 6
)

func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it does not fail
	text := Prefix + base62(new(big.Int).SetBytes(b[:]), randomLen)
	return text + checksum(text)
}

func checksum(text string) string {
	return base62(big.NewInt(int64(crc32.ChecksumIEEE([]byte(text)))), sumLen)
}

func base62(n *big.Int, width int) string {
	out := make([]byte, width)
	base, rest := big.NewInt(int64(len(digits))), new(big.Int)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, base, rest)
		out[i] = digits[rest.Int64()]
	}
	return string(out)
}

// Whole says whether a text is a whole access token: one that was cut or mistyped is not. Whether any daemon knows it is another
// question.
func Whole(text string) bool {
	if len(text) != len(Prefix)+randomLen+sumLen || !strings.HasPrefix(text, Prefix) {
		return false
	}
	return checksum(text[:len(text)-sumLen]) == text[len(text)-sumLen:]
}

func digest(text string) [32]byte { return sha256.Sum256([]byte(text)) }

// Scope is what a token allows: "read", "operate", "worker", "worker:SERVICE" or "admin".
type Scope string

// The scopes. A Worker scope may name the one service that it is for.
const (
	Read    Scope = "read"
	Operate Scope = "operate"
	Worker  Scope = "worker"
	Admin   Scope = "admin"
)

// ParseScope says what is wrong with a scope that somebody gave.
func ParseScope(text string) (Scope, error) {
	service, of := strings.CutPrefix(text, string(Worker)+":")
	if of {
		if err := flow.ValidName(service); err != nil {
			return "", fmt.Errorf("scope %q: the service's name %w", text, err)
		}
		return Scope(text), nil
	}
	switch s := Scope(text); s {
	case Read, Operate, Worker, Admin:
		return s, nil
	case "":
		return "", errors.New("scope: want read, operate, worker, worker:SERVICE or admin")
	}
	return "", fmt.Errorf("scope %q: want read, operate, worker, worker:SERVICE or admin%s", text, nearest.Did(text, []string{"read", "operate", "worker", "admin"}))
}

// Service is the one service that a worker's scope is for; "": any.
func (s Scope) Service() string {
	_, service, _ := strings.Cut(string(s), ":")
	return service
}

// Allows says whether the scope allows what a route asks for: one of Read, Operate, Worker and Admin.
func (s Scope) Allows(want Scope) bool {
	switch {
	case s == Admin || s == want:
		return true
	case s == Operate:
		return want == Read
	}
	return want == Worker && strings.HasPrefix(string(s), string(Worker)+":")
}

// Serves says whether a worker's scope is good for a service.
func (s Scope) Serves(service string) bool {
	return s.Allows(Worker) && (s.Service() == "" || s.Service() == service)
}
