// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// largeBody is the size, in bytes, from which on a body needs one of the
// places in Config.LargeBodies. A push of twenty commits has some 30 kB.
const largeBody = 1 << 20

var (
	errTooLarge = errors.New("body is too large")
	errBusy     = errors.New("too many large bodies at a time")
)

// readBody reads all of a body. The caller has to call release when it no
// longer needs it.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	src := http.MaxBytesReader(w, r.Body, h.cfg.MaxBody)
	deadline := http.NewResponseController(w)
	// Not every ResponseWriter can; then the server's own limit has to do.
	_ = deadline.SetReadDeadline(time.Now().Add(h.cfg.BodyTimeout))

	release = func() {}
	if r.ContentLength <= largeBody {
		// One byte more tells whether a body of unknown length goes on.
		body, err = io.ReadAll(io.LimitReader(src, largeBody+1))
	}
	if err == nil && (r.ContentLength > largeBody || len(body) > largeBody) {
		if err := h.acquire(r.Context()); err != nil {
			return nil, nil, err
		}
		release = func() { <-h.cfg.LargeBodies }
		_ = deadline.SetReadDeadline(time.Now().Add(h.cfg.BodyTimeout))
		body, err = readRest(body, src, r.ContentLength)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	// What was meant for the body must not end the answer.
	_ = deadline.SetReadDeadline(time.Time{})
	return body, release, nil
}

// acquire waits some time for a place for a large body.
func (h *Handler) acquire(ctx context.Context) error {
	select {
	case h.cfg.LargeBodies <- struct{}{}:
		return nil
	case <-time.After(h.cfg.BodyTimeout / 4):
		return errBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

// readRest reads src to its end, behind what was read already if the length is
// unknown. A known one is allocated once: growing step by step would take
// twice the memory.
func readRest(start []byte, src io.Reader, length int64) ([]byte, error) {
	if length > 0 {
		body := make([]byte, length)
		_, err := io.ReadFull(src, body)
		return body, err
	}
	buf := bytes.NewBuffer(start)
	_, err := buf.ReadFrom(src)
	return buf.Bytes(), err
}

// bodyAnswer tells the sender why its body was not read.
func bodyAnswer(err error) answer {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		err = errTooLarge
	}
	switch {
	case errors.Is(err, errTooLarge):
		return failed(http.StatusRequestEntityTooLarge, err)
	case errors.Is(err, errBusy):
		return unavailable(&Refusal{Message: err.Error()})
	case errors.Is(err, os.ErrDeadlineExceeded):
		return failed(http.StatusRequestTimeout, errors.New("body took too long"))
	}
	a := failed(http.StatusBadRequest, errors.New("body is truncated"))
	a.err = fmt.Errorf("read body: %w", err)
	return a
}
