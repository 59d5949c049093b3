// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"xeiaso.net/site/internal/atomicfile"
	"xeiaso.net/site/xesite/release"
)

// Result is how a build ended.
type Result string

// The results of builds. The last two are those of triggers that needed none:
// the commit was built before, or the site is pinned.
const (
	ResultPublished  Result = "published"  // its release is served now
	ResultUnchanged  Result = "unchanged"  // its release was served already
	ResultFailed     Result = "failed"     // the previous release stays
	ResultRejected   Result = "rejected"   // it did not pass the checks; the previous release stays
	ResultSuperseded Result = "superseded" // it was cancelled
	ResultKnown      Result = "known"
	ResultPinned     Result = "pinned"
)

// Build is the record of one build.
type Build struct {
	Number   uint64     `json:"number,omitempty"`
	Channel  string     `json:"channel,omitempty"` // the preview; empty: the site itself
	Branch   string     `json:"branch,omitempty"`  // of the preview
	Triggers []string   `json:"triggers"`          // what asked for it: "start", "poll", "github", …
	Commit   string     `json:"commit,omitempty"`
	Subject  string     `json:"subject,omitempty"` // first line of the commit's message
	Result   Result     `json:"result"`
	Stage    string     `json:"stage,omitempty"` // where it failed: fetch, checkout, data, generate, unpack, release, check, publish
	Error    string     `json:"error,omitempty"`
	LogTail  string     `json:"log_tail,omitempty"` // of the log of a build that failed
	Mistakes []string   `json:"mistakes,omitempty"` // lines of rule files that were left out
	Release  release.ID `json:"release,omitempty"`
	Sequence uint64     `json:"sequence,omitempty"` // of the publication
	Files    int        `json:"files,omitempty"`
	Started  time.Time  `json:"started"`
	Seconds  float64    `json:"seconds"`
	// Generator is the part of Seconds that the generator took.
	Generator float64 `json:"generator_seconds"`
}

// ok reports whether the build did what it should.
func (b Build) ok() bool { return b.Result == ResultPublished || b.Result == ResultUnchanged }

const (
	keepBuilds   = 100     // records and logs
	maxLog       = 4 << 20 // bytes of one log
	maxLogLine   = 8 << 10 // bytes of one line
	maxLogTail   = 4 << 10 // bytes in a record
	maxSlogLines = 200     // of one build, to the logger
	maxMistakes  = 50      // in a record
)

// history keeps the records and logs of builds in a directory.
type history struct{ dir string }

func (h history) recordPath(n uint64) string {
	return filepath.Join(h.dir, strconv.FormatUint(n, 10)+".json")
}

func (h history) logPath(n uint64) string {
	return filepath.Join(h.dir, strconv.FormatUint(n, 10)+".log")
}

// numbers lists the builds that have a record or a log, rising.
func (h history) numbers() ([]uint64, error) {
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		return nil, err
	}
	var ns []uint64
	for _, e := range entries {
		name, _, _ := strings.Cut(e.Name(), ".")
		if n, err := strconv.ParseUint(name, 10, 64); err == nil {
			ns = append(ns, n)
		}
	}
	slices.Sort(ns)
	return slices.Compact(ns), nil
}

// next returns the number of the next build.
func (h history) next() (uint64, error) {
	ns, err := h.numbers()
	if err != nil || len(ns) == 0 {
		return 1, err
	}
	return ns[len(ns)-1] + 1, nil
}

func (h history) save(b Build) error {
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return atomicfile.Write(h.recordPath(b.Number), append(data, '\n'), 0o644)
}

// list returns the newest records first, at most limit.
func (h history) list(limit int) ([]Build, error) {
	ns, err := h.numbers()
	if err != nil {
		return nil, err
	}
	var builds []Build
	for _, n := range slices.Backward(ns) {
		if len(builds) == limit {
			break
		}
		var b Build
		data, err := os.ReadFile(h.recordPath(n))
		if err == nil && json.Unmarshal(data, &b) == nil {
			builds = append(builds, b)
		}
	}
	return builds, nil
}

