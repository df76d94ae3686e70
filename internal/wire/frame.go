package wire

import (
	"encoding/binary"
	"io"
)

// Stream is the protocol to which a worker's connection is upgraded: frames each way, a Poll in msgpack in each of the worker's, and in
// each of the daemon's the answer to the one with its number.
const Stream = "agnt5-worker"

// FrameHead is how many bytes stand before a frame's body.
const FrameHead = 12

// Frame is the head of a frame.
type Frame struct {
	Length uint32 // of the body, in bytes
	Number uint32 // of the request, chosen by the worker; an answer has that of its request
	Status uint32 // of an answer, as HTTP has it; 0 in a request
}

// Put writes the head into the first FrameHead bytes of b, which holds the whole frame.
func (f Frame) Put(b []byte) {
	binary.BigEndian.PutUint32(b, uint32(len(b)-FrameHead))
	binary.BigEndian.PutUint32(b[4:], f.Number)
	binary.BigEndian.PutUint32(b[8:], f.Status)
}

// ReadFrame reads a head. The error is io.EOF when nothing more comes.
func ReadFrame(r io.Reader) (f Frame, err error) {
	var b [FrameHead]byte
	if _, err = io.ReadFull(r, b[:]); err == nil {
		f = Frame{binary.BigEndian.Uint32(b[:]), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])}
	}
	return f, err
}
