// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"bufio"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// torLog is what one tor says.
type torLog struct {
	log  *slog.Logger
	mu   sync.Mutex
	last []string // warnings and errors
}

// maxTroubles is how many warnings are kept.
const maxTroubles = 4

// read takes lines until there are none, of any length.
func (l *torLog) read(r io.Reader) {
	for b := bufio.NewReaderSize(r, 4096); ; {
		line, long, err := b.ReadLine()
		if err != nil {
			return
		}
		l.line(string(line))
		for long && err == nil {
			_, long, err = b.ReadLine()
		}
	}
}

// line takes one such as "Nov 23 12:00:00.000 [warn] Something.".
func (l *torLog) line(line string) {
	_, rest, ok := strings.Cut(line, " [")
	level, text, ok2 := strings.Cut(rest, "] ")
	if !ok || !ok2 {
		return
	}
	switch level {
	case "warn", "err":
		l.log.Warn("onion: tor warns", "text", text)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.last = append(l.last, text); len(l.last) > maxTroubles {
			l.last = l.last[1:]
		}
	case "notice":
		l.log.Debug("onion: tor says", "text", text)
	}
}

func (l *torLog) troubles() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.last...)
}