// last returns the newest record of a channel; that of the site itself is "".
func (h history) last(channel string) *Build {
	builds, err := h.list(keepBuilds)
	i := slices.IndexFunc(builds, func(b Build) bool { return b.Channel == channel })
	if err != nil || i < 0 {
		return nil
	}
	return &builds[i]
}

// prune removes what is older than the newest keepBuilds builds.
func (h history) prune() error {
	ns, err := h.numbers()
	if err != nil || len(ns) <= keepBuilds {
		return err
	}
	var errs []error
	for _, n := range ns[:len(ns)-keepBuilds] {
		for _, path := range []string{h.recordPath(n), h.logPath(n)} {
			if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// buildLog takes what happens in a build line by line: into its file, which
// is bounded, into the tail for the record, and to the logger. It may be
// written to from several goroutines.
type buildLog struct {
	mu     sync.Mutex // guards what follows
	file   *os.File
	size   int
	lines  int
	last   tail
	rest   []byte // the beginning of a line
	logger *slog.Logger
}

func (h history) newLog(n uint64, logger *slog.Logger) (*buildLog, error) {
	f, err := os.Create(h.logPath(n))
	if err != nil {
		return nil, err
	}
	return &buildLog{file: f, last: tail{max: maxLogTail}, logger: logger}, nil
}

// Write implements [io.Writer]. It never fails: a full disk must not end a
// build whose output fits.
func (l *buildLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			l.rest = append(l.rest, p...)
			if len(l.rest) > maxLogLine {
				l.flush()
			}
			break
		}
		l.rest = append(l.rest, p[:i]...)
		l.flush()
		p = p[i+1:]
	}
	return n, nil
}

// flush ends a line of the generator. The caller holds mu.
func (l *buildLog) flush() {
	line := strings.ToValidUTF8(string(bytes.TrimRight(l.rest, "\r")), "�")
	l.rest = l.rest[:0]
	l.add(line)
	l.lines++
	switch {
	case l.lines < maxSlogLines:
		l.logger.Info("generator", "line", line)
	case l.lines == maxSlogLines:
		l.logger.Info("generator prints more; the rest is in the build's log only")
	}
}

// add puts a line into the file and the tail. The caller holds mu.
func (l *buildLog) add(line string) {
	io.WriteString(&l.last, line+"\n")
	if l.size >= maxLog {
		return
	}
	l.size += len(line) + 1
	io.WriteString(l.file, line+"\n")
	if l.size >= maxLog {
		fmt.Fprintf(l.file, "[the log is cut here, after %d bytes]\n", l.size)
	}
}

// printf adds a line of our own. It does not go to the logger, which is told
// of such things in its own form.
func (l *buildLog) printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 { // the generator's last line has no end
		l.flush()
	}
	for line := range strings.Lines(fmt.Sprintf("» "+format+"\n", args...)) {
		l.add(strings.TrimSuffix(line, "\n"))
	}
}

// warnf is printf for what an operator should see too.
func (l *buildLog) warnf(format string, args ...any) {
	l.printf(format, args...)
	l.logger.Warn("build needs a look", "note", fmt.Sprintf(format, args...))
}

// close ends the log and returns its tail.
func (l *buildLog) close() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.flush()
	}
	if l.size >= maxLog {
		io.WriteString(l.file, "[it ended with:]\n"+l.last.String())
	}
	l.file.Close()
	return l.last.String()
}

// Builds returns the newest records first, at most limit.
func (s *Site) Builds(limit int) ([]Build, error) { return s.history.list(limit) }

// BuildLog opens the log of a build. The error is [fs.ErrNotExist] if there is
// none.
func (s *Site) BuildLog(ctx context.Context, number uint64) (io.ReadCloser, error) {
	f, err := os.Open(s.history.logPath(number))
	if err != nil {
		return nil, fmt.Errorf("xesite: %w", err)
	}
	return f, nil
}
