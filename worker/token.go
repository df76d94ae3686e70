package worker

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// Token names one attempt in one worker's hands.
type Token struct {
	Run     uint64
	Step    int32
	Attempt uint32
	Worker  string
}

// ErrToken is the answer to a token that this engine did not make for this worker.
var ErrToken = errors.New("the token is not one that was given to this worker")

const tokenBody = 16 // run, step, attempt
const tokenMAC = 16

// Sign prints the token: run, step and attempt, and a MAC over them and the worker's id under the journal's secret. It can
// be verified after a restart, by the secret alone.
//
//	run(8) step(4) attempt(4) mac(16), base64url
func (t Token) Sign(secret []byte) string {
	var b [tokenBody + tokenMAC]byte
	binary.BigEndian.PutUint64(b[0:], t.Run)
	binary.BigEndian.PutUint32(b[8:], uint32(t.Step))
	binary.BigEndian.PutUint32(b[12:], t.Attempt)
	copy(b[tokenBody:], mac(secret, b[:tokenBody], t.Worker))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func mac(secret, body []byte, worker string) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write(body)
	m.Write([]byte(worker))
	return m.Sum(nil)[:tokenMAC]
}

// ParseToken verifies a token that worker showed.
func ParseToken(text string, worker string, secret []byte) (Token, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != tokenBody+tokenMAC || !hmac.Equal(b[tokenBody:], mac(secret, b[:tokenBody], worker)) {
		return Token{}, ErrToken
	}
	return Token{Run: binary.BigEndian.Uint64(b), Step: int32(binary.BigEndian.Uint32(b[8:])),
		Attempt: binary.BigEndian.Uint32(b[12:]), Worker: worker}, nil
}
